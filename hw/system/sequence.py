"""Sequence: begins commands in their order, ends inferences, and abandons those that fail."""

from collections.abc import Sequence as Several
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.control import Command
from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import COMMAND_BYTES, ENGINE_BITS, Error, Op, Wait
from zeroskip.hw.system.jobs import Engine, failure_layout, job_layout, place_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import PASS_BITS

__all__ = ["LOADS", "Sequence"]

LOADS = 4
"""LOAD and INPUT that have begun and are not done, at most."""


class _State(enum.Enum, shape=2):
    RUN = 0
    STOP = 1  # let what has begun end
    CLEAR = 2  # the engines
    REPORT = 3


class Sequence(wiring.Component):
    """Lets the units load, compute and store at once, as far as the order of commands allows.

    A command is looked at in the first cycle that it is at ``i``, and taken in the cycle that
    nothing keeps it. The engine is that which it is for; others are none of its concern:

    - LOAD and INPUT go to the loader, which takes ``LOADS`` of them and begins them in order. LOAD
      waits until the engine is not at work. Where inputs and outputs lie in RAMs that a run uses,
      INPUT does, too, and both wait until no OUTPUT of the engine is left.
    - CONTROL waits until the engine is not at work, no LOAD is left and no INPUT has not begun, and
      the OUTPUT before, if of the engine, has begun; without ``Command.NEXT`` also until all its
      OUTPUT are done, with it until none reads the destination, or what was the source before
      the last NEXT.
    - OUTPUT goes to a place of its own, from the next cycle on waits there for what it has to wait
      for, and for the OUTPUT before it; commands behind it go on. With ``Wait.DRAIN`` it waits,
      while the engine is at work, until ``pass_drains`` in pass ``pe``, or a later one is at work.
    - WEIGHTS goes to the feed, which takes two of them besides the one at work.
    - ELSE is done at once: the list has another, which takes its place if an engine finds no room.
    - END goes to a place of its own, where it waits until all commands of its list are done:
      ``done`` is high for a cycle.

    CONTROL is at ``control`` in the cycle after it was taken; the engine is at work from then
    until it says that it is not running.

    When a command fails, no further one begins. What has begun ends, and so does the inference
    before it, if the command belongs to the next; then the engines are cleared, ``report`` is high
    until nothing is queued, and all is as at the start. ``halt`` does it at once, whatever is
    under way. Where all that is wrong is that an engine found no room, and the list has had an
    ELSE, nothing is reported: as soon as the engines are cleared, all inferences that are not done
    are begun ``again``, the oldest with its other list, in which an ELSE does nothing: lists that
    lead to one another would have no end. No command begins in the cycle in which a run ends that
    found no room.

    How a LOAD, INPUT, OUTPUT or WEIGHTS ended comes late in the cycle, so a failure is looked at in
    the cycle behind it, in which no command begins and no inference is done.

    Parameters
    ----------
    params : of the port to memory.
    engines : by their number; signals of one bit for each have engine 0's lowest.

    Members
    -------
    i : ``In(stream(job_layout))``, commands in order.
    load_go, store_go : Out, begin ``i.payload``, and ``output``.
    load_ready : In, the loader takes one more.
    load_level : In, LOAD and INPUT that are not done.
    load_words : In, there is a LOAD among them.
    load_unbegun : In, there is an INPUT among them whose rows the engine does not expect yet.
    load_done, load_failure : In, one is done, and how.
    load_hold : Out, by engine: an INPUT must not begin, as its file is still being read.
    feed_go, feed_ready : Out, In, begin a WEIGHTS, ``i.payload``; the feed takes one more.
    feed_reading : In, it waits for the memory.
    feed_failed, feed_failure : In, a beat has not come well, and of which command.
    feed_stop : Out, it is to forget all that it has.
    output : Out, the OUTPUT that waits.
    store_idle : In, no OUTPUT is at work.
    store_engine : Out, whose the one at work is.
    store_reading : In, by engine: rows are still to be read for the one at work.
    store_done, store_failure : In, it is done, and how.
    control : ``Out(stream(5))`` for each engine, a :class:`.Command`.
    running : In, by engine: it is at work; from the cycle after ``control`` was taken.
    lost : In, by engine: it had no room for outputs of its last run.
    recovers : Out, what failed is going to be begun again, unless something else fails.
    again, instead : Out, begin all inferences again that are not done; the oldest's other list.
    engine_busy : Out, by engine: as commands see it.
    pass_number, pass_drains : In, by engine, see :class:`.EnginePort`.
    halt : In, abandon what is under way; only while something is.
    quiet : In, no list is being read.
    left : In, inferences that were started are not forgotten yet.
    stop : Out, forget lists and commands.
    fill : Out, rows are not waited for: the run that makes them may have no end.
    done : Out, an inference is done.
    report : Out, it was abandoned.
    failure : Out, why.
    """

    i: stream.Interface
    load_go: Signal
    load_ready: Signal
    load_level: Signal
    load_words: Signal
    load_unbegun: Signal
    load_done: Signal
    load_failure: Any
    load_hold: Signal
    feed_go: Signal
    feed_ready: Signal
    feed_reading: Signal
    feed_failed: Signal
    feed_failure: Any
    feed_stop: Signal
    output: Any
    store_go: Signal
    store_idle: Signal
    store_engine: Signal
    store_reading: Signal
    store_done: Signal
    store_failure: Any
    control: Any
    running: Signal
    lost: Signal
    recovers: Signal
    again: Signal
    instead: Any
    engine_busy: Signal
    pass_number: Any
    pass_drains: Signal
    halt: Signal
    quiet: Signal
    left: Signal
    stop: Signal
    fill: Signal
    done: Signal
    report: Signal
    failure: Any

    def __init__(self, params: SystemParams, engines: Several[Engine]) -> None:
        job, self._engines, count = job_layout(params), engines, len(engines)
        super().__init__({
            "i": In(stream.Signature(job)),
            "load_go": Out(1),
            "load_ready": In(1),
            "load_level": In(range(LOADS + 1)),
            "load_words": In(1),
            "load_unbegun": In(1),
            "load_done": In(1),
            "load_failure": In(failure_layout()),
            "load_hold": Out(count),
            "feed_go": Out(1),
            "feed_ready": In(1),
            "feed_reading": In(1),
            "feed_failed": In(1),
            "feed_failure": In(failure_layout()),
            "feed_stop": Out(1),
            "output": Out(job),
            "store_go": Out(1),
            "store_idle": In(1),
            "store_engine": Out(ENGINE_BITS),
            "store_reading": In(count),
            "store_done": In(1),
            "store_failure": In(failure_layout()),
            "control": Out(stream.Signature(sum(Command).bit_length())).array(count),
            "running": In(count),
            "lost": In(count),
            "recovers": Out(1),
            "again": Out(1),
            "instead": Out(place_layout()),
            "engine_busy": Out(count),
            "pass_number": In(PASS_BITS).array(count),
            "pass_drains": In(count),
            "halt": In(1),
            "quiet": In(1),
            "left": In(1),
            "stop": Out(1),
            "fill": Out(1),
            "done": Out(1),
            "report": Out(1),
            "failure": Out(failure_layout()),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        m = Module()
        state = Signal(_State)
        job = self.i.payload
        # The OUTPUT that waits; the END that waits, its list, and for what.
        output_waits = Signal()
        end_waits, end_parity = Signal(), Signal()
        end_engine = Signal.like(self.running)
        end_loads = Signal.like(self.load_level)
        end_outputs = Signal(2)
        halted = Signal()
        # Runs that end with this cycle; one of them had no room.
        ran = Signal.like(self.running)
        m.d.sync += ran.eq(self.engine_busy)
        over, spoiled = Signal.like(self.running), Signal()
        noted = self._note(m)
        fails = Cat(failed for failed, _ in noted).any()

        m.d.comb += [
            over.eq(ran & ~self.engine_busy),
            spoiled.eq((over & self.lost).any() | fails),
            self.engine_busy.eq(Cat(port.valid for port in self.control) | self.running),
            self.stop.eq(state != _State.RUN),
            self.report.eq(state == _State.REPORT),
            self.fill.eq(halted),
        ]
        goes = self._begin(m, job, output_waits, end_waits, (state == _State.RUN) & ~spoiled)
        m.d.comb += self.i.ready.eq(goes | self.stop)

        failed = state != _State.RUN
        with m.If(goes & (job.op == Op.OUTPUT)):
            m.d.sync += [self.output.eq(job), output_waits.eq(1)]
        output_fails = failed & (halted | (self.output.failure.parity == self.failure.parity))
        engine = self.output.engine
        number, at_drain = Array(self.pass_number)[engine], _of(self.pass_drains, engine)
        drains = (number > self.output.pe) | ((number == self.output.pe) & at_drain)
        early = (self.output.wait & Wait.DRAIN).any() & _of(self.engine_busy, engine) & ~drains
        begins = output_waits & ~output_fails & self.store_idle & ~early & ~spoiled
        m.d.comb += self.store_go.eq(begins & self._may(self.output, Const(0, 1)))
        with m.If(self.store_go | output_fails):
            m.d.sync += output_waits.eq(0)
        with m.If(self.store_go):
            m.d.sync += self.store_engine.eq(engine)

        outputs = output_waits + (~self.store_idle & ~self.store_done)
        with m.If(goes & (job.op == Op.END)):
            m.d.sync += [
                end_waits.eq(1),
                end_parity.eq(job.failure.parity),
                end_engine.eq(self.engine_busy),
                end_loads.eq(self.load_level - self.load_done),
                end_outputs.eq(outputs),
            ]
        with m.Else():
            m.d.sync += [
                end_engine.eq(end_engine & self.engine_busy),
                end_loads.eq(end_loads - (self.load_done & (end_loads != 0))),
                end_outputs.eq(end_outputs - (self.store_done & (end_outputs != 0))),
            ]
        end_fails = failed & (halted | (end_parity == self.failure.parity))
        ended = (end_engine == 0) & (end_loads == 0) & (end_outputs == 0)
        with m.If(end_waits & ~end_fails & ended & ~fails):
            m.d.comb += self.done.eq(1)
        with m.If(self.done | end_fails):
            m.d.sync += end_waits.eq(0)

        before = end_waits & (end_parity != self.failure.parity)
        self._fail(m, job, over, noted, state, before)
        self._recover(m, job, goes, state, halted, end_parity)
        # The inference before the one that fails still takes its weights.
        m.d.comb += self.feed_stop.eq(self.stop & ~end_waits)
        at_rest = (self.load_level == 0) & self.store_idle & ~output_waits & ~end_waits
        at_rest &= ~self.feed_reading
        with m.Switch(state):
            with m.Case(_State.STOP):
                sending = Cat(port.valid for port in self.control).any()
                with m.If(at_rest & self.quiet & ~sending):
                    m.d.sync += state.eq(_State.CLEAR)
                    for one in self.control:
                        m.d.sync += [one.valid.eq(1), one.payload.eq(Command.CLEAR)]
            with m.Case(_State.CLEAR), m.If(self.engine_busy == 0):
                m.d.sync += state.eq(Mux(self.again, _State.RUN, _State.REPORT))
            with m.Case(_State.REPORT), m.If(~self.left):
                m.d.sync += [state.eq(_State.RUN), halted.eq(0)]
        with m.If(self.halt & (state != _State.REPORT)):
            m.d.sync += halted.eq(1)
        return m

    def _may(self, job: Any, outputs_left: Value) -> Value:
        """Return whether nothing that a command says it waits for keeps it."""
        wait, outputs = job.wait, outputs_left | ~self.store_idle
        return ~(
            ((wait & Wait.LOADS).any() & (self.load_level != 0))
            | ((wait & Wait.ENGINE).any() & _of(self.engine_busy, job.engine))
            | ((wait & Wait.OUTPUTS).any() & outputs)
        )

    def _begin(
        self, m: Module, job: Any, output_waits: Signal, end_waits: Signal, may: Value
    ) -> Signal:
        """Begin the command at hand, if any ``may`` and nothing keeps it; return whether it is."""
        goes, can = Signal(), Signal()
        # An OUTPUT reads a file that a NEXT has made the one to load; or the destination.
        stale, destination = Signal.like(self.running), Signal()
        with m.If(self.store_go):
            m.d.sync += destination.eq(self.output.row[DESTINATION])
        following = (job.row & Command.NEXT).any()
        # All of the command's engine: it is at work, a CONTROL is on its way, an OUTPUT waits.
        busy = _of(self.engine_busy, job.engine)
        told = _of(Cat(port.valid for port in self.control), job.engine)
        waits = output_waits & (self.output.engine == job.engine)
        stores = ~self.store_idle & (self.store_engine == job.engine)
        reads_old = _of(self.store_reading, job.engine) & (_of(stale, job.engine) | destination)
        shared = _of(Const(_mask(self._engines), len(self._engines)), job.engine)
        moves = shared & (waits | stores)
        with m.Switch(job.op):
            with m.Case(Op.LOAD):
                m.d.comb += can.eq(self.load_ready & ~busy & ~moves)
            with m.Case(Op.INPUT):
                m.d.comb += can.eq(self.load_ready & ~told & ~moves & ~(shared & busy))
            with m.Case(Op.CONTROL):
                files = Mux(following, ~reads_old, ~stores)
                loads = self.load_words | self.load_unbegun
                m.d.comb += can.eq(~busy & ~waits & ~loads & files)
            with m.Case(Op.OUTPUT):
                m.d.comb += can.eq(~output_waits)
            with m.Case(Op.WEIGHTS):
                m.d.comb += can.eq(self.feed_ready)
            with m.Case(Op.END):
                m.d.comb += can.eq(~end_waits)
            with m.Case(Op.ELSE):
                m.d.comb += can.eq(1)
        placed = (job.op == Op.OUTPUT) | (job.op == Op.END)
        m.d.comb += [
            goes.eq(
                self.i.valid
                & may
                & (job.failure.error == Error.NONE)
                & can
                & (placed | self._may(job, output_waits))
            ),
            self.feed_go.eq(goes & (job.op == Op.WEIGHTS)),
            self.load_go.eq(goes & ((job.op == Op.LOAD) | (job.op == Op.INPUT))),
            self.load_hold.eq(stale & self.store_reading),
        ]
        for number, control in enumerate(self.control):
            reading = self.store_reading[number]
            with m.If(control.ready):
                m.d.sync += control.valid.eq(0)
            with m.If(goes & (job.op == Op.CONTROL) & (job.engine == number)):
                m.d.sync += [control.payload.eq(job.row), control.valid.eq(1)]
                m.d.sync += stale[number].eq(following & reading)
            with m.Elif(~reading):
                m.d.sync += stale[number].eq(0)
        return goes

    def _note(self, m: Module) -> list[tuple[Signal, Any]]:
        """Give what failed in the cycle before: whether, and how, of each unit, store first."""
        noted: list[tuple[Signal, Any]] = []
        for name, now, failure in (
            ("store", self.store_done, self.store_failure),
            ("load", self.load_done, self.load_failure),
            ("feed", self.feed_failed, self.feed_failure),
        ):
            failed = Signal(name=f"{name}_failed")
            how = Signal(failure_layout(), name=f"{name}_how", reset_less=True)
            m.d.sync += [failed.eq(now & (failure.error != Error.NONE)), how.eq(failure)]
            noted.append((failed, how))
        return noted

    def _fail(
        self,
        m: Module,
        job: Any,
        over: Value,
        noted: list[tuple[Signal, Any]],
        state: Any,
        before: Value,
    ) -> None:
        """Keep the failure of the earliest command.

        Parameters
        ----------
        m, job, state : of the unit; the command at hand.
        over : by engine, its run ends with this cycle.
        noted : what failed in the cycle before, see :meth:`_note`.
        before : there is an inference that ends, before the one that has failed.
        """
        runs: list[tuple[Value, Any]] = []
        for number in range(len(self._engines)):
            # The CONTROL that began the run under way.
            begun = Signal(failure_layout(), name=f"begun_{number}")
            lost: Any = Signal(failure_layout(), name=f"lost_run_{number}")
            starts = self.i.valid & self.i.ready & (job.op == Op.CONTROL)
            with m.If(starts & (job.engine == number)):
                m.d.sync += begun.eq(job.failure)
            m.d.comb += [
                lost.eq(begun),
                lost.error.eq(Mux(self.lost[number], Error.LOST, Error.NONE)),
            ]
            runs.append((over[number] & (state == _State.RUN), lost))
        failures = (
            *runs,
            *noted,
            (self.i.valid & (state == _State.RUN), job.failure),
        )
        first: Any = Signal(failure_layout())
        fails: Value = Const(0, 1)
        others: Value = Const(0, 1)
        # Whether it counts is found out of each, before it is known which is the first.
        for now, failure in failures:
            there = now & (failure.error != Error.NONE)
            earlier = before & (failure.parity != self.failure.parity)
            counts = (state == _State.RUN) | ((state == _State.STOP) & earlier)
            fails |= there & counts & ~others
            others |= there
        for now, failure in reversed(failures):
            with m.If(now & (failure.error != Error.NONE)):
                m.d.comb += first.eq(failure)
        with m.If(fails):
            m.d.sync += [self.failure.eq(first), state.eq(_State.STOP)]
        with m.Elif(self.halt & (state == _State.RUN)):
            m.d.sync += [
                self.failure.error.eq(Error.STOPPED),
                self.failure.number.eq(0),
                state.eq(_State.STOP),
            ]

    def _recover(
        self, m: Module, job: Any, goes: Value, state: Any, halted: Value, ending: Value
    ) -> None:
        """Keep the other lists of the two that may be under way, and have all begin again."""
        there = Signal(2)
        # The commands at hand are of an other list.
        instead = Signal()
        places = [Signal(place_layout(), name=f"other_{parity}") for parity in range(2)]
        with m.If(self.done):
            m.d.sync += there.bit_select(ending, 1).eq(0)
        with m.If(self.again | self.report):
            m.d.sync += [there.eq(0), instead.eq(self.again)]
        with m.Elif(goes & (job.op == Op.END)):
            m.d.sync += instead.eq(0)
        keeps = goes & (job.op == Op.ELSE) & ~instead
        for parity, place in enumerate(places):
            with m.If(keeps & (job.failure.parity == parity)):
                m.d.sync += [
                    there[parity].eq(1),
                    place.addr.eq(job.addr),
                    place.bytes.eq(job.count * COMMAND_BYTES),
                ]
            with m.If(self.failure.parity == parity):
                m.d.comb += self.instead.eq(place)
        lost = (self.failure.error == Error.LOST) & _of(there, self.failure.parity)
        m.d.comb += [
            self.recovers.eq(self.stop & lost & ~halted & ~self.halt & ~self.report),
            self.again.eq(self.recovers & (state == _State.CLEAR) & (self.engine_busy == 0)),
        ]
        # Who stops what recovers is told of that alone.
        with m.If((state == _State.CLEAR) & lost & halted):
            m.d.sync += [self.failure.error.eq(Error.STOPPED), self.failure.number.eq(0)]


def _of(bits: Value, engine: Value) -> Value:
    """Take an engine's bit."""
    return bits.bit_select(engine, 1)


def _mask(engines: Several[Engine]) -> int:
    """Return a bit for each engine whose inputs and outputs lie in RAMs that a run uses."""
    return sum(engine.asks << number for number, engine in enumerate(engines))
