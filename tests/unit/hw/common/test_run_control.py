from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.run_control import RunControl
from zeroskip.sim.bench.pysim import simulate

SIZES = {"4 bits": (4, 2), "3 bits": (3, 3)}
"""Bits of what a clearing sweeps over, and of a descriptor's number.

Few: runs are cut short in every cycle of a clearing.
"""
SWAPS = [1, 0, 1, 1]
"""Of each pass, whether the source changes after it."""
READ = 4
"""Cycles until the next descriptor is there, from the start of a run or of the pass before."""
LENGTHS = [7, 1, 30, 2]
"""Cycles that each pass is at work for."""


@dataclass
class Cycle:
    """What the run control says in one cycle."""

    phase: str = "setup"
    number: int = 0
    source: int = 0
    flush: bool = False
    begin: bool = False
    turn: bool = False
    sums: int | None = None
    """The row of which the sum is cleared."""
    counter: int | None = None


@dataclass
class Engine:
    """Stand-in for what reads descriptors and makes passes, and what gives commands."""

    size: tuple[int, ...]
    dut: RunControl = field(init=False)
    unread: int = 0
    left: int = 0
    passes: int = 0
    trace: list[Cycle] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dut = RunControl(*self.size)

    async def step(self, ctx: Any, **commands: bool) -> Cycle:
        """Go on by one cycle, with none, one or several of the commands."""
        dut = self.dut
        for name in ("start", "keep", "clear", "clear_counters", *commands):
            ctx.set(getattr(dut.run, name), commands.get(name, False))
        ctx.set(dut.ready, self.unread == 0)
        ctx.set(dut.done, self.left <= 1)
        # Of the pass at work; without one they may say anything.
        ctx.set(dut.swap, SWAPS[self.passes - 1])
        ctx.set(dut.last, self.passes == len(SWAPS))
        cycle = seen(ctx, dut)
        self.trace.append(cycle)
        self.unread = max(0, self.unread - 1)
        self.left = max(0, self.left - 1)
        if cycle.begin:
            self.unread, self.passes = READ, 0
        if cycle.turn:
            self.unread, self.left = READ, LENGTHS[self.passes]
            self.passes += 1
        await ctx.tick()
        return cycle

    async def until_idle(self, ctx: Any, **commands: bool) -> list[Cycle]:
        """Give a command, and go on until nothing runs; return the cycles after the command's."""
        await self.step(ctx, **commands)
        self.trace.clear()
        while ctx.get(self.dut.run.running):
            await self.step(ctx)
            assert len(self.trace) < 1000, "the run has no end"
        return self.trace.copy()

    def clearing(self, *, sums: bool, source: int = 0) -> list[Cycle]:
        """Give every cycle of a clearing, without the flush before one of all."""
        return [
            Cycle(phase="idle", source=source, counter=row, sums=row if sums else None)
            for row in range(1 << self.size[0])
        ]

    @property
    def clearing_of_all(self) -> list[Cycle]:
        return self.clearing(sums=True)


def seen(ctx: Any, dut: RunControl) -> Cycle:
    setup, working, sweep = ctx.get(dut.setup), ctx.get(dut.working), ctx.get(dut.sweep)
    assert not (setup and working)
    assert ctx.get(dut.run.counting) == (setup or working)
    assert ctx.get(dut.run.running) or not (setup or working)
    return Cycle(
        phase="setup" if setup else "pass" if working else "idle",
        number=ctx.get(dut.number),
        source=ctx.get(dut.run.source),
        flush=bool(ctx.get(dut.flush)),
        begin=bool(ctx.get(dut.begin)),
        turn=bool(ctx.get(dut.turn)),
        sums=sweep if ctx.get(dut.clear_sums) else None,
        counter=sweep if ctx.get(dut.counter_clear) else None,
    )


