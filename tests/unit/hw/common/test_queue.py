# amaranth: UnusedElaboratable=no
from collections import deque
from itertools import repeat
from typing import Any

import pytest
from amaranth.lib import data
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import examples
from zeroskip.hw.common.queue import Queue
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

DEPTHS = [1, 2, 3, 8]


# Where the oldest entry is, and when one is known to come.
KINDS = [{}, {"late": True}, {"head": True}]


def run_cycles(depth: int, cycles: list[tuple[bool, bool]], **kind: bool) -> None:
    """Offer and take as told, cycle by cycle, and compare every output with a deque's."""
    dut = Queue(16, depth, **kind)
    model: deque[int] = deque()

    async def bench(ctx: Any) -> None:
        for number, (offer, take) in enumerate(cycles):
            ctx.set(dut.i.valid, offer)
            ctx.set(dut.i.payload, number)
            ctx.set(dut.o.ready, take)
            assert ctx.get(dut.level) == len(model)
            assert ctx.get(dut.i.ready) == (len(model) < depth)
            if kind.get("late"):
                assert ctx.get(dut.spare) == (len(model) < depth - 1)
            assert ctx.get(dut.o.valid) == bool(model)
            if model:
                assert ctx.get(dut.o.payload) == model[0]
            room = len(model) < depth
            if model and take:
                model.popleft()
            if offer and room:
                model.append(number)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("depth", DEPTHS)
def test_fill_and_drain(depth: int) -> None:
    run_cycles(depth, [(True, False)] * (depth + 2) + [(False, True)] * (depth + 2))


@pytest.mark.parametrize("depth", DEPTHS)
def test_both_sides_at_once(depth: int) -> None:
    run_cycles(depth, [(True, True)] * (3 * depth + 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_both_sides_at_once_at_every_level(depth: int, kind: dict[str, bool]) -> None:
    for level in range(depth + 1):
        cycles = [(True, False)] * level + [(True, True)] * (2 * depth + 1)
        run_cycles(depth, cycles + [(False, True)] * (depth + 1), **kind)


@examples(60)
@given(
    st.sampled_from(DEPTHS),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60),
    st.sampled_from(KINDS),
)
def test_any_traffic(depth: int, cycles: list[tuple[bool, bool]], kind: dict[str, bool]) -> None:
    run_cycles(depth, cycles, **kind)


def test_late_head() -> None:
    with pytest.raises(ValueError, match="a queue cannot be late and have a head"):
        Queue(8, 2, late=True, head=True)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("in_gap", "out_gap"), [(0, 0), (3, 0), (0, 3), (3, 3)])
def test_order_of_structs_with_stalls(depth: int, in_gap: int, out_gap: int) -> None:
    dut = Queue(data.StructLayout({"a": 7, "b": 9}), depth)
    sent = [{"a": k % 128, "b": 511 - k} for k in range(50)]
    got: list[Any] = []

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, sent, random_gaps(1, in_gap))

    async def sink(ctx: Any) -> None:
        got.extend(await get(ctx, dut.o, len(sent), random_gaps(2, out_gap)))

    simulate(dut, source, sink)
    assert [{"a": word.a, "b": word.b} for word in got] == sent


@pytest.mark.parametrize("depth", [2, 3, 8])
def test_one_item_per_cycle(depth: int) -> None:
    dut = Queue(8, depth)
    cycles = 0

    async def source(ctx: Any) -> None:
        await put(ctx, dut.i, range(100), repeat(0))

    async def sink(ctx: Any) -> None:
        nonlocal cycles
        ctx.set(dut.o.ready, 1)
        while not cycles or ctx.get(dut.o.valid):
            await ctx.tick()
            cycles += 1

    simulate(dut, source, sink)
    assert cycles == 101
