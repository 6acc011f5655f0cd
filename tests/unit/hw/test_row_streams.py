"""Rows that stream into and out of the array, at any time, against golden and the cycle model."""

from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.tiers import cases
from tests.unit.hw.array_bench import Bench, DrawNetwork, Run, make_run, params
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie.host import Space, StallClass, counter_row, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate
from zeroskip.sim.eie.cycles.program import read_ahead, run_program


class StreamBench(Bench):
    """The array, and who moves rows beside its host.

    Attributes
    ----------
    came, started : cycles in which a row streamed in, and a run began.
    """

    def __init__(self, p: EieParams) -> None:
        super().__init__(p)
        self.came: list[int] = []
        self.started: list[int] = []

    def word(self, acts: NDArray[np.int64]) -> int:
        """Give a row as the streams have it."""
        bits = self.p.act_bits
        return sum((int(act) & (1 << bits) - 1) << bits * pe for pe, act in enumerate(acts))

    async def send(self, ctx: Any, rows: NDArray[np.int64], base: int, gaps: Any) -> None:
        """Load rows into the free file."""
        array = self.array
        ctx.set(array.in_base, base)
        ctx.set(array.in_rows, len(rows))
        ctx.set(array.in_start, 1)
        await ctx.tick()
        ctx.set(array.in_start, 0)
        ctx.set(array.in_base, 0)
        assert ctx.get(array.in_busy)
        await put(ctx, array.rows_in, [self.word(one) for one in rows], gaps)
        assert not ctx.get(array.in_busy)

    async def take(
        self, ctx: Any, count: int, base: int, dest: int, gaps: Any, *, follow: bool = False
    ) -> list[int]:
        """Get rows of the source, or the destination, or as they are made."""
        array = self.array
        ctx.set(array.out_base, base)
        ctx.set(array.out_rows, count)
        ctx.set(array.out_dest, dest)
        ctx.set(array.out_follow, follow)
        ctx.set(array.out_start, 1)
        await ctx.tick()
        ctx.set(array.out_start, 0)
        ctx.set(array.out_dest, 1 - dest)
        ctx.set(array.out_follow, 0)
        got = await get(ctx, array.rows_out, count, gaps)
        assert not ctx.get(array.out_busy)
        return got

    async def watch_rows(self, ctx: Any) -> None:
        """Note in which cycle each row came, and each run began: a monitor."""
        array = self.array
        cycle, ran = 0, True
        while True:
            sampled = ctx.tick().sample(array.rows_in.valid & array.rows_in.ready, array.running)
            _, _, came, running = await sampled
            if came:
                self.came.append(cycle)
            if running and not ran:
                self.started.append(cycle + 1)
            ran = running
            cycle += 1

    async def counts(self, ctx: Any, passes: int) -> list[int]:
        """Read all counters."""
        p = self.p
        return [
            await self.read(ctx, Space.COUNTER, counter_row(p, number, stall), pe)
            for number in range(passes)
            for pe in range(p.num_pes)
            for stall in stall_classes(p)
        ]

    async def order(self, ctx: Any, command: Command) -> None:
        """Give a command, and do not wait."""
        await self.write(ctx, Space.CONTROL, Control.COMMAND, command)

    async def end(self, ctx: Any) -> None:
        while ctx.get(self.array.running):
            await ctx.tick()


ARRAYS: list[tuple[int, dict[str, Any]]] = [
    (0, {}),
    (4, {"pointers_first": True, "skip_padding": True, "run_bits": 1}),
    (9, {"num_pes": 5, "num_accs": 2, "queue_depth": 1}),
    (40, {"pointers_first": True}),
    (100, {"num_pes": 2, "num_accs": 4}),
    (30, {"num_pes": 1, "num_pointers": 128, "num_accs": 16, "spmat_words": 128}),
]
"""The longest gap between rows, and sizes: with one and several passes over the input."""


