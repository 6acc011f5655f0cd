"""Sequence with units that take any time: what begins when, and that nothing waits for ever."""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from tests.unit.hw.system.lists import END, Fields, control, load, rows_in, rows_out
from tests.unit.hw.system.system_bench import ENGINE
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import Error, Op, Wait
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.sequence import LOADS, Sequence
from zeroskip.sim.bench.pysim import simulate

P = SystemParams()


def draw(rng: Random, longest: int) -> list[Fields]:
    """Draw commands; most wait for nothing but what they cannot do without."""
    told: list[Fields] = []
    for _ in range(rng.randint(0, longest)):
        wait = rng.choice([0, 0, 0, 1, 2, 4, 7])
        kind = rng.choice(["load", "in", "out", "out", "control", "control", "end"])
        if kind == "load":
            told.append(load(1, 0, 0, 1, 0) | {"wait": wait})
        elif kind == "in":
            told.append(rows_in(0, 1, 0, wait))
        elif kind == "out":
            early = {"wait": Wait.DRAIN | wait & ~Wait.ENGINE, "pe": rng.randrange(4)}
            how = early if rng.random() < 0.4 else {"wait": wait}
            told.append(rows_out(0, 1, 0, rng.random() < 0.4) | how)
        elif kind == "control":
            told.append(control(rng.choice([0, 1, 2, 5, 8, 17, 17, 17]), wait))
        else:
            told.append(END)
    return told


@dataclass
class Job:
    """A command on its way.

    Attributes
    ----------
    number, of, parity : its number in its list, its list, and the list's parity.
    begun, done : cycle of each.
    """

    fields: Fields
    number: int
    of: int
    error: Error = Error.NONE
    begun: int | None = None
    done: int | None = None

    @property
    def op(self) -> Op:
        return Op(self.fields["op"])

    @property
    def parity(self) -> int:
        return self.of & 1

    def failure(self, error: Error) -> dict[str, Any]:
        return {"error": error, "number": self.number, "parity": self.parity}


