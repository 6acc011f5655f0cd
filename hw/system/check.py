"""Check: finds out, before a command begins, whether it can be carried out."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import COMMAND_BYTES, PACKED, ROW_BITS, Error, Op
from zeroskip.hw.system.jobs import Engine, fetched_layout, job_layout, window_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["DESTINATION", "Check"]

DESTINATION = 31
"""Bit of an OUTPUT's row that says that it reads the destination file."""


class _State(enum.Enum, shape=2):
    EMPTY = 0
    SIZE = 1  # how many beats, up to which row
    JUDGE = 2
    FULL = 3


class Check(wiring.Component):
    """Sizes and judges one command after the other, and numbers them.

    A command is taken in EMPTY, and is at ``o`` three cycles later, as SIZE and JUDGE take one
    each; the next is taken in the cycle after it has left.

    Of several errors it is the first of: what the list ends with, UNKNOWN, MISALIGNED, RANGE,
    WINDOW.

    Members
    -------
    i : ``In(stream(fetched_layout))``, commands.
    window : In, what may be read and written.
    stop : In, throw away what comes; the next list is the first again.
    o : ``Out(stream(job_layout))``.
    """

    i: stream.Interface
    window: Any
    stop: Signal
    o: stream.Interface

    def __init__(self, params: SystemParams, engines: Sequence[Engine]) -> None:
        self._p, self._engines = params, engines
        super().__init__({
            "i": In(stream.Signature(fetched_layout())),
            "window": In(window_layout()),
            "stop": In(1),
            "o": Out(stream.Signature(job_layout(params))),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job: Any = self.o.payload
        state = Signal(_State)
        taken = Signal(fetched_layout())
        command: Any = taken.command
        number, parity = Signal(ROW_BITS), Signal()
        m.d.comb += [
            self.i.ready.eq(self.stop | (state == _State.EMPTY)),
            self.o.valid.eq(state == _State.FULL),
        ]
        fits = self._size(m, command, job.beats, state == _State.SIZE)
        with m.Switch(state):
            with m.Case(_State.EMPTY):
                m.d.sync += taken.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.d.sync += state.eq(_State.SIZE)
            with m.Case(_State.SIZE):
                m.d.sync += state.eq(_State.JUDGE)
            with m.Case(_State.JUDGE):
                m.d.sync += [
                    job.op.eq(command.op),
                    job.engine.eq(command.engine),
                    job.space.eq(command.space),
                    job.wait.eq(command.wait),
                    job.pe.eq(command.pe),
                    job.row.eq(command.row),
                    job.addr.eq(command.addr),
                    job.count.eq(command.count),
                    job.failure.error.eq(self._judge(m, taken, job.beats, fits)),
                    job.failure.number.eq(number),
                    job.failure.parity.eq(parity),
                    number.eq(number + 1),
                    state.eq(_State.FULL),
                ]
                with m.If(command.op == Op.END):
                    m.d.sync += [number.eq(0), parity.eq(~parity)]
            with m.Case(_State.FULL), m.If(self.o.ready):
                m.d.sync += state.eq(_State.EMPTY)
        with m.If(self.stop):
            m.d.sync += [state.eq(_State.EMPTY), number.eq(0)]
        return m

    def _size(self, m: Module, command: Any, beats: Signal, now: Value) -> Signal:
        """Count the beats of a command that moves something; return whether the engine has it.

        Both are there in the cycle after ``now``. Of what the engine does not have, the beats are
        wrong.
        """
        fits = Signal()
        with m.If(now), m.Switch(command.engine):
            for number, engine in enumerate(self._engines):
                with m.Case(number):
                    self._size_for(m, engine, command, beats, fits)
        return fits

    def _size_for(
        self, m: Module, engine: Engine, command: Any, beats: Signal, fits: Signal
    ) -> None:
        """Size a command for an engine."""
        p, row = self._p, command.row
        last = command.row[:DESTINATION] + command.count
        rows, in_beat = command.count * engine.row_beats(p), engine.beat_rows(p)
        packed = (rows + in_beat - 1) >> in_beat.bit_length() - 1
        m.d.sync += [beats.eq(rows), fits.eq((command.count != 0) & (last <= engine.rows))]
        with m.Switch(command.op):
            with m.Case(Op.INPUT):
                known = ~row[DESTINATION] & (command.space <= PACKED)
                m.d.sync += fits.eq((command.count != 0) & known & (last <= engine.rows))
                with m.If(command.space == PACKED):
                    m.d.sync += beats.eq(packed)
            with m.Case(Op.CONTROL):
                m.d.sync += fits.eq(row <= sum(Command))
            with m.Case(Op.END):
                m.d.sync += fits.eq(1)
            with m.Case(Op.ELSE):
                # Beats of a count that has its highest bit set would not fit `beats`.
                size = command.count * COMMAND_BYTES + p.beat_bytes - 1
                m.d.sync += [
                    beats.eq(size >> p.beat_shift),
                    fits.eq((command.count != 0) & ~command.count[-1]),
                ]
            with m.Case(Op.WEIGHTS):
                size = command.count * (engine.stream_bits // 8) + p.beat_bytes - 1
                m.d.sync += [
                    beats.eq(size >> p.beat_shift),
                    fits.eq((command.count != 0) & bool(engine.stream_bits)),
                ]
            with m.Case(Op.LOAD):
                m.d.sync += fits.eq(0)
                shifts = engine.word_shifts()
                with m.Switch(command.space):
                    for space, memory in engine.memories.items():
                        size = (command.count << shifts[space]) + p.beat_bytes - 1
                        inside = ~row[DESTINATION] & (last <= memory.rows)
                        with m.Case(space):
                            m.d.sync += [
                                beats.eq(size >> p.beat_shift),
                                fits.eq((command.count != 0) & inside & (command.pe < memory.pes)),
                            ]

    def _judge(self, m: Module, taken: data.View, beats: Signal, fits: Signal) -> Any:
        """Find what is wrong with a command whose size is known."""
        p = self._p
        command: Any = taken.command
        error = Signal(Error)
        known = Signal()
        reads = (command.op == Op.LOAD) | (command.op == Op.INPUT) | (command.op == Op.WEIGHTS)
        moves = reads | (command.op == Op.OUTPUT) | (command.op == Op.ELSE)
        end = Signal(len(command.addr) + 2)
        m.d.comb += [
            known.eq(moves | (command.op == Op.CONTROL) | (command.op == Op.END)),
            end.eq(command.addr + Cat(Const(0, p.beat_shift), beats)),
        ]
        with m.If(taken.failed):
            m.d.comb += error.eq(Value.cast(command)[:4])
        with m.Elif(
            ~known
            | (command.engine >= len(self._engines))
            | (command.base != 0)
            | (command.zero != 0)
        ):
            m.d.comb += error.eq(Error.UNKNOWN)
        with m.Elif(moves & ((command.addr & p.beat_bytes - 1) != 0)):
            m.d.comb += error.eq(Error.MISALIGNED)
        with m.Elif(~fits):
            m.d.comb += error.eq(Error.RANGE)
        with m.Elif(
            moves & ((command.addr < self.window.base) | (end > self.window.end)),
        ):
            m.d.comb += error.eq(Error.WINDOW)
        return error