def run_trace(source: int) -> list[Cycle]:
    """Give every cycle of a run whose input is in memory ``source``."""
    trace = [Cycle(begin=True, source=source)]
    unread = READ
    for number, (swap, length) in enumerate(zip(SWAPS, LENGTHS, strict=True)):
        setup = Cycle(number=number, source=source)
        trace += [setup] * unread + [replace(setup, turn=True)]
        trace += [replace(setup, phase="pass")] * length
        source ^= swap
        unread = max(0, READ - length)
    return trace


AFTER = sum(SWAPS) % 2
"""Source after a run whose input was in memory 0."""


@pytest.fixture(params=SIZES.values(), ids=list(SIZES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(request.param)


def test_clearing_after_reset(engine: Engine) -> None:
    async def bench(ctx: Any) -> None:
        while ctx.get(engine.dut.run.running):
            await engine.step(ctx)
        assert engine.trace[0].flush
        assert engine.trace[1:] == engine.clearing_of_all
        for _ in range(5):
            assert await engine.step(ctx) == Cycle(phase="idle")

    simulate(engine.dut, bench)


def test_runs(engine: Engine) -> None:
    """The input is in memory 0, or where the last run left it; nothing else is between runs."""

    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        source = 0
        for keep in (False, True, True, False, True, False):
            source = source if keep else 0
            assert await engine.until_idle(ctx, start=True, keep=keep) == run_trace(source)
            source ^= AFTER
            assert ctx.get(engine.dut.run.source) == source

    simulate(engine.dut, bench)


def test_a_pass_waits_for_its_descriptor_and_works_until_it_is_done(engine: Engine) -> None:
    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        await engine.step(ctx, start=True)
        await engine.step(ctx)
        for _ in range(300):
            engine.unread = 2
            assert await engine.step(ctx) == Cycle()
        while not (await engine.step(ctx)).turn:
            pass
        for _ in range(300):
            engine.left = 2
            assert await engine.step(ctx) == Cycle(phase="pass")

    simulate(engine.dut, bench)


def test_clearings(engine: Engine) -> None:
    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        await engine.until_idle(ctx, start=True)
        assert ctx.get(engine.dut.run.source) == AFTER == 1
        for _ in range(2):
            counters = await engine.until_idle(ctx, clear_counters=True)
            assert counters == engine.clearing(sums=False, source=1)
        # Again while it is under way: it still leaves the sums.
        for _ in range(3):
            await engine.step(ctx, clear_counters=True)
        counters = await engine.until_idle(ctx, clear_counters=True)
        assert counters == engine.clearing(sums=False, source=1)
        for others in ({}, {"clear_counters": True}):
            everything = await engine.until_idle(ctx, clear=True, **others)
            assert everything[0].flush
            assert everything[1:] == engine.clearing_of_all

    simulate(engine.dut, bench)


def test_start_with_a_clearing(engine: Engine) -> None:
    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        await engine.until_idle(ctx, start=True)
        both = await engine.until_idle(ctx, clear_counters=True, start=True, keep=True)
        assert both == engine.clearing(sums=False, source=1) + run_trace(1)
        await engine.until_idle(ctx, start=True)
        both = await engine.until_idle(ctx, clear_counters=True, start=True)
        assert both == engine.clearing(sums=False) + run_trace(0)
        both = await engine.until_idle(ctx, clear=True, start=True)
        assert both[1:] == engine.clearing_of_all + run_trace(0)

    simulate(engine.dut, bench)


@pytest.mark.parametrize("command", ["start", "clear", "clear_counters", "both"])
def test_cut_short_at_any_time(engine: Engine, command: str) -> None:
    """A run that is cut short leaves nothing behind, so all is cleared, then."""
    commands = {"start": True, "clear": True} if command == "both" else {command: True}

    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        for after in range(len(run_trace(0))):
            await engine.step(ctx, start=True)
            for _ in range(after):
                await engine.step(ctx)
            assert ctx.get(engine.dut.run.running)
            trace = await engine.until_idle(ctx, **commands)
            assert trace[0].flush
            then = run_trace(0) if "start" in commands else []
            assert trace[1:] == engine.clearing_of_all + then
            assert await engine.until_idle(ctx, start=True) == run_trace(0)

    simulate(engine.dut, bench)


def test_clearing_of_all_is_cut_short_by_one(engine: Engine) -> None:
    """Accumulators that are half cleared must not be left to the next run."""

    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        for command in ("clear", "clear_counters", "start"):
            for after in range((1 << engine.size[0]) + 1):
                await engine.until_idle(ctx, start=True)
                await engine.step(ctx, clear=True)
                for _ in range(after):
                    await engine.step(ctx)
                # What is kept behind a clearing of all is memory 0.
                trace = await engine.until_idle(ctx, keep=True, **{command: True})
                assert trace[0].flush
                then = run_trace(0) if command == "start" else []
                assert trace[1:] == engine.clearing_of_all + then

    simulate(engine.dut, bench)


@pytest.mark.parametrize("keep", [True, False])
def test_start_behind_a_clearing_of_the_counters_loses_nothing(engine: Engine, keep: bool) -> None:
    """The counters are cleared from the start, sums not; the source is as the last run left it."""

    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        for after in range(1 << engine.size[0]):
            await engine.until_idle(ctx, start=True)
            await engine.step(ctx, clear_counters=True)
            for _ in range(after):
                await engine.step(ctx)
            assert ctx.get(engine.dut.run.running)
            trace = await engine.until_idle(ctx, start=True, keep=keep)
            assert trace == engine.clearing(sums=False, source=int(keep)) + run_trace(int(keep))

    simulate(engine.dut, bench)


@pytest.mark.parametrize("second", ["start", "clear_counters"])
def test_a_run_that_waits_for_a_clearing_is_cut_short_like_any_other(
    engine: Engine, second: str
) -> None:
    """Whether a run has begun must not decide what is left of it."""

    async def bench(ctx: Any) -> None:
        await engine.until_idle(ctx)
        await engine.until_idle(ctx, start=True)
        await engine.step(ctx, clear_counters=True)
        await engine.step(ctx, start=True, keep=True)
        trace = await engine.until_idle(ctx, keep=True, **{second: True})
        assert trace[0].flush
        then = run_trace(0) if second == "start" else []
        assert trace[1:] == engine.clearing_of_all + then

    simulate(engine.dut, bench)


def test_roles_of_three_memories() -> None:
    """Commands at any time leave each memory one role, as what they are about has it."""
    engine, rng = Engine((4, 2, 3)), Random(1)
    dut = engine.dut
    seen_roles: set[tuple[int, ...]] = set()

    async def bench(ctx: Any) -> None:
        source, destination, free = 0, 1, 2
        for _ in range(4000):
            given = rng.random() < 0.03
            drawn = {
                name: given and rng.random() < share
                for name, share in (
                    ("start", 0.8), ("keep", 0.5), ("next", 0.5), ("clear", 0.1),
                    ("clear_counters", 0.2),
                )
            }  # fmt: skip
            swaps = engine.left <= 1 and SWAPS[engine.passes - 1]
            cycle = await engine.step(ctx, **drawn)
            cleared = any(drawn[name] for name in ("start", "clear", "clear_counters"))
            cleared &= bool(ctx.get(dut.flush))
            if drawn["start"] and drawn["next"] and not drawn["clear"]:
                source, free = free, source
            elif cleared or (drawn["start"] and not drawn["keep"]):
                source, destination, free = 0, 1, 2
            elif cycle.phase == "pass" and swaps:
                source, destination = destination, source
            ctx.set(dut.run.start, 0)
            ctx.set(dut.run.clear, 0)
            ctx.set(dut.run.clear_counters, 0)
            roles = ctx.get(dut.run.source), ctx.get(dut.destination), ctx.get(dut.free)
            assert roles == (source, destination, free)
            seen_roles.add(roles)

    simulate(dut, bench)
    assert len(seen_roles) == 6
