import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS, pack
from zeroskip.hw.eie.ccu import Ccu
from zeroskip.hw.eie.control import Phase
from zeroskip.hw.eie.formats import descriptor_layout
from zeroskip.hw.eie.host import stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.pysim import simulate

P = EieParams(
    num_pes=2,
    num_accs=8,
    num_acts=1 << 15,  # wide, for descriptors that reach into their high halves
    num_biases=16,
    num_descriptors=4,
    num_pointers=64,
    code_bits=2,
    weight_bits=8,
)
SWEEP = 1 << max(P.acc_addr_bits, counter_addr_bits(P, stall_classes(P)))
BOOKS = [[0, 10 * k + 1, -10 * k - 2, 10 * k + 3] for k in range(P.num_descriptors)]
# The first pass keeps its sums for the second; the third has another codebook, and so has the
# fourth.
PROGRAM = [
    {"src_rows": 2, "codebook": 1, "last_code": 3, "drain_rows": 1, "swap": 0},
    {"src_base": 2, "src_rows": 1, "ptr_base": 9, "codebook": 1, "last_code": 3, "drain": 1,
     "drain_rows": 8, "dst_base": 0, "bias_base": 3, "shift": 5, "activation": 1, "swap": 1},
    {"src_rows": 8, "ptr_base": 30, "codebook": 3, "last_code": 3, "drain": 1, "drain_rows": 1,
     "dst_base": 7, "bias_base": 11, "shift": 0, "swap": 1},
    {"src_rows": 1, "codebook": 2, "last_code": 3, "drain": 1, "drain_rows": 2, "dst_base": 4,
     "bias_base": 1, "shift": 63, "swap": 1, "last": 1},
]  # fmt: skip
LENGTHS = 7, 0, 30, 8
"""Cycles that each pass computes for."""


@dataclass
class Cycle:
    """What the CCU says in one cycle, without what nobody looks at."""

    phase: Phase
    running: int
    flush: int
    pass_start: int | None
    descriptor: int | None
    source: int | None
    acc_read: tuple[int, int] | None
    clear: int | None
    counter_clear: int | None
    act_write: tuple[int, int, int] | None
    # What an earlier run left counts for nothing until a pass begins.
    codebook: list[int] = field(compare=False)
    weights: int = field(compare=False, default=0)
    """How many weights become others at the end of the cycle."""


@dataclass
class Array:
    """Stand-in for scan and PEs: a pass is done some cycles after its start, or when flushed."""

    dut: Ccu = field(default_factory=lambda: Ccu(P))
    left: int = 0
    passes: int = 0
    lengths: Sequence[int] = LENGTHS

    async def load(self, ctx: Any) -> None:
        dut, layout = self.dut, descriptor_layout(P)
        ctx.set(dut.load_program, 1)
        for number, fields in enumerate(PROGRAM):
            high, low = divmod(pack(layout, **fields), 1 << DESCRIPTOR_WORD_BITS)
            for half, word in enumerate((low, high)):
                ctx.set(dut.load_row, 2 * number + half)
                ctx.set(dut.load_data, word)
                await ctx.tick()
        ctx.set(dut.load_program, 0)
        ctx.set(dut.load_codebook, 1)
        for number, book in enumerate(BOOKS):
            for code, weight in enumerate(book):
                ctx.set(dut.load_row, number << P.code_bits | code)
                ctx.set(dut.load_data, weight & 0xFF)
                await ctx.tick()
        ctx.set(dut.load_codebook, 0)
        while ctx.get(dut.run.running):
            await ctx.tick()

    async def step(self, ctx: Any, **commands: bool) -> Cycle:
        """Go on by one cycle, with none, one or several of the commands."""
        dut = self.dut
        for name in ("start", "keep", "clear", "clear_counters"):
            ctx.set(getattr(dut.run, name), commands.get(name, False))
        ctx.set(dut.pass_done, self.left == 0)
        cycle = seen(ctx, dut)
        self.left = max(0, self.left - 1)
        if cycle.flush:
            self.left = self.passes = 0
        if cycle.pass_start is not None:
            self.left = self.lengths[self.passes]
            self.passes = (self.passes + 1) % len(PROGRAM)
        await ctx.tick()
        cycle.weights = sum(map(operator.ne, held(ctx, dut), cycle.codebook))
        return cycle

    async def until_idle(self, ctx: Any, **command: bool) -> list[Cycle]:
        """Give a command, and go on until nothing runs; return the cycles after the command's."""
        await self.step(ctx, **command)
        trace = []
        while ctx.get(self.dut.run.running):
            trace.append(await self.step(ctx))
            assert len(trace) < 1000, "the run has no end"
        return trace


