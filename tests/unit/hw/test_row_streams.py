"""Rows that stream into and out of the array, at any time, against golden and the cycle model."""

from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.hw.array_bench import Bench, DrawNetwork, Run, make_run, params
from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie.host import Space, StreamStall, counter_row, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate
from zeroskip.sim.eie.cycles.program import run_program


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

    async def take(self, ctx: Any, count: int, base: int, dest: int, gaps: Any) -> list[int]:
        """Get rows of the source, or the destination."""
        array = self.array
        ctx.set(array.out_base, base)
        ctx.set(array.out_rows, count)
        ctx.set(array.out_dest, dest)
        ctx.set(array.out_start, 1)
        await ctx.tick()
        ctx.set(array.out_start, 0)
        ctx.set(array.out_dest, 1 - dest)
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


@pytest.mark.parametrize("seed", range(4))
def test_inferences_overlap(seed: int, draw_network: DrawNetwork) -> None:
    """A run begins before its input is there; outputs leave during the next one."""
    p = params(act_files=3)
    one: Run = make_run(draw_network, p, seed)
    bench = StreamBench(p)
    rng = Random(seed)
    count = 6
    samples = [rng.randrange(2) for _ in range(count)]
    loading, started, ended, leaving = ([False] * count for _ in range(4))
    got: list[list[int]] = []
    spent: list[int] = []
    counted: list[int] = []
    longest = [0, 4, 40, 100][seed]

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
            await ctx.tick().repeat(rng.choice([1, 1, 2, 30]))
            await bench.order(ctx, Command.START | Command.NEXT)
            started[number] = True
            await ctx.tick()
            await bench.end(ctx)
            ended[number] = True
            spent.append(await bench.read(ctx, Space.CONTROL, Control.CYCLES))
        counted.extend(await bench.counts(ctx, len(one.passes)))

    async def outs(ctx: Any) -> None:
        rows = len(one.rows(-1, 0))
        for number in range(count):
            while not ended[number]:
                await ctx.tick()
            leaving[number] = True
            got.append(await bench.take(ctx, rows, 0, 0, random_gaps(rng.random(), longest)))

    simulate(bench.dut, host, loads, outs, monitors=[bench.record, bench.watch_rows])
    assert bench.written == [row for sample in samples for row in one.written(sample)]
    assert got == [[bench.word(row) for row in one.rows(-1, sample)] for sample in samples]
    # The model, told when rows came; the passes until the first swap read them.
    came = np.array(bench.came).reshape(count, -1)
    model = np.zeros_like(one.counters[0])
    for number, sample in enumerate(samples):
        at = came[number] - bench.started[number]
        first = one.segment.program[: 1 + [part.swap for part in one.segment.program].index(True)]
        row_at = [at[part.src_base : part.src_base + part.src_rows] for part in first]
        cycles, counters = run_program(one.passes, one.scanned[sample], p, row_at=row_at)
        assert spent[number] == cycles
        model += counters
    assert counted == model.ravel().tolist()
    if longest > 4:
        assert model[..., StreamStall.MEMORY].any()
