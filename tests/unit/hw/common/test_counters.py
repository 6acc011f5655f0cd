from collections import Counter
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Fragment

from tests.support.assembly import Watch, count_reads
from zeroskip.hw.common.counters import Counters, counter_addr_bits
from zeroskip.hw.common.params import ArrayParams
from zeroskip.hw.eie.host import StallClass as EieClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.formats import StallClass as ScnnClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate

ARRAYS: dict[str, tuple[ArrayParams, Any, int]] = {
    "eie": (EieParams(num_descriptors=3), EieClass, 1),
    "scnn": (ScnnParams(mult_f=3, mult_i=5, num_descriptors=4), ScnnClass, 15),
    "scnn of one multiplier": (ScnnParams(mult_f=1, mult_i=1, num_descriptors=4), ScnnClass, 1),
}

Cycle = tuple[int, int, int] | None
"""Descriptor, useful units, class of the others; None if it does not count."""


def draw_cycles(
    rng: Random, descriptors: int, units: int, classes: int, stay: float
) -> list[Cycle]:
    cycles: list[Cycle] = []
    cycle = (0, 0, 1)
    for _ in range(400):
        if rng.random() >= stay:
            useful = rng.choice([0, 0, units, rng.randint(0, units)])
            cycle = rng.randrange(descriptors), useful, rng.randrange(1, classes)
        cycles.append(None if rng.random() < 0.2 else cycle)
    return cycles


def expected(cycles: list[Cycle], units: int, size: int) -> Counter[int]:
    """Add up multiplier-cycles by row of the counter memory; a descriptor has ``size`` rows."""
    counts: Counter[int] = Counter()
    for cycle in cycles:
        if cycle is not None:
            descriptor, useful, stall_class = cycle
            counts[size * descriptor] += useful
            counts[size * descriptor + stall_class] += units - useful
    return counts


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("stay", [0.0, 0.8])
def test_every_unit_counts_once(array: tuple[ArrayParams, Any, int], stay: float) -> None:
    """An SRAM is read where there is something to add only."""
    params, classes, units = array
    class_bits = (len(classes) - 1).bit_length()
    size = 1 << class_bits
    assert counter_addr_bits(params, classes) == class_bits + params.descriptor_addr_bits
    dut = Counters(params, classes, units)
    watch = Watch()
    whole: Any = Fragment.get(dut, watch)
    rows = range(size * params.num_descriptors)
    cycles = draw_cycles(Random(units), params.num_descriptors, units, len(classes), stay)
    reads: Counter[str] = Counter()

    async def clear(ctx: Any, rows: range) -> None:
        ctx.set(dut.clear, 1)
        for row in rows:
            ctx.set(dut.addr, row)
            await ctx.tick()
        ctx.set(dut.clear, 0)

    async def count(ctx: Any, cycles: list[Cycle]) -> None:
        for cycle in cycles:
            ctx.set(dut.count, cycle is not None)
            if cycle is not None:
                for port, value in zip(
                    (dut.descriptor, dut.useful, dut.stall_class), cycle, strict=True
                ):
                    ctx.set(port, value)
            await ctx.tick()
        ctx.set(dut.count, 0)
        await ctx.tick().repeat(2)

    async def read(ctx: Any) -> list[int]:
        counts = []
        ctx.set(dut.read, 1)
        for row in rows:
            ctx.set(dut.addr, row)
            await ctx.tick()
            counts.append(ctx.get(dut.read_data))
        ctx.set(dut.read, 0)
        return counts

    async def bench(ctx: Any) -> None:
        await clear(ctx, rows)
        assert await read(ctx) == [0] * len(rows)
        await ctx.tick()
        before = reads.copy()
        await count(ctx, cycles)
        counted = [cycle for cycle in cycles if cycle]
        if units == 1:
            adds = {"rows": len(counted)}
        else:
            adds = {
                "rows": sum(useful > 0 for _, useful, _ in counted),
                "rows_1": sum(useful < units for _, useful, _ in counted),
            }
        assert reads - before == adds
        counts = expected(cycles, units, size)
        assert await read(ctx) == [counts[row] for row in rows]
        # A second run adds to the first.
        await count(ctx, cycles[:50])
        counts += expected(cycles[:50], units, size)
        assert await read(ctx) == [counts[row] for row in rows]
        assert counts.total() == units * sum(map(bool, cycles + cycles[:50]))
        await clear(ctx, rows[5:])
        assert await read(ctx) == [counts[row] for row in rows[:5]] + [0] * len(rows[5:])

    async def monitor(ctx: Any) -> None:
        await count_reads(ctx, watch.memories, reads)

    simulate(whole, bench, monitors=[monitor])
