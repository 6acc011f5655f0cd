from collections import Counter
from random import Random
from typing import Any

import pytest

from zeroskip.hw.eie.counters import Counters, counter_addr_bits
from zeroskip.hw.eie.formats import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(num_descriptors=3)
ROWS = 1 << counter_addr_bits(P)

Cycle = tuple[int, int] | None
"""Descriptor, stall class."""


async def clear(ctx: Any, dut: Counters, rows: range) -> None:
    ctx.set(dut.clear, 1)
    for row in rows:
        ctx.set(dut.addr, row)
        await ctx.tick()
    ctx.set(dut.clear, 0)


async def count(ctx: Any, dut: Counters, cycles: list[Cycle]) -> None:
    for cycle in cycles:
        ctx.set(dut.count, cycle is not None)
        if cycle is not None:
            ctx.set(dut.descriptor, cycle[0])
            ctx.set(dut.stall_class, cycle[1])
        await ctx.tick()
    ctx.set(dut.count, 0)
    await ctx.tick().repeat(2)


async def read(ctx: Any, dut: Counters) -> list[int]:
    counts = []
    ctx.set(dut.read, 1)
    for row in range(ROWS):
        ctx.set(dut.addr, row)
        await ctx.tick()
        counts.append(ctx.get(dut.read_data))
    ctx.set(dut.read, 0)
    return counts


def expected(cycles: list[Cycle]) -> list[int]:
    totals = Counter(cycle[0] * len(StallClass) + cycle[1] for cycle in cycles if cycle)
    return [totals[row] for row in range(ROWS)]


def test_address() -> None:
    """The class is in the low three bits, the descriptor above it."""
    assert len(StallClass) == 8
    assert counter_addr_bits(P) == 3 + P.descriptor_addr_bits


@pytest.mark.parametrize(("stay", "idle"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.5), (0.9, 0.3)])
def test_every_cycle_counts_once(stay: float, idle: float) -> None:
    dut = Counters(P)
    rng = Random(8)
    cycles: list[Cycle] = []
    at = (0, 0)
    for _ in range(400):
        if rng.random() >= stay:
            at = rng.randrange(3), rng.randrange(8)
        cycles.append(None if rng.random() < idle else at)

    async def bench(ctx: Any) -> None:
        await clear(ctx, dut, range(ROWS))
        assert await read(ctx, dut) == [0] * ROWS
        await count(ctx, dut, cycles)
        assert await read(ctx, dut) == expected(cycles)
        # A second run adds to the first.
        await count(ctx, dut, cycles[:50])
        assert await read(ctx, dut) == expected(cycles + cycles[:50])
        await clear(ctx, dut, range(5, ROWS))
        assert await read(ctx, dut) == expected(cycles + cycles[:50])[:5] + [0] * (ROWS - 5)

    simulate(dut, bench)
