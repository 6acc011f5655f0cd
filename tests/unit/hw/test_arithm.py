from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment

from zeroskip.hw.eie.arithm import Arithm
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_accs=12, weight_bits=12, act_bits=10, acc_bits=20)

Entry = tuple[int, int, int]
"""Code, row, value."""


def wrap(value: int, bits: int) -> int:
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


def draw_codebook(p: EieParams, rng: Random) -> list[int]:
    half = 1 << p.weight_bits - 1
    return [0, -half, half - 1, *(rng.randrange(-half, half) for _ in range(p.num_codes))][
        : p.num_codes
    ]


def draw_entries(p: EieParams, rng: Random, rows: int, gap: float) -> list[Entry | None]:
    return [
        None
        if rng.random() < gap
        else (
            rng.randrange(1, p.num_codes),
            rng.randrange(rows),
            rng.choice([p.min_act, p.max_act, rng.randrange(p.min_act, p.max_act)]),
        )
        for _ in range(200)
    ]


async def load(ctx: Any, dut: Arithm, codebook: Sequence[int]) -> None:
    bits = len(dut.codebook) // len(codebook)
    mask = (1 << bits) - 1
    ctx.set(dut.codebook, sum((w & mask) << bits * k for k, w in enumerate(codebook)))


async def clear(ctx: Any, dut: Arithm, rows: int) -> None:
    ctx.set(dut.clear, 1)
    for row in range(rows):
        ctx.set(dut.clear_row, row)
        await ctx.tick()
    ctx.set(dut.clear, 0)


async def issue(ctx: Any, dut: Arithm, entries: Sequence[Entry | None]) -> None:
    """Issue an entry per cycle, then wait no longer than ``busy``."""
    for entry in entries:
        ctx.set(dut.valid, entry is not None)
        if entry is not None:
            ctx.set(dut.code, entry[0])
            ctx.set(dut.row, entry[1])
            ctx.set(dut.value, entry[2])
        await ctx.tick()
        assert ctx.get(dut.busy) or entry is None
    ctx.set(dut.valid, 0)
    waited = 0
    while ctx.get(dut.busy):
        await ctx.tick()
        waited += 1
    assert waited <= 3


async def read(ctx: Any, dut: Arithm, rows: int) -> list[int]:
    sums = []
    ctx.set(dut.read, 1)
    for row in range(rows):
        ctx.set(dut.read_row, row)
        await ctx.tick()
        sums.append(ctx.get(dut.read_data))
    ctx.set(dut.read, 0)
    return sums


class Fpga:
    """A platform, as far as the unit looks at it."""

    has_multipliers = True


def sums_of(
    p: EieParams,
    *loads: tuple[Sequence[int], Sequence[Entry | None]],
    platform: Fpga | None = None,
) -> list[int]:
    """Work through entries with one codebook after the other, and read the accumulators."""
    dut = Arithm(p)
    whole = Fragment.get(dut, platform)
    sums: list[int] = []

    async def bench(ctx: Any) -> None:
        await clear(ctx, dut, p.num_accs)
        for codebook, entries in loads:
            await load(ctx, dut, codebook)
            await issue(ctx, dut, entries)
        sums.extend(await read(ctx, dut, p.num_accs))

    simulate(whole, bench)
    return sums


def expected(p: EieParams, *loads: tuple[Sequence[int], Sequence[Entry | None]]) -> list[int]:
    sums = [0] * p.num_accs
    for codebook, entries in loads:
        for code, row, value in filter(None, entries):
            sums[row] += codebook[code] * value
    return [wrap(total, p.acc_bits) for total in sums]


PLATFORMS = pytest.mark.parametrize("platform", [None, Fpga()], ids=["gates", "fpga"])


@PLATFORMS
@pytest.mark.parametrize("gap", [0.0, 0.5])
@pytest.mark.parametrize("rows", [1, 2, 3, 12])
def test_random_entries(rows: int, gap: float, platform: Fpga | None) -> None:
    rng = Random(rows)
    load = draw_codebook(P, rng), draw_entries(P, rng, rows, gap)
    assert sums_of(P, load, platform=platform) == expected(P, load)


@pytest.mark.parametrize("distance", [1, 2, 3, 4])
@pytest.mark.parametrize("gap", [False, True])
def test_same_row_again(distance: int, gap: bool) -> None:
    filler = None if gap else (3, 5, 1)
    entries: list[Entry | None] = []
    for value in (1, -20, 300):
        entries += [(2, 4, value), *[filler] * (distance - 1)]
    load = list(range(100, 116)), entries
    assert sums_of(P, load) == expected(P, load)
    assert sums_of(P, load)[4] == 102 * 281


def test_one_row_in_every_cycle() -> None:
    load = list(range(16)), [(1 + k % 15, 7, k) for k in range(100)]
    assert sums_of(P, load) == expected(P, load)


def test_accumulators_wrap() -> None:
    p = EieParams(num_accs=2, weight_bits=8, act_bits=8, acc_bits=16)
    codebook = [0, 127, -128, 1] + [0] * 12
    up = [(1, 0, 127), (1, 0, 127), (3, 0, 127), (3, 0, 127), (3, 0, 127), (3, 0, 127)]
    assert 2 * 127 * 127 + 4 * 127 == 32766
    assert sums_of(p, (codebook, up)) == [32766, 0]
    assert sums_of(p, (codebook, [*up, (3, 0, 2)])) == [-32768, 0]
    assert sums_of(p, (codebook, [(2, 1, 127)] * 2 + [(2, 1, 2), (3, 1, -1)])) == [0, 32767]


def test_product_wider_than_the_accumulator_wraps() -> None:
    p = EieParams(num_accs=2, weight_bits=16, act_bits=16, acc_bits=16)
    codebook = [0, 257] + [0] * 14
    assert sums_of(p, (codebook, [(1, 0, 1000), (1, 1, -1000)])) == [
        wrap(257_000, 16),
        wrap(-257_000, 16),
    ]


def test_most_negative_product() -> None:
    codebook = [0, -2048] + [0] * 14
    p = EieParams(num_accs=2, weight_bits=12, act_bits=10, acc_bits=32)
    assert sums_of(p, (codebook, [(1, 0, -512), (1, 1, 511)])) == [1 << 20, -2048 * 511]


def test_new_codebook() -> None:
    rng = Random(2)
    loads = [(draw_codebook(P, rng), draw_entries(P, rng, 12, 0.2)) for _ in range(3)]
    assert sums_of(P, *loads) == expected(P, *loads)


@PLATFORMS
@pytest.mark.parametrize("bits", [1, 8])
def test_code_widths(bits: int, platform: Fpga | None) -> None:
    p = EieParams(num_accs=4, code_bits=bits, weight_bits=16, act_bits=8, acc_bits=40)
    rng = Random(bits)
    load = draw_codebook(p, rng), draw_entries(p, rng, 4, 0.1)
    assert sums_of(p, load, platform=platform) == expected(p, load)


def test_accumulators_are_cleared_one_by_one() -> None:
    dut = Arithm(P)

    async def bench(ctx: Any) -> None:
        await load(ctx, dut, range(16))
        await issue(ctx, dut, [(1, row, row + 1) for row in range(P.num_accs)])
        await clear(ctx, dut, 3)
        assert await read(ctx, dut, P.num_accs) == [0, 0, 0, *range(4, P.num_accs + 1)]
        await clear(ctx, dut, P.num_accs)
        assert await read(ctx, dut, P.num_accs) == [0] * P.num_accs

    simulate(dut, bench)