@dataclass
class Units:
    """The units around a sequence, which take a random time for each job.

    Attributes
    ----------
    jobs : all commands in order.
    bad : numbers of jobs whose unit ends with an error.
    """

    jobs: list[Job]
    bad: set[int]
    seed: int
    shortest: int = 1
    reports: list[Any] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    overtaken: int = 0
    early: int = 0

    def where(self, job: Job) -> int:
        return self.jobs.index(job)

    async def drive(self, ctx: Any, dut: Sequence) -> None:
        rng = Random(self.seed)
        loads: deque[Job] = deque()
        waiting = deque(self.jobs)
        output: Job | None = None  # at the store
        run: Job | None = None
        parked: Job | None = None  # OUTPUT that has not begun
        load_left = store_left = run_left = reading = 0
        load_started = False
        run_for = 0
        stale = False  # what OUTPUT still reads has become the file that is loaded
        pending: Job | None = None  # the CONTROL that is at `control`
        offered = False
        for now in range(6000):
            left = len(self.ended) < sum(job.op == Op.END for job in self.jobs)
            if not left and not waiting:
                break
            # The head of the loader begins when it may; it is done after a while.
            head = loads[0] if loads else None
            held = ctx.get(dut.load_hold)
            if head and not load_started and not (head.op == Op.INPUT and held):
                load_started, load_left = True, rng.randint(1, 20)
                head.begun = now
                assert head.op != Op.LOAD or run_left == 0
                assert head.op != Op.INPUT or not (reading and stale)
            load_done = load_started and load_left == 0
            store_done = output is not None and store_left == 0
            ctx.set(dut.load_ready, len(loads) < LOADS)
            ctx.set(dut.load_level, len(loads))
            ctx.set(dut.load_words, any(job.op == Op.LOAD for job in loads))
            begun = int(load_started and head is not None and head.op == Op.INPUT)
            ctx.set(dut.load_unbegun, sum(job.op == Op.INPUT for job in loads) > begun)
            ctx.set(dut.load_done, load_done)
            ctx.set(dut.store_idle, output is None)
            ctx.set(dut.store_reading, reading > 0)
            ctx.set(dut.store_done, store_done)
            for job, port in ((head, dut.load_failure), (output, dut.store_failure)):
                if job:
                    bad = Error.READ if port is dut.load_failure else Error.WRITE
                    wrong = bad if self.where(job) in self.bad else Error.NONE
                    ctx.set(port, job.failure(wrong))
            ctx.set(dut.running, run_left > 0)
            # The passes of a run take five cycles each, of which they drain in two.
            number, place = divmod(run_for - run_left, 5) if run_left else (0, 0)
            ctx.set(dut.pass_number[0], number)
            ctx.set(dut.pass_drains, place >= 3)
            ctx.set(dut.control[0].ready, 1)
            offered = offered or (bool(waiting) and rng.random() < 0.4)
            ctx.set(dut.i.valid, offered)
            if offered:
                fields = waiting[0].fields
                ctx.set(dut.i.payload, {
                    **{name: fields.get(name, 0) for name in ("row", "wait", "count", "pe")},
                    "op": waiting[0].op, "failure": waiting[0].failure(waiting[0].error),
                })  # fmt: skip
            ctx.set(dut.quiet, 1)
            ctx.set(dut.left, left and not ctx.get(dut.report))
            _, _, *seen = await ctx.tick().sample(
                *(dut.i.ready, dut.load_go, dut.store_go, dut.control[0].valid, dut.done),
                *(dut.report, dut.failure, dut.stop, dut.control[0].payload),
            )
            ready, load_go, store_go, sends, ends, report, failure, stop, sent = seen

            if load_done:
                loads.popleft().done = now
                load_started = False
            elif load_started:
                load_left -= 1
            if store_done and output:
                output.done, output = now, None
            elif output:
                store_left -= reading == 0
                reading -= reading > 0
            stale = stale and reading > 0
            ran = run_left > 0
            if run_left:
                run_left -= 1
                if not run_left and run:
                    run.done = now
            if sends:
                if sent & (Command.START | Command.CLEAR):
                    assert run_left == 0 or stop
                    run_for = run_left = max(self.shortest, rng.choice([1, 2, 20, 60]))
                run, pending = pending, None
                if run and not run_left:
                    run.done = now
            if store_go:
                assert output is None
                assert parked is not None
                output, parked = parked, None
                output.begun = now
                reading, store_left = rng.choice([1, 9, 80]), rng.randint(1, 30)
                self._check(output, now)
                assert not (output.fields["wait"] & Wait.ENGINE and ran)
                if output.fields["wait"] & Wait.DRAIN and ran:
                    pe = output.fields["pe"]
                    assert number > pe or (number == pe and place >= 3)
                    self.early += 1
            if ends:
                (first,) = [job for job in self.jobs if job.op == Op.END
                            and job.of == len(self.ended)]  # fmt: skip
                first.done = now
                for job in self.jobs[: self.where(first)]:
                    assert job.done is not None, f"{job} is not done"
                    assert job.done < now
                self.ended.append(now)
            if report:
                self.reports.append((failure.error, failure.number, failure.parity))
                assert not loads
                assert output is None
                assert not run_left
                return
            if offered and ready and not stop:
                job = waiting.popleft()
                offered = False
                assert job.error == Error.NONE
                if job.op in (Op.LOAD, Op.INPUT):
                    assert load_go
                    loads.append(job)
                    self._check(job, now)
                    self.overtaken += parked is not None
                    assert job.op == Op.INPUT or run_left == 0
                elif job.op == Op.CONTROL:
                    pending, job.begun = job, now
                    self._check(job, now)
                    assert parked is None
                    assert run_left == 0
                    assert not any(one.op == Op.LOAD for one in loads)
                    assert not [one for one in loads if one.begun is None]
                    if not job.fields["row"] & Command.NEXT:
                        assert output is None
                    elif reading and output:
                        assert not output.fields["row"] >> DESTINATION
                        assert not stale
                    stale = bool(reading and job.fields["row"] & Command.NEXT)
                elif job.op == Op.OUTPUT:
                    assert parked is None
                    parked = job
            elif offered and ready:
                offered = False
                waiting.popleft()
        else:
            raise AssertionError(f"stuck: {len(waiting)} commands wait")

    def _check(self, job: Job, now: int) -> None:
        """Check that what a command waits for is done."""
        wait = job.fields.get("wait", 0)
        for one in self.jobs[: self.where(job)]:
            kinds = {Op.LOAD: Wait.LOADS, Op.INPUT: Wait.LOADS, Op.CONTROL: Wait.ENGINE,
                     Op.OUTPUT: Wait.OUTPUTS, Op.END: Wait(0)}  # fmt: skip
            if wait & kinds[one.op]:
                assert one.done is not None
                assert one.done <= now


