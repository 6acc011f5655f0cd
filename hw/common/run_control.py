"""Run control: starts, clears and abandons runs, and goes from pass to pass."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RunControl", "RunSignature"]


class _State(enum.Enum, shape=3):
    FLUSH = 0  # empty queues and pipelines
    CLEAR = 1  # sweep accumulators and counters
    IDLE = 2
    START = 3
    TURN = 4  # wait for the next descriptor, and make it the one at work
    PASS = 5


class RunSignature(wiring.Signature):
    """Commands about runs, as who gives them sees it; see :class:`RunControl`.

    Parameters
    ----------
    files : memories of activations; with more than two there is ``next``.
    sequences : runs are steps of sequences: there is ``begin``.
    """

    def __init__(self, files: int = 2, *, sequences: bool = False) -> None:
        self.files = files
        self.sequences = sequences
        super().__init__({
            **({"next": Out(1)} if files > 2 else {}),
            **({"begin": Out(1)} if sequences else {}),
            "start": Out(1),
            "keep": Out(1),
            "clear": Out(1),
            "clear_counters": Out(1),
            "running": In(1),
            "counting": In(1),
            "source": In(range(files)),
        })


class RunControl(wiring.Component):
    """Control of a run: pass by pass, until the descriptor that says ``last``.

    Passes themselves are the engine's: it begins one in the cycle after ``turn``, and says when it
    is done. A ``start`` between runs finds all as the last run left it.

    ``start``, ``clear`` and ``clear_counters`` may come at any time, and are done in their order.
    A run that is under way, or still waits for a clearing, is then abandoned, and everything
    cleared: of a run that was cut short, nothing can be kept. A clearing of the counters alone
    touches nothing else, so what comes behind it finds the source and sums as they were.

    Parameters
    ----------
    sweep_bits : width of the addresses that a clearing goes through.
    number_bits : width of a descriptor's number.
    files : memories of activations: two, or three.
    sequences : see :class:`RunSignature`.

    Members
    -------
    run.start : In, run the program; its input is in memory 0, with ``run.keep`` in the source.
    run.clear : In, set all accumulators and counters to 0, and make memory 0 the source (done
        after reset, too).
    run.clear_counters : In, set the counters to 0 and leave the rest, unless a run or a clearing
        of all is cut short: then it is a clearing of all.
    run.running : Out, a run or a clearing is under way.
    run.counting : Out, this cycle is one of a run.
    run.source : Out, which memory of activations is the source; once ``run.running`` is low, the
        one that holds the result.
    run.next : In, of three memories, with ``run.start`` and not ``run.clear``: the free one becomes
        the source, and the source the free one; the destination stays. Before ``run.keep``.
    run.begin : In, of sequences, with ``run.start``: a sequence begins.
    fresh : Out, of sequences: the last run that was started begins one.
    destination : Out, of three memories, the one for outputs.
    free : Out, the third, as it is from the next cycle on.
    flush : Out, empty everything that is not a memory.
    clear_sums, counter_clear, sweep : Out, clear the accumulator, and the counter, of address
        ``sweep``.
    begin : Out, a run begins: go back to the first descriptor.
    ready : In, the next descriptor has been read.
    turn : Out, make it the one at work; the pass begins with the next cycle.
    setup : Out, a run has no pass at work yet, or none any more.
    working : Out, a pass is at work.
    number : Out, of the descriptor at work.
    swap, last, done : In, of the descriptor at work: the source changes after it, it is the last
        one; its pass is over with this cycle.
    """

    run: Any
    flush: Signal
    clear_sums: Signal
    counter_clear: Signal
    sweep: Signal
    begin: Signal
    ready: Signal
    turn: Signal
    setup: Signal
    working: Signal
    number: Signal
    swap: Signal
    last: Signal
    done: Signal
    destination: Signal
    free: Signal
    fresh: Signal

    def __init__(
        self, sweep_bits: int, number_bits: int, files: int = 2, *, sequences: bool = False
    ) -> None:
        self._files = files
        self._sequences = sequences
        roles = {"destination": Out(2), "free": Out(2)} if files > 2 else {}
        super().__init__({
            **roles,
            **({"fresh": Out(1)} if sequences else {}),
            "run": In(RunSignature(files, sequences=sequences)),
            "flush": Out(1),
            "clear_sums": Out(1),
            "counter_clear": Out(1),
            "sweep": Out(sweep_bits),
            "begin": Out(1),
            "ready": In(1),
            "turn": Out(1),
            "setup": Out(1),
            "working": Out(1),
            "number": Out(number_bits),
            "swap": In(1),
            "last": In(1),
            "done": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m, run = Module(), self.run
        state = Signal(_State, init=_State.FLUSH)
        # What a clearing is for: to start anew; to clear the counters only.
        restart = Signal()
        counters_only = Signal()
        # Sums and source are those that the last run left.
        intact = ~run.running | (counters_only & ~restart)
        spares_sums = intact & ~run.clear
        # Of three memories, roles change apart from the states: a load may be under way in each.
        first, swapped = [run.source.eq(0)], [run.source.eq(run.source ^ self.swap)]
        if self._files > 2:
            first, swapped = [], []
        m.d.comb += [
            run.running.eq(state != _State.IDLE),
            run.counting.eq(self.setup | self.working),
        ]
        with m.Switch(state):
            with m.Case(_State.FLUSH):
                m.d.comb += self.flush.eq(1)
                m.d.sync += [self.number.eq(0), *first, state.eq(_State.CLEAR)]
            with m.Case(_State.CLEAR):
                m.d.comb += [self.clear_sums.eq(~counters_only), self.counter_clear.eq(1)]
                m.d.sync += self.sweep.eq(self.sweep + 1)
                with m.If(self.sweep.all()):
                    m.d.sync += counters_only.eq(0)
                    m.d.sync += state.eq(Mux(restart, _State.START, _State.IDLE))
            with m.Case(_State.START):
                m.d.comb += [self.setup.eq(1), self.begin.eq(1)]
                m.d.sync += state.eq(_State.TURN)
            with m.Case(_State.TURN):
                m.d.comb += [self.setup.eq(1), self.turn.eq(self.ready)]
                with m.If(self.ready):
                    m.d.sync += state.eq(_State.PASS)
            with m.Case(_State.PASS):
                m.d.comb += self.working.eq(1)
                with m.If(self.done):
                    m.d.sync += [
                        *swapped,
                        self.number.eq(Mux(self.last, 0, self.number + 1)),
                        state.eq(Mux(self.last, _State.IDLE, _State.TURN)),
                    ]
        with m.If(run.clear | run.clear_counters | (run.start & run.running)):
            m.d.sync += [
                restart.eq(run.start),
                counters_only.eq(spares_sums),
                self.sweep.eq(0),
                state.eq(Mux(spares_sums, _State.CLEAR, _State.FLUSH)),
            ]
        with m.Elif(run.start):
            m.d.sync += state.eq(_State.START)
        if self._sequences:
            with m.If(run.start):
                m.d.sync += self.fresh.eq(run.begin)
        if self._files == 2:
            with m.If(run.start & ~run.keep):
                m.d.sync += first
            return m
        # A run is cut short, or what is not a clearing of the counters alone.
        lost = (run.clear | run.clear_counters | (run.start & run.running)) & ~spares_sums
        self._choose_roles(m, lost)
        return m

    def _choose_roles(self, m: Module, lost: Value) -> None:
        """Give each of three memories its role; with ``lost`` those that they have at first."""
        run = self.run
        destination, free = Signal(2, init=1), Signal(2, init=2)
        m.d.comb += [self.destination.eq(destination), self.free.eq(free)]
        m.d.sync += free.eq(self.free)
        with m.If(run.start & run.next & ~run.clear):
            m.d.sync += run.source.eq(free)
            m.d.comb += self.free.eq(run.source)
        with m.Elif(lost | (run.start & ~run.keep)):
            m.d.sync += [run.source.eq(0), destination.eq(1)]
            m.d.comb += self.free.eq(2)
        with m.Elif(self.working & self.done & self.swap):
            m.d.sync += [run.source.eq(destination), destination.eq(run.source)]
