from random import Random
from typing import Any

import pytest

from zeroskip.hw.scnn.groups import Groups
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import simulate


def test_goes_on_in_the_other_set_while_one_is_drained() -> None:
    dut = Groups(ScnnParams())

    async def cycle(ctx: Any, *, ended: int = 0, drained: int = 0) -> None:
        ctx.set(dut.ended, ended)
        ctx.set(dut.drained, drained)
        await ctx.tick()
        ctx.set(dut.ended, 0)
        ctx.set(dut.drained, 0)

    def state(ctx: Any) -> tuple[int, ...]:
        names = (dut.open, dut.set, dut.group_ready, dut.finished_set, dut.done)
        return tuple(ctx.get(name) for name in names)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.swap, 1)
        ctx.set(dut.groups, 4)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        assert state(ctx) == (1, 0, 0, 0, 0)
        ctx.set(dut.waiting, 0b01)
        await cycle(ctx, ended=1)
        assert state(ctx) == (1, 1, 0, 0, 0)  # group 0 has ended, its products are on the way
        ctx.set(dut.waiting, 0b10)
        assert state(ctx) == (1, 1, 1, 0, 0)
        await cycle(ctx, ended=1)
        assert state(ctx) == (0, 1, 1, 0, 0)  # group 1 has ended, too: set 0 is not free
        await cycle(ctx)
        assert state(ctx) == (0, 1, 1, 0, 0)
        await cycle(ctx, drained=1)
        assert state(ctx) == (1, 0, 0, 1, 0)  # set 0 computes group 2
        ctx.set(dut.waiting, 0b01)
        assert state(ctx) == (1, 0, 1, 1, 0)
        await cycle(ctx, ended=1, drained=1)
        assert state(ctx) == (1, 1, 0, 0, 0)  # in one cycle, no bubble
        ctx.set(dut.waiting, 0)
        await cycle(ctx, drained=1)
        assert state(ctx) == (1, 1, 0, 0, 0)
        await cycle(ctx, ended=1)
        assert state(ctx) == (1, 0, 1, 1, 1)

    simulate(dut, bench)


def test_a_pass_that_keeps_its_sums_stays_in_its_set() -> None:
    dut = Groups(ScnnParams())

    async def bench(ctx: Any) -> None:
        ctx.set(dut.groups, 1)
        for _ in range(2):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.ended, 1)
            await ctx.tick()
            ctx.set(dut.ended, 0)
            ctx.set(dut.waiting, 1)
            assert not ctx.get(dut.group_ready)
            ctx.set(dut.waiting, 0)
            assert ctx.get(dut.group_ready)
            assert ctx.get(dut.set) == 0
            ctx.set(dut.drained, 1)
            await ctx.tick()
            ctx.set(dut.drained, 0)
            assert not ctx.get(dut.group_ready)

    simulate(dut, bench)


@pytest.mark.parametrize("seed", range(4))
def test_never_computes_in_a_set_that_is_not_drained(seed: int) -> None:
    dut = Groups(ScnnParams())
    rng = Random(seed)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.swap, 1)
        ctx.set(dut.groups, 2000)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ended = drained = 0
        for _ in range(500):
            assert ctx.get(dut.set) == (ended - (ended - drained == 2)) % 2
            assert ctx.get(dut.open) == (ended - drained < 2)
            assert ctx.get(dut.group_ready) == (ended > drained)
            if ended > drained:
                assert ctx.get(dut.finished_set) == drained % 2
            end = ended - drained < 2 and rng.random() < 0.5
            drain = ended > drained and rng.random() < 0.4
            ctx.set(dut.ended, end)
            ctx.set(dut.drained, drain)
            ended, drained = ended + end, drained + drain
            await ctx.tick()

    simulate(dut, bench)
