from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.formats import Activation, bias_word
from zeroskip.hw.eie.act_rw import ActRw
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_acts=12, num_biases=40, act_bits=8, acc_bits=24)


async def load_file(ctx: Any, dut: ActRw, p: EieParams, number: int, acts: list[int]) -> None:
    ctx.set(dut.load_act, 1)
    for row, act in enumerate(acts):
        ctx.set(dut.load_row, number << p.act_addr_bits | row)
        ctx.set(dut.load_data, act & ((1 << p.acc_bits) - 1))
        await ctx.tick()
    ctx.set(dut.load_act, 0)


async def load_biases(ctx: Any, dut: ActRw, p: EieParams, words: list[int]) -> None:
    ctx.set(dut.load_bias, 1)
    for row, word in enumerate(words):
        ctx.set(dut.load_row, row)
        ctx.set(dut.load_data, word & ((1 << p.acc_bits) - 1))
        await ctx.tick()
    ctx.set(dut.load_bias, 0)


async def read_file(ctx: Any, dut: ActRw, p: EieParams, number: int, count: int) -> list[int]:
    acts = []
    ctx.set(dut.host_read, 1)
    for row in range(count):
        ctx.set(dut.load_row, number << p.act_addr_bits | row)
        await ctx.tick()
        acts.append(ctx.get(dut.host_data))
    ctx.set(dut.host_read, 0)
    return acts


def draw_acts(seed: int, count: int = 12) -> list[int]:
    rng = Random(seed)
    return [rng.randrange(-128, 128) for _ in range(count)]


@pytest.mark.parametrize("early", [False, True], ids=["gates", "fpga"])
def test_host_reads_what_it_wrote(early: bool) -> None:
    dut = ActRw(P, early=early)
    first, second = draw_acts(1), draw_acts(2)

    async def bench(ctx: Any) -> None:
        if early:
            ctx.set(dut.between, 1)
        await load_file(ctx, dut, P, 0, first)
        await load_file(ctx, dut, P, 1, second)
        for source in (0, 1):
            ctx.set(dut.source, source)
            assert await read_file(ctx, dut, P, 0, 12) == first
            assert await read_file(ctx, dut, P, 1, 12) == second
        # The answer keeps its file, whatever is asked for next.
        ctx.set(dut.host_read, 1)
        ctx.set(dut.load_row, 1 << P.act_addr_bits | 5)
        await ctx.tick()
        ctx.set(dut.host_read, 0)
        ctx.set(dut.load_row, 5)
        assert ctx.get(dut.host_data) == second[5]

    simulate(dut, bench)


def test_activations_and_biases_are_different_memories() -> None:
    dut = ActRw(P)

    async def bench(ctx: Any) -> None:
        await load_file(ctx, dut, P, 0, [7] * 12)
        await load_biases(ctx, dut, P, [99] * 12)
        assert await read_file(ctx, dut, P, 0, 12) == [7] * 12

    simulate(dut, bench)


@pytest.mark.parametrize("early", [False, True], ids=["gates", "fpga"])
@pytest.mark.parametrize("source", [0, 1])
def test_scan(source: int, early: bool) -> None:
    """A row waits at the file's output; taken, it is pending until granted, unless it is 0."""
    dut = ActRw(P, early=early)
    acts = [5, -1, 0, 127, -128, 0, 0, 1, -7, 0, 2, 3]

    async def bench(ctx: Any) -> None:
        if early:
            ctx.set(dut.between, 1)
        await load_file(ctx, dut, P, source, acts)
        await load_file(ctx, dut, P, 1 - source, [55] * 12)
        if early:
            ctx.set(dut.between, 0)
        ctx.set(dut.source, source)
        assert not ctx.get(dut.pending)
        for row, act in enumerate(acts):
            ctx.set(dut.scan_read, 1)
            ctx.set(dut.scan_row, row)
            await ctx.tick()
            ctx.set(dut.scan_read, 0)
            ctx.set(dut.scan_row, 3)
            await ctx.tick()
            assert not ctx.get(dut.pending)
            ctx.set(dut.scan_take, 1)
            await ctx.tick()
            ctx.set(dut.scan_take, 0)
            for _ in range(row % 3):
                assert ctx.get(dut.pending) == (act != 0)
                await ctx.tick()
            assert ctx.get(dut.pending) == (act != 0)
            assert ctx.get(dut.candidate) == act
            ctx.set(dut.grant, act != 0)
            await ctx.tick()
            ctx.set(dut.grant, 0)
            assert not ctx.get(dut.pending)

    simulate(dut, bench)


def test_row_per_cycle() -> None:
    """The next row is taken in the cycle that grants this one, and read one cycle before."""
    dut = ActRw(P)
    acts = [3, -4, 0, 5, 0, 0, -6, 7, 0, 8, 9, -10]

    async def bench(ctx: Any) -> None:
        await load_file(ctx, dut, P, 0, acts)
        for cycle in range(len(acts) + 2):
            ctx.set(dut.scan_read, cycle < len(acts))
            ctx.set(dut.scan_row, min(cycle, len(acts) - 1))
            ctx.set(dut.scan_take, 1 <= cycle <= len(acts))
            ctx.set(dut.grant, ctx.get(dut.pending))
            if cycle >= 2:
                assert ctx.get(dut.candidate) == acts[cycle - 2]
                assert ctx.get(dut.pending) == (acts[cycle - 2] != 0)
            await ctx.tick()
        assert not ctx.get(dut.pending)

    simulate(dut, bench)