def held(ctx: Any, dut: Ccu) -> list[int]:
    """Return the weights that PEs see."""
    word = ctx.get(dut.codebook)
    weights = [word >> P.weight_bits * code & 0xFF for code in range(P.num_codes)]
    return [(weight ^ 0x80) - 0x80 for weight in weights]


def seen(ctx: Any, dut: Ccu) -> Cycle:
    c = ctx.get(dut.control)
    pass_start = ctx.get(dut.pass_start)
    in_pass = pass_start or c.phase in (Phase.COMPUTE, Phase.DRAIN)
    return Cycle(
        phase=c.phase,
        running=ctx.get(dut.run.running),
        flush=c.flush,
        pass_start=ctx.get(dut.pass_descriptor.as_value()) if pass_start else None,
        descriptor=None if c.phase == Phase.IDLE else c.descriptor,
        source=c.source if in_pass else None,
        acc_read=(c.acc_row, c.bias_row) if c.acc_read else None,
        clear=c.clear_row if c.clear else None,
        counter_clear=c.counter_row if c.counter_clear else None,
        act_write=(c.act_row, c.shift, c.activation) if c.act_write else None,
        codebook=held(ctx, dut),
    )


def check_clearing(trace: list[Cycle]) -> None:
    """Check one flush, then a sweep over all counters and accumulators."""
    assert [cycle.flush for cycle in trace] == [1] + [0] * SWEEP
    assert [cycle.counter_clear for cycle in trace] == [None, *range(SWEEP)]
    rows = {cycle.clear for cycle in trace[1:]}
    assert rows == set(range(P.num_accs))
    assert all(cycle.phase == Phase.IDLE and cycle.running for cycle in trace)
    # An output that was under way is still written in the cycle of the flush.
    for cycle in trace[1:]:
        assert cycle.pass_start is cycle.act_write is cycle.acc_read is None
        assert not cycle.weights


def split(trace: list[Cycle]) -> list[list[Cycle]]:
    """Cut a run at the starts of its passes; what comes before the first is left out."""
    starts = [k for k, cycle in enumerate(trace) if cycle.pass_start is not None]
    return [
        trace[first:last] for first, last in zip(starts, [*starts[1:], len(trace)], strict=True)
    ]


def check_run(trace: list[Cycle], source: int = 0) -> None:
    """Check a whole run of ``PROGRAM``, whose input is in file ``source``."""
    layout = descriptor_layout(P)
    passes = split(trace)
    assert len(passes) == len(PROGRAM)
    for number, (cycles, fields) in enumerate(zip(passes, PROGRAM, strict=True)):
        assert cycles[0].pass_start == pack(layout, **fields)
        assert {cycle.descriptor for cycle in cycles if cycle.phase != Phase.SETUP} == {number}
        rows = range(fields["drain_rows"] if fields.get("drain") else 0)
        reads = [(row, fields["bias_base"] + row) for row in rows]
        how = fields.get("shift", 0), fields.get("activation", 0)
        writes = [(fields["dst_base"] + row, *how) for row in rows]
        assert [cycle.acc_read for cycle in cycles if cycle.acc_read] == reads
        assert [cycle.clear for cycle in cycles if cycle.clear is not None] == list(rows)
        assert [cycle.act_write for cycle in cycles if cycle.act_write] == writes
        computed = drained = 0
        for cycle in cycles:
            assert cycle.source in (None, source)
            if cycle.phase == Phase.COMPUTE:
                computed += 1
                # Entries are under way: their codebook may not change. Code 0 has no weight.
                assert cycle.codebook == [0, *BOOKS[fields["codebook"]][1:]]
            drained += cycle.phase == Phase.DRAIN
        assert computed == LENGTHS[number] + 1
        assert drained == (len(rows) + 2 if rows else 0)
        source ^= fields["swap"]
    assert all(cycle.running for cycle in trace)
    assert not any(cycle.flush for cycle in trace)


