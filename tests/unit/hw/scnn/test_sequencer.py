from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, pack
from zeroskip.hw.scnn.control import Phase
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORDS, StallClass, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.sequencer import Sequencer
from zeroskip.sim.bench.pysim import simulate

P = ScnnParams(banks=4, bank_entries=16, num_descriptors=4)
SWEEP = 1 << max(P.entry_addr_bits, counter_addr_bits(P, StallClass))
PROGRAM = [
    {"groups": 3, "wipe": 1, "init_min": 1, "k_stride": 9},
    {"groups": 1, "wipe": 0, "kc": 7},
    {"groups": 4000, "wipe": 1, "dst_base": 1000, "dst_word": 700},
    {"groups": 2, "wipe": 0, "last": 1},
]
LENGTHS = [7, 1, 30, 2]
"""Cycles that each pass is at work for."""
READ = DESCRIPTOR_WORDS + 2
"""Cycles until a descriptor is there."""


@dataclass
class Cycle:
    """What the sequencer says in one cycle."""

    phase: Phase = Phase.SETUP
    number: int = 0
    flush: bool = False
    begin: bool = False
    at_work: int | None = None
    """The descriptor, from its start on."""
    wipe: int | None = None
    clear: int | None = None


@dataclass
class Array:
    """Stand-in for drain and PEs: a pass is done some cycles after its start."""

    dut: Sequencer = field(default_factory=lambda: Sequencer(P))
    left: int = 0
    passes: int = 0
    lost_in: int | None = None
    trace: list[Cycle] = field(default_factory=list)

    async def load(self, ctx: Any) -> None:
        """Write the program, and wait for the clearing after reset."""
        dut, layout = self.dut, descriptor_layout(P)
        ctx.set(dut.load_en, 1)
        for number, fields in enumerate(PROGRAM):
            for word in range(DESCRIPTOR_WORDS):
                ctx.set(dut.load_row, DESCRIPTOR_WORDS * number + word)
                data = pack(layout, **fields) >> DESCRIPTOR_WORD_BITS * word
                ctx.set(dut.load_data, data & (1 << DESCRIPTOR_WORD_BITS) - 1)
                await ctx.tick()
        ctx.set(dut.load_en, 0)
        while ctx.get(dut.run.running):
            await ctx.tick()

    async def step(self, ctx: Any, **commands: bool) -> None:
        """Go on by one cycle, with none, one or several of the commands."""
        dut = self.dut
        for name in ("start", "keep", "clear", "clear_counters"):
            ctx.set(getattr(dut.run, name), commands.get(name, False))
        ctx.set(dut.pass_done, self.left <= 1)
        ctx.set(dut.lost, self.left == 2 and self.passes - 1 == self.lost_in)
        cycle = seen(ctx, dut)
        self.trace.append(cycle)
        self.left = max(0, self.left - 1)
        if cycle.flush:
            self.left = self.passes = 0
        if cycle.begin:
            self.left = LENGTHS[cycle.number]
            self.passes = cycle.number + 1
        await ctx.tick()

    async def until_idle(self, ctx: Any, **commands: bool) -> list[Cycle]:
        """Give a command, and go on until nothing runs; return the cycles after the command's."""
        await self.step(ctx, **commands)
        self.trace.clear()
        while ctx.get(self.dut.run.running):
            await self.step(ctx)
            assert len(self.trace) < 1000, "the run has no end"
        return self.trace.copy()


def seen(ctx: Any, dut: Sequencer) -> Cycle:
    c = ctx.get(dut.control)
    at_work = c.start or c.phase == Phase.RUN
    return Cycle(
        phase=c.phase,
        number=c.number,
        flush=bool(c.flush),
        begin=bool(c.start),
        at_work=ctx.get(dut.control.descriptor.as_value()) if at_work else None,
        wipe=c.wipe_entry if c.wipe else None,
        clear=c.counter_row if c.counter_clear else None,
    )


def run_trace(passes: int = len(PROGRAM)) -> list[Cycle]:
    """Give every cycle of a run of the first passes of ``PROGRAM``."""
    trace = [Cycle()]
    reading = READ
    steps = zip(PROGRAM[:passes], LENGTHS[:passes], strict=True)
    for number, (fields, length) in enumerate(steps):
        setup = Cycle(number=number)
        trace += [setup] * max(1, reading)
        if fields["wipe"]:
            trace += [replace(setup, wipe=entry) for entry in range(P.bank_entries)]
        word = pack(descriptor_layout(P), **fields)
        trace += [replace(setup, begin=True, at_work=word)]
        trace += [replace(setup, phase=Phase.RUN, at_work=word)] * length
        reading = READ - length
    return trace


def clearing_trace(*, wipe: bool) -> list[Cycle]:
    """Give every cycle of a clearing, without the flush before one of all."""
    return [
        Cycle(phase=Phase.IDLE, clear=row, wipe=row % P.bank_entries if wipe else None)
        for row in range(SWEEP)
    ]


FLUSH = Cycle(phase=Phase.IDLE, flush=True)


def test_runs() -> None:
    """There is nothing between runs, with or without KEEP."""
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        for keep in (False, True, False):
            assert await array.until_idle(ctx, start=True, keep=keep) == run_trace()
            assert not ctx.get(array.dut.run.source)
        # Neither accumulators are wiped nor the place of the last write is lost.
        counters = await array.until_idle(ctx, clear_counters=True)
        assert counters == clearing_trace(wipe=False)

    simulate(array.dut, bench)


@pytest.mark.parametrize("after", [0, 1, 3, 6, 7, 8, 20, 24, 29, 35, 50, 79])
def test_cut_short(after: int) -> None:
    """A run that is cut short leaves nothing behind, so all is cleared, then."""
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        await array.step(ctx, start=True)
        for _ in range(after):
            await array.step(ctx)
        assert ctx.get(array.dut.run.running)
        trace = await array.until_idle(ctx, start=True)
        assert trace[0].flush
        assert trace[1:] == clearing_trace(wipe=True) + run_trace()
        assert await array.until_idle(ctx, start=True) == run_trace()

    simulate(array.dut, bench)


@pytest.mark.parametrize("lost_in", [None, 0, 3])
def test_overflow_until_the_next_run(lost_in: int | None) -> None:
    """A run ends behind the pass that overflows, and the next begins as any."""
    array = Array(lost_in=lost_in)
    expected = run_trace() if lost_in is None else run_trace(lost_in + 1)

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        for _ in range(2):
            assert await array.until_idle(ctx, start=True) == expected
            assert ctx.get(array.dut.overflow) == (lost_in is not None)
        await array.until_idle(ctx, clear_counters=True)
        assert ctx.get(array.dut.overflow) == (lost_in is not None)
        array.lost_in = None
        assert await array.until_idle(ctx, start=True) == run_trace()
        assert not ctx.get(array.dut.overflow)

    simulate(array.dut, bench)