def outputs_of(
    p: EieParams,
    accs: list[int],
    biases: list[int],
    shift: int,
    relu: bool,
    source: int = 0,
) -> list[int]:
    """Drain ``accs``, one per cycle, to the destination file, and read it."""
    dut = ActRw(p)
    count = len(accs)
    keep = [k % 100 for k in range(count)]
    got: list[int] = []

    async def bench(ctx: Any) -> None:
        await load_biases(ctx, dut, p, [bias_word(bias, shift) for bias in biases])
        await load_file(ctx, dut, p, source, keep)
        ctx.set(dut.source, source)
        ctx.set(dut.shift, shift)
        ctx.set(dut.activation, Activation(relu))
        for cycle in range(count + 2):
            ctx.set(dut.bias_read, cycle < count)
            ctx.set(dut.bias_row, min(cycle, count - 1))
            # One cycle after it was read, and in that cycle only.
            ctx.set(dut.acc, accs[cycle - 1] if 1 <= cycle <= count else 12345)
            ctx.set(dut.write, cycle >= 2)
            ctx.set(dut.write_row, max(0, cycle - 2))
            output = ctx.get(dut.output_data)
            await ctx.tick()
            if cycle >= 2:
                got.append(output)
        ctx.set(dut.write, 0)
        assert await read_file(ctx, dut, p, source, count) == keep
        assert await read_file(ctx, dut, p, 1 - source, count) == got

    simulate(dut, bench)
    return got


def output(p: EieParams, acc: int, bias: int, shift: int, relu: bool) -> int:
    half = 1 << p.acc_bits - 1
    total = (acc + bias_word(bias, shift) + half) % (2 * half) - half
    act = min(max(total >> shift, p.min_act), p.max_act)
    return max(act, 0) if relu else act


@pytest.mark.parametrize("source", [0, 1])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 5, 12, 22])
def test_drain(shift: int, relu: bool, source: int) -> None:
    rng = Random(shift)
    p = EieParams(num_acts=64, num_biases=64, act_bits=8, acc_bits=24)
    near = 1 << min(22, shift + 8)
    accs = [rng.randrange(-near, near) for _ in range(64)]
    biases = [rng.randrange(-near // 2, near // 2) for _ in range(64)]
    got = outputs_of(p, accs, biases, shift, relu, source)
    assert got == [
        output(p, acc, bias, shift, relu) for acc, bias in zip(accs, biases, strict=True)
    ]


def test_rounding_half_up() -> None:
    accs = [-25, -24, -23, -9, -8, -7, 7, 8, 9, 23, 24, 25]
    assert outputs_of(P, accs, [0] * 12, 4, relu=False) == [-2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2]
    assert outputs_of(P, accs, [0] * 12, 4, relu=True) == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2]


def test_saturation_at_both_ends() -> None:
    accs = [126, 127, 128, 129, 8388607, -127, -128, -129, -130, -8388608]
    clipped = [126, 127, 127, 127, 127, -127, -128, -128, -128, -128]
    assert outputs_of(P, accs, [0] * 10, 0, relu=False) == clipped
    assert outputs_of(P, accs, [0] * 10, 0, relu=True) == [126, 127, 127, 127, 127, 0, 0, 0, 0, 0]
    halves = [(127 << 4) + 7, (127 << 4) + 8, (-128 << 4) - 8, (-128 << 4) - 9]
    assert outputs_of(P, halves, [0] * 4, 4, relu=False) == [127, 127, -128, -128]


def test_largest_shift() -> None:
    p = EieParams(num_acts=4, num_biases=4, act_bits=8, acc_bits=64)
    # bias_word(0, 63) is 2**63, which wraps: the compiler proves that it is never needed.
    biases = [-(1 << 62), -(1 << 62), -(1 << 62)]
    accs = [-(1 << 62) - 1, -(1 << 62), (1 << 62) - 1]
    assert outputs_of(p, accs, biases, 63, relu=False) == [
        output(p, acc, bias, 63, False) for acc, bias in zip(accs, biases, strict=True)
    ]


def test_shift_beyond_the_accumulator_leaves_the_sign() -> None:
    dut = ActRw(P)

    async def bench(ctx: Any) -> None:
        await load_biases(ctx, dut, P, [0])
        ctx.set(dut.shift, 63)
        ctx.set(dut.bias_read, 1)
        for acc, act in ((1 << 22, 0), (-1, -1), (-(1 << 23), -1)):
            await ctx.tick()
            ctx.set(dut.acc, acc)
            await ctx.tick()
            assert ctx.get(dut.output_data) == act

    simulate(dut, bench)


def test_activation_as_wide_as_the_accumulator() -> None:
    p = EieParams(num_acts=4, num_biases=4, act_bits=16, acc_bits=16)
    assert outputs_of(p, [32767, -32768, -1], [0, 0, 1], 0, relu=False) == [32767, -32768, 0]
