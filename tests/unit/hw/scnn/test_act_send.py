from typing import Any

import pytest

from zeroskip.hw.scnn.act_send import ActSend
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import get, random_gaps, simulate


@pytest.mark.parametrize("gap", [0, 3])
def test_asks_for_every_entry_in_every_round(gap: int) -> None:
    p = ScnnParams(num_channels=8)
    dut, passes = ActSend(p), [(3, 2), (0, 5), (1, 1), (2, 8)]

    async def bench(ctx: Any) -> None:
        gaps = random_gaps(1, gap)
        for groups, entries in passes:
            ctx.set(dut.groups, groups)
            ctx.set(dut.entries, entries)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            requests = await get(ctx, dut.o, groups * entries, gaps)
            found = [(r.channel, r.place.count, r.place.last) for r in requests]
            assert found == groups * [(e, 1, int(e == entries - 1)) for e in range(entries)]
            for _ in range(3):
                assert not ctx.get(dut.o.valid)
                await ctx.tick()

    simulate(dut, bench)