def make_jobs(told: list[Fields]) -> list[Job]:
    jobs, of, number = [], 0, 0
    for fields in [*told, END]:
        jobs.append(Job(fields, number, of))
        number += 1
        if fields is END:
            of, number = of + 1, 0
    return jobs


def run_units(units: Units) -> None:
    dut = Sequence(P, [ENGINE])

    async def bench(ctx: Any) -> None:
        await units.drive(ctx, dut)

    simulate(dut, bench)


@simulated(40)
@given(seed=st.integers(0, 1 << 32))
def test_order(seed: int) -> None:
    units = Units(make_jobs(draw(Random(seed), 40)), set(), seed)
    run_units(units)
    assert len(units.ended) == units.jobs[-1].of + 1
    assert not units.reports


@simulated(40)
@given(seed=st.integers(0, 1 << 32))
def test_failures(seed: int) -> None:
    """The earliest failure that was met is told; lists before its list end, and no other does."""
    rng = Random(seed)
    jobs = make_jobs(draw(rng, 25))
    bad = {rng.randrange(20) for _ in range(rng.randrange(4))}
    if (wrong := rng.randrange(40)) < len(jobs):
        jobs[wrong].error = Error.UNKNOWN
    units = Units(jobs, bad, seed)
    run_units(units)
    failing = [
        job for place, job in enumerate(jobs)
        if job.error != Error.NONE or (place in bad and job.op in (Op.LOAD, Op.INPUT, Op.OUTPUT))
    ]  # fmt: skip
    if not failing:
        assert len(units.ended) == jobs[-1].of + 1
        return
    first = failing[0]
    assert len(units.ended) == first.of
    ((_, number, parity),) = units.reports
    assert parity == first.parity
    assert number in {job.number for job in failing if job.of == first.of}


def test_rows_come_in_while_the_run_before_is_under_way() -> None:
    told = [rows_in(0, 1, 0), control(17), rows_out(0, 1, 0), END] * 3
    units = Units(make_jobs(told), set(), 1, shortest=50)
    run_units(units)
    assert units.overtaken == 2


@pytest.mark.parametrize("number", [0, 3, 200])
def test_outputs_begin_with_the_drain(number: int) -> None:
    """A pass that never comes is waited for up to the end of the run."""
    output = rows_out(0, 1, 0) | {"wait": Wait.DRAIN, "pe": number}
    units = Units(make_jobs([control(17), output]), set(), 3, shortest=40)
    run_units(units)
    assert units.early == (number < 8)
    first, second = units.jobs[:2]
    assert first.done is not None
    assert second.begun is not None
    assert (second.begun < first.done) == (number < 8)


@pytest.mark.parametrize("command", [0, 8])
def test_a_command_that_begins_nothing(command: int) -> None:
    units = Units(make_jobs([control(command), rows_out(0, 1, 0)]), set(), 2)
    run_units(units)
    assert len(units.ended) == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_file_that_is_read_becomes_no_destination(seed: int) -> None:
    """The source is loaded after a NEXT, and after two it may be written."""
    output = rows_out(0, 1, 0) | {"wait": 0}
    units = Units(make_jobs([output, control(17), control(17), control(17)]), set(), seed)
    run_units(units)
    assert len(units.ended) == 1
