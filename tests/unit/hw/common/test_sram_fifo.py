from collections import deque
from itertools import repeat
from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.sram_fifo import SramFifo
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
@pytest.mark.parametrize("often", [(0.9, 0.3), (0.5, 0.5), (0.3, 0.9), (1, 1)])
def test_as_registers_and_conditions_say(depth: int, often: tuple[float, float]) -> None:
    """Every output in every cycle, beside a model of rows that were written and the output."""
    dut, rng = SramFifo(16, depth, "words"), Random(depth)
    rows: deque[int] = deque()
    output: list[int] = []

    async def bench(ctx: Any) -> None:
        for number in range(200):
            offer, take = (rng.random() < chance for chance in often)
            ctx.set(dut.i.valid, offer)
            ctx.set(dut.i.payload, number)
            ctx.set(dut.o.ready, take)
            room = len(rows) < depth
            assert ctx.get(dut.i.ready) == room
            assert ctx.get(dut.o.valid) == bool(output)
            if output:
                assert ctx.get(dut.o.payload) == output[0]
            freed = bool(rows) and (not output or take)
            assert ctx.get(dut.freed) == freed
            if take:
                output.clear()
            if freed:
                output.append(rows.popleft())
            if offer and room:
                rows.append(number)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("gaps", [(0, 0), (3, 0), (0, 3), (2, 2)])
def test_every_word_once_and_in_order(gaps: tuple[int, int]) -> None:
    dut, words = SramFifo(8, 4, "words"), list(range(100))

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, words, random_gaps(1, gaps[0]))

    async def sink(ctx: Any) -> None:
        assert await get(ctx, dut.o, len(words), random_gaps(2, gaps[1])) == words

    simulate(dut, source, sink)


def test_a_word_every_cycle() -> None:
    dut, cycles = SramFifo(8, 4, "words"), 0

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, range(50), repeat(0))

    async def sink(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.o.ready, 1)
        got = 0
        while got < 50:
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            got += valid
            cycles += 1

    simulate(dut, source, sink)
    assert cycles == 50 + 2