@pytest.mark.parametrize("seed", cases(range(len(ARRAYS)), range(2, len(ARRAYS)), "more arrays"))
def test_inferences_overlap(seed: int, draw_network: DrawNetwork) -> None:
    """A run begins before its input is there; outputs leave as they are made, or later."""
    longest, sizes = ARRAYS[seed]
    p = params(act_files=3, **sizes)
    one: Run = make_run(draw_network, p, seed)
    bench = StreamBench(p)
    rng = Random(seed)
    count = 6
    samples = [rng.randrange(2) for _ in range(count)]
    loading, started, ended, leaving = ([False] * count for _ in range(4))
    got: list[list[int]] = []
    early: list[int] = []
    spent: list[int] = []
    counted: list[int] = []

    async def loads(ctx: Any) -> None:
        for number, sample in enumerate(samples):
            while number and not started[number - 1]:
                await ctx.tick()
            for _ in range(rng.choice([0, 0, rng.randrange(200)])):
                await ctx.tick()
            loading[number] = True
            await bench.send(ctx, one.rows(0, sample), 0, random_gaps(rng.random(), longest))

    async def host(ctx: Any) -> None:
        await bench.load(ctx, one)
        for number in range(count):
            while not loading[number] or (number and not leaving[number - 1]):
                await ctx.tick()
            await ctx.tick().repeat(1 if longest > 9 else rng.choice([1, 2, 30]))
            await bench.order(ctx, Command.START | Command.NEXT)
            started[number] = True
            await ctx.tick()
            await bench.end(ctx)
            ended[number] = True
            spent.append(await bench.read(ctx, Space.CONTROL, Control.CYCLES))
        counted.extend(await bench.counts(ctx, len(one.passes)))

    async def outs(ctx: Any) -> None:
        rows = len(one.rows(-1, 0))
        array, program = bench.array, one.segment.program
        swaps = [number for number, part in enumerate(program[:-1]) if part.swap]
        first = max(swaps, default=-1) + 1
        while not program[first].drain:
            first += 1
        for number in range(count):
            follow = number % 3 > 0
            while not ended[number]:
                drains = ctx.get(array.out_drains) and ctx.get(array.out_pass) >= first
                if follow and started[number] and drains:
                    early.append(number)
                    break
                await ctx.tick()
            leaving[number] = True
            gaps = random_gaps(rng.random(), longest)
            got.append(await bench.take(ctx, rows, 0, 0, gaps, follow=follow))

    simulate(bench.dut, host, loads, outs, monitors=[bench.record, bench.watch_rows])
    assert bench.written == [row for sample in samples for row in one.written(sample)]
    assert 1 in early
    assert got == [[bench.word(row) for row in one.rows(-1, sample)] for sample in samples]
    # The model, told when rows came; the passes until the first swap read them.
    came = np.array(bench.came).reshape(count, -1)
    model = np.zeros_like(one.counters[0])
    turn = -1 << 30
    for number, sample in enumerate(samples):
        at = came[number] - bench.started[number]
        first = one.segment.program[: 1 + [part.swap for part in one.segment.program].index(True)]
        row_at = [at[part.src_base : part.src_base + part.src_rows] for part in first]
        ready = read_ahead(turn - bench.started[number], one.passes[-1], one.passes[0])
        times: list[tuple[int, int]] = []
        cycles, counters = run_program(
            one.passes, one.scanned[sample], p, row_at=row_at, times=times, ready=ready
        )
        turn = bench.started[number] + times[-1][0] - 1
        assert spent[number] == cycles
        model += counters
    assert counted == model.ravel().tolist()
    if longest > 9:
        assert model[..., StallClass.MEMORY].any()


async def infer(ctx: Any, bench: StreamBench, one: Run, sample: int, command: Command) -> None:
    """Load an input, run, and compare the outputs."""
    if command & Command.NEXT:
        await bench.send(ctx, one.rows(0, sample), 0, random_gaps(sample, 2))
    else:
        await bench.load_acts(ctx, one.rows(0, sample))
    await bench.order(ctx, command)
    await ctx.tick()
    await bench.end(ctx)
    rows = one.rows(-1, sample)
    got = await bench.take(ctx, len(rows), 0, 0, random_gaps(sample, 2))
    assert got == [bench.word(row) for row in rows]