def test_runs_and_clearings() -> None:
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        first = await array.until_idle(ctx, start=True)
        check_run(first)
        assert ctx.get(array.dut.run.source) == 1
        second = await array.until_idle(ctx, start=True)
        assert second == first
        # Queues are empty between runs: nothing is flushed.
        counters = await array.until_idle(ctx, clear_counters=True)
        assert [cycle.counter_clear for cycle in counters] == list(range(SWEEP))
        assert not any(cycle.flush or cycle.clear is not None for cycle in counters)
        check_run(await array.until_idle(ctx, start=True, keep=True), source=1)
        check_clearing(await array.until_idle(ctx, clear=True))
        assert await array.until_idle(ctx, start=True) == first
        both = await array.until_idle(ctx, start=True, clear=True)
        check_clearing(both[: 1 + SWEEP])
        assert both[1 + SWEEP :] == first

    simulate(array.dut, bench)


def test_passes_follow_one_another() -> None:
    """Descriptors and codebooks are there when the pass before is over."""
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        for _ in range(2):
            trace = await array.until_idle(ctx, start=True)
            # A cycle to start, and one to begin each pass, which is the one that changes weights.
            turns = [cycle for cycle in trace if cycle.phase == Phase.SETUP]
            assert len(turns) == 1 + len(PROGRAM)
            assert sum(cycle.pass_start is not None for cycle in turns) == len(PROGRAM)
            assert not any(cycle.weights for cycle in trace if cycle.pass_start is None)
            assert all(cycle.weights == 3 for cycle in turns[3:])

    simulate(array.dut, bench)


def test_short_passes_wait_for_what_is_read() -> None:
    """A codebook of three weights is there eight cycles after the turn before it."""
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        for length in range(10):
            array.lengths = 0, 0, length, 0
            passes = split(await array.until_idle(ctx, start=True))
            times = [sum(map(len, passes[:number])) for number in range(4)]
            # A pass is a turn, a cycle at least of computing, and the drain with two more.
            assert times[1] - times[0] == 3  # the descriptor
            assert times[2] - times[1] == 1 + 1 + 8 + 2
            assert times[3] - times[2] == max(8, 1 + length + 1 + 1 + 2)

    simulate(array.dut, bench)


@pytest.mark.parametrize("command", ["start", "clear", "both"])
def test_abort_at_any_time(command: str) -> None:
    """What comes after an abandoned run is as if that run had not been."""
    array = Array()
    start, clear = command != "clear", command != "start"
    rng = Random(len(command))

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        clean = await array.until_idle(ctx, start=True)
        check_run(clean)
        for after in [*range(30), *rng.sample(range(30, len(clean)), 20)]:
            await array.step(ctx, start=True)
            for _ in range(after):
                assert (await array.step(ctx)).running
            trace = await array.until_idle(ctx, start=start, clear=clear)
            check_clearing(trace[: 1 + SWEEP])
            assert trace[1 + SWEEP :] == (clean if start else [])
            if not start:
                assert await array.until_idle(ctx, start=True) == clean
            assert ctx.get(array.dut.run.source) == 1

    simulate(array.dut, bench)


def test_pass_waits_for_the_last_pipeline() -> None:
    array = Array()

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        await array.step(ctx, start=True)
        while (await array.step(ctx)).pass_start is None:
            pass
        for _ in range(300):
            array.left = 2
            cycle = await array.step(ctx)
            assert cycle.phase != Phase.DRAIN
            assert cycle.descriptor == 0

    simulate(array.dut, bench)


def test_start_takes_what_the_host_has_written_since() -> None:
    """A codebook that the PEs hold may be another one by the next run, without any clearing."""
    array = Array()
    dut, fields = array.dut, PROGRAM[-1]
    first, second = [7, 8, 9], [-7, 80, 1]

    async def bench(ctx: Any) -> None:
        await array.load(ctx)
        ctx.set(dut.load_program, 1)
        for half in range(2):
            ctx.set(dut.load_row, half)
            word = pack(descriptor_layout(P), **fields) >> DESCRIPTOR_WORD_BITS * half
            ctx.set(dut.load_data, word & (1 << DESCRIPTOR_WORD_BITS) - 1)
            await ctx.tick()
        ctx.set(dut.load_program, 0)
        for book in (first, second):
            ctx.set(dut.load_codebook, 1)
            for code, weight in enumerate(book, 1):
                ctx.set(dut.load_row, fields["codebook"] << P.code_bits | code)
                ctx.set(dut.load_data, weight & 0xFF)
                await ctx.tick()
            ctx.set(dut.load_codebook, 0)
            trace = await array.until_idle(ctx, start=True)
            computing = [cycle for cycle in trace if cycle.phase == Phase.COMPUTE]
            assert computing
            assert all(cycle.codebook == [0, *book] for cycle in computing)

    simulate(dut, bench)
