from collections import Counter
from random import Random
from typing import Any

from amaranth.hdl import Fragment

from zeroskip.hw.scnn.counters import Counters
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.assembly import Watch, count_reads
from zeroskip.sim.bench.pysim import simulate


def test_every_counted_cycle_adds_all_multipliers() -> None:
    """An SRAM is read where there is something to add only."""
    p = ScnnParams(mult_f=3, mult_i=5, num_descriptors=4)
    dut = Counters(p)
    watch = Watch()
    whole = Fragment.get(dut, watch)
    reads: Counter[str] = Counter()
    adds = [0, 0]
    rng = Random(0)
    expected: Counter[tuple[int, int]] = Counter()
    rows = [(descriptor, stall) for descriptor in range(4) for stall in StallClass]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.clear, 1)
        for descriptor, stall in rows:
            ctx.set(dut.addr, descriptor * 8 + stall)
            await ctx.tick()
        ctx.set(dut.clear, 0)
        cycles = 0
        for _ in range(300):
            count, descriptor = rng.random() < 0.8, rng.randrange(4)
            stall = rng.choice(list(StallClass)[1:])
            useful = rng.randint(0, 15) if stall == StallClass.FRAGMENTATION else 0
            ctx.set(dut.count, count)
            ctx.set(dut.descriptor, descriptor)
            ctx.set(dut.stall_class, stall)
            ctx.set(dut.useful, useful)
            if count:
                expected[descriptor, StallClass.USEFUL] += useful
                expected[descriptor, stall] += 15 - useful
                cycles += 1
                adds[0] += useful > 0
                adds[1] += useful < 15
            await ctx.tick()
        ctx.set(dut.count, 0)
        await ctx.tick().repeat(2)
        assert [reads["rows"], reads["rows_1"]] == adds
        ctx.set(dut.read, 1)
        total = 0
        for descriptor, stall in rows:
            ctx.set(dut.addr, descriptor * 8 + stall)
            await ctx.tick()
            assert ctx.get(dut.read_data) == expected[descriptor, stall]
            total += ctx.get(dut.read_data)
        assert total == 15 * cycles

    async def monitor(ctx: Any) -> None:
        await count_reads(ctx, watch.memories, reads)

    simulate(whole, bench, monitors=[monitor])