def test_cleared_amid_streams(draw_network: DrawNetwork) -> None:
    """A clearing leaves all rows that are under way, whatever the array does."""
    p = params(act_files=3)
    one = make_run(draw_network, p, 5)
    bench = StreamBench(p)
    array, rng = bench.array, Random(5)
    noisy = False
    seen: set[tuple[int, ...]] = set()

    async def noise(ctx: Any) -> None:
        """Load and take any rows of any file at any time."""
        was = False
        while True:
            if noisy or was:
                on = int(noisy)
                ctx.set(array.in_start, on & rng.randrange(2) & ~ctx.get(array.in_busy))
                ctx.set(array.in_rows, rng.randrange(1, 17))
                ctx.set(array.rows_in.valid, on & (rng.random() < 0.3))
                ctx.set(array.rows_in.payload, rng.getrandbits(24))
                ctx.set(array.out_start, on & rng.randrange(2) & ~ctx.get(array.out_busy))
                ctx.set(array.out_dest, rng.randrange(2))
                ctx.set(array.out_rows, rng.randrange(1, 17))
                ctx.set(array.rows_out.ready, on & (rng.random() < 0.3))
            was = noisy
            await ctx.tick()

    async def host(ctx: Any) -> None:
        nonlocal noisy
        await bench.load(ctx, one)
        for number in range(25):
            noisy = True
            start = rng.choice([Command.START, Command.START | Command.KEEP])
            await bench.order(ctx, rng.choice([start, start | Command.NEXT]))
            await ctx.tick().repeat(rng.randrange(1, 150))
            await bench.order(ctx, Command.CLEAR)
            noisy = False
            under_way = array.in_busy, array.out_busy, array.rows_out.valid, bench.array.running
            seen.add(tuple(ctx.get(one) for one in under_way))
            await ctx.tick().repeat(2)
            assert not ctx.get(array.in_busy)
            assert not ctx.get(array.out_busy)
            assert not ctx.get(array.rows_out.valid)
            await bench.end(ctx)
            await infer(ctx, bench, one, number % 2, Command.START | Command.NEXT)

    simulate(bench.dut, host, monitors=[noise])
    assert {state[:3] for state in seen} >= {(0, 1, 1), (1, 1, 0), (1, 1, 1)}


def test_files_change_roles(draw_network: DrawNetwork) -> None:
    """A START takes file 0, the source as it is, or what was loaded, whatever came before."""
    p = params(act_files=3)
    one = make_run(draw_network, p, 6)
    bench = StreamBench(p)
    rng = Random(6)
    loaded = Command.START | Command.NEXT

    async def host(ctx: Any) -> None:
        await bench.load(ctx, one)
        for number in range(16):
            kind = rng.choice([Command.START, loaded, loaded | Command.KEEP])
            if rng.randrange(2):
                # Cut short by what follows, at any time.
                await bench.send(ctx, one.rows(0, 0), 0, random_gaps(number, 1))
                await bench.order(ctx, loaded)
                await ctx.tick().repeat(rng.randrange(1, 100))
                if kind == Command.START:
                    await bench.order(ctx, Command.START)
            await infer(ctx, bench, one, number % 2, kind)
            # The result is the source, and stays where the next run does not take another.
            source = StatusBit(await bench.read(ctx, Space.CONTROL, Control.STATUS)).source
            rows = one.rows(-1, number % 2)
            for (row, pe), act in np.ndenumerate(rows):
                got = await bench.read(ctx, Space.ACT, source << p.act_addr_bits | row, pe)
                assert got & 0xFF == int(act) & 0xFF

    simulate(bench.dut, host)


def test_host_beside_streams() -> None:
    """The host's writes to activation files go between the rows; its reads wait for rows out."""
    p = params(act_files=3)
    bench = StreamBench(p)
    array = bench.array
    rng = np.random.default_rng(7)
    rows, other = rng.integers(-128, 128, (2, 16, p.num_pes))
    stalled = True

    async def sends(ctx: Any) -> None:
        await ctx.tick().until(~array.running)
        await bench.send(ctx, rows, 0, [0] * 16)

    async def host(ctx: Any) -> None:
        nonlocal stalled
        await ctx.tick().until(~array.running)
        await bench.load_acts(ctx, other)  # file 0
        await ctx.tick().until(~array.in_busy)
        for (row, pe), act in np.ndenumerate(rows):
            addr = 2 << p.act_addr_bits | row
            assert await bench.read(ctx, Space.ACT, addr, pe) & 0xFF == int(act) & 0xFF
        ctx.set(array.out_rows, 16)
        ctx.set(array.out_start, 1)
        await ctx.tick()
        ctx.set(array.out_start, 0)
        for _ in range(40):  # no row is taken; other spaces are answered
            await bench.read(ctx, Space.CONTROL, Control.STATUS)
        assert ctx.get(array.out_busy)
        stalled = False
        addr = 2 << p.act_addr_bits
        assert await bench.read(ctx, Space.ACT, addr, 0) & 0xFF == int(rows[0, 0]) & 0xFF
        assert not ctx.get(array.out_busy)

    async def takes(ctx: Any) -> None:
        while stalled:
            await ctx.tick()
        got = await get(ctx, array.rows_out, 16, random_gaps(1, 3))
        assert got == [bench.word(row) for row in other]

    simulate(bench.dut, host, sends, takes)
