"""Beats that an engine takes while it is at work: all of them, in order, with room for each."""

from collections import deque
from random import Random
from typing import Any

import pytest

from zeroskip.hw.system.feed import FEED_TAG, Feed
from zeroskip.hw.system.formats import Error, Op
from zeroskip.hw.system.gearbox import Gearbox
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.bench.pysim import get, put, random_gaps, simulate

P = SystemParams(data_bits=64, burst_beats=4, outstanding=2)


class Memory:
    """Answers requests in order, and knows what is at each address."""

    def __init__(self, dut: Feed, seed: int, busy: float, bad: int | None = None) -> None:
        self.dut, self.rng, self.busy, self.bad = dut, Random(seed), busy, bad
        self.given = self.asked = 0

    @staticmethod
    def word(addr: int) -> int:
        return addr * 0x9E3779B97F4A7C15 & (1 << 64) - 1

    async def serve(self, ctx: Any) -> None:
        dut, waiting = self.dut, deque[tuple[int, int]]()
        request = dut.request.payload
        while True:
            ctx.set(dut.request.ready, self.rng.random() >= self.busy)
            answers = bool(waiting) and self.rng.random() >= self.busy
            ctx.set(dut.i.valid, answers)
            if answers:
                addr, tag = waiting.popleft()
                fields = {"data": self.word(addr), "tag": tag, "error": self.given == self.bad}
                ctx.set(dut.i.payload, fields)
                self.given += 1
            ports = dut.request.valid & dut.request.ready, request.addr, request.beats, request.tag
            _, _, asked, addr, beats, tag = await ctx.tick().sample(*ports)
            if asked:
                assert 1 <= beats <= P.burst_beats
                assert tag == FEED_TAG
                waiting += [(addr + P.beat_bytes * at, tag) for at in range(beats)]
                self.asked += beats


def job(number: int, addr: int, beats: int) -> dict[str, Any]:
    failure = {"error": Error.NONE, "number": number, "parity": number & 1}
    return {"op": Op.LOAD, "addr": addr, "beats": beats, "failure": failure}


async def tell(ctx: Any, dut: Feed, told: list[tuple[int, int]]) -> None:
    for number, (addr, beats) in enumerate(told):
        while not ctx.get(dut.ready):
            await ctx.tick()
        ctx.set(dut.job, job(number, addr, beats))
        ctx.set(dut.go, 1)
        await ctx.tick()
        ctx.set(dut.go, 0)


@pytest.mark.parametrize(
    ("seed", "busy", "longest"), [(0, 0, 0), (1, 0.4, 0), (2, 0, 9), (3, 0.5, 3)]
)
def test_every_beat_comes_once(seed: int, busy: float, longest: int) -> None:
    dut, rng = Feed(P), Random(seed)
    memory = Memory(dut, seed, busy)
    told = [(8 * rng.randrange(1000), rng.choice([1, 3, 4, 5, 40])) for _ in range(6)]
    expected = [memory.word(addr + 8 * at) for addr, beats in told for at in range(beats)]
    most = P.outstanding * P.burst_beats + 1

    async def give(ctx: Any) -> None:
        await tell(ctx, dut, told)

    async def take(ctx: Any) -> None:
        for number, word in enumerate(expected):
            # Nothing is asked for that has no room.
            assert memory.asked - number <= most
            (got,) = await get(ctx, dut.o, 1, random_gaps(seed + number, longest))
            assert got == word
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.reading)
        assert memory.asked == len(expected)

    simulate(dut, give, take, monitors=[memory.serve])


def test_a_beat_a_cycle() -> None:
    dut = Feed(P)
    memory = Memory(dut, 0, 0)

    async def give(ctx: Any) -> None:
        await tell(ctx, dut, [(0, 60)])
        ctx.set(dut.o.ready, 1)
        await ctx.tick().until(dut.o.valid)
        for _ in range(59):
            assert ctx.get(dut.o.valid)
            await ctx.tick()

    simulate(dut, give, monitors=[memory.serve])


@pytest.mark.parametrize("after", [1, 3, 6, 12, 20])
@pytest.mark.parametrize("busy", [0, 0.7])
def test_stop_forgets_everything(after: int, busy: float) -> None:
    """What was requested comes, and is thrown away; then all is as at the start."""
    dut = Feed(P)
    memory = Memory(dut, after, busy)

    async def give(ctx: Any) -> None:
        await tell(ctx, dut, [(0, 30), (800, 7)])
        await ctx.tick().repeat(after)
        ctx.set(dut.stop, 1)
        await ctx.tick()
        while ctx.get(dut.reading):
            await ctx.tick()
        ctx.set(dut.stop, 0)
        await ctx.tick()
        assert not ctx.get(dut.o.valid)
        assert memory.given == memory.asked
        await tell(ctx, dut, [(1600, 30)])
        got = await get(ctx, dut.o, 30, random_gaps(after, 2))
        assert got == [memory.word(1600 + 8 * at) for at in range(30)]

    simulate(dut, give, monitors=[memory.serve])


def test_an_error_is_told_with_its_job() -> None:
    dut = Feed(P)
    memory = Memory(dut, 0, 0.3, bad=7)
    seen: list[tuple[int, int, Error]] = []

    async def watch(ctx: Any) -> None:
        ports = dut.failed, dut.failure
        while True:
            _, _, failed, failure = await ctx.tick().sample(*ports)
            if failed:
                seen.append((failure.number, failure.parity, failure.error))

    async def give(ctx: Any) -> None:
        await tell(ctx, dut, [(0, 5), (80, 5)])
        await get(ctx, dut.o, 10, random_gaps(0, 0))

    simulate(dut, give, monitors=[memory.serve, watch])
    assert seen == [(1, 1, Error.READ)]


@pytest.mark.parametrize(("narrow", "wide"), [(8, 16), (8, 64)])
@pytest.mark.parametrize("longest", [0, 3])
def test_gearbox(narrow: int, wide: int, longest: int) -> None:
    rng, parts = Random(wide), wide // narrow
    small = [rng.randrange(1 << narrow) for _ in range(10 * parts)]
    large = [
        sum(one << narrow * n for n, one in enumerate(small[at : at + parts]))
        for at in range(0, len(small), parts)
    ]
    for dut, given, expected in (
        (Gearbox(narrow, wide), small, large),
        (Gearbox(wide, narrow), large, small),
    ):

        async def send(ctx: Any, dut: Gearbox = dut, given: list[int] = given) -> None:
            await put(ctx, dut.i, given, random_gaps(1, longest))

        async def take(ctx: Any, dut: Gearbox = dut, expected: list[int] = expected) -> None:
            assert await get(ctx, dut.o, len(expected), random_gaps(2, longest)) == expected

        simulate(dut, send, take)
