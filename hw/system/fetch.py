"""Fetch: reads command lists, ahead of their execution."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.formats import (
    COMMAND_BYTES,
    Base,
    Error,
    Op,
    command_layout,
    read_request_layout,
)
from zeroskip.hw.system.jobs import fetched_layout, list_layout, window_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import read_beat_layout

__all__ = ["CHUNK", "DEPTH", "FETCH_TAG", "Fetch"]

FETCH_TAG = 0
"""Of the requests for commands."""
CHUNK = 4
"""Commands that are asked for at a time."""
DEPTH = 2 * CHUNK
"""Commands that are kept."""


class _State(enum.Enum, shape=3):
    IDLE = 0
    CHECK = 1  # the list's address
    ASK = 2  # wait for room
    REQUEST = 3
    BEATS = 4
    FAULT = 5  # say what the list ends with
    HALT = 6


class Fetch(wiring.Component):
    """Reads one list after the other, a chunk of commands at a time, up to its END.

    The address of a command that has a :class:`.Base` is added to what the list was started with.

    What goes wrong ends the list with a fault in the place of a command, and the unit then waits
    for ``stop``. A chunk is asked for when all its commands have room, so beats never wait.

    A list is taken in IDLE; CHECK takes a cycle, and so does each chunk in ASK if there is room,
    and in REQUEST if the request is taken at once. Commands are pushed in the cycle of their
    (last) beat, one a cycle, and are at ``o`` in the next. After the last beat of a chunk comes
    ASK, FAULT (a cycle, or until there is room), or, after END, IDLE.

    Members
    -------
    start : ``In(stream(list_layout))``, lists; thrown away while ``stop``.
    window : In, where lists may lie.
    request : ``Out(stream(read_request_layout))``.
    i : ``In(stream(read_beat_layout))``, beats that were requested.
    o : ``Out(stream(fetched_layout))``, commands in order.
    stop : In, give up; to be held until ``idle``.
    idle : Out, no list at work; commands may be left at ``o``.
    """

    start: stream.Interface
    window: Any
    request: stream.Interface
    i: stream.Interface
    o: stream.Interface
    stop: Signal
    idle: Signal

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "start": In(stream.Signature(list_layout())),
            "window": In(window_layout()),
            "request": Out(stream.Signature(read_request_layout(params))),
            "i": In(stream.Signature(read_beat_layout(params))),
            "o": Out(stream.Signature(fetched_layout())),
            "stop": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p = self._p
        m = Module()
        m.submodules.queue = queue = Queue(fetched_layout(), DEPTH)
        state = Signal(_State)
        addr = Signal(list_layout()["addr"].shape)
        size = Signal(32)  # bytes of the list
        left = Signal(32 - 4)  # commands that were not asked for
        wanted = Signal(range(CHUNK + 1))  # commands of the chunk that have not come
        chunk = Signal(range(CHUNK + 1))
        beats = Signal(range(CHUNK * COMMAND_BYTES // p.beat_bytes + 1))
        ended = Signal()
        bad = Signal()
        fault = Signal(Error)

        end = Signal(len(addr) + 1)
        m.d.comb += [
            self.idle.eq(state == _State.IDLE),
            self.start.ready.eq(state == _State.IDLE),
            chunk.eq(Mux(left > CHUNK, CHUNK, left)),
            self.request.valid.eq(state == _State.REQUEST),
            self.request.payload.addr.eq(addr),
            self.request.payload.beats.eq(beats),
            self.request.payload.tag.eq(FETCH_TAG),
            self.o.payload.eq(queue.o.payload),
            self.o.valid.eq(queue.o.valid),
            queue.o.ready.eq(self.o.ready),
            # Whole beats are read.
            end.eq(addr + Cat(Const(0, p.beat_shift), (size + p.beat_bytes - 1)[p.beat_shift :])),
        ]
        word, whole, taken = self._gather(m, state == _State.BEATS)
        bases = Signal.like(self.start.payload)
        item = queue.i.payload
        push = Signal()
        m.d.comb += [
            self.i.ready.eq(taken),
            push.eq(whole & (wanted != 0) & ~ended & ~bad & ~self.i.payload.error),
            item.failed.eq(state == _State.FAULT),
            item.command.eq(
                Mux(state == _State.FAULT, Value.cast(fault), _resolved(m, word, bases))
            ),
            queue.i.valid.eq(~self.stop & (push | (state == _State.FAULT))),
        ]
        ends = push & (word[:8] == Op.END)
        with m.If(whole & (wanted != 0)):
            m.d.sync += wanted.eq(wanted - 1)
        with m.If(ends):
            m.d.sync += ended.eq(1)
        wrong = self.i.valid & self.i.payload.error & (wanted != 0) & ~ended
        with m.If(wrong):
            m.d.sync += bad.eq(1)

        with m.Switch(state):
            with m.Case(_State.IDLE):
                listed = self.start.payload
                m.d.sync += [addr.eq(listed.addr), size.eq(listed.bytes), bases.eq(listed)]
                m.d.sync += [left.eq(listed.bytes[4:]), ended.eq(0), bad.eq(0)]
                with m.If(self.start.valid & ~self.stop):
                    m.d.sync += state.eq(_State.CHECK)
            with m.Case(_State.CHECK):
                m.d.sync += state.eq(_State.FAULT)
                with m.If((addr & p.beat_bytes - 1) != 0):
                    m.d.sync += fault.eq(Error.MISALIGNED)
                with m.Elif((addr < self.window.base) | (end > self.window.end)):
                    m.d.sync += fault.eq(Error.WINDOW)
                with m.Elif(left == 0):
                    m.d.sync += fault.eq(Error.CUT)
                with m.Else():
                    m.d.sync += state.eq(_State.ASK)
            with m.Case(_State.ASK):
                m.d.sync += [wanted.eq(chunk), beats.eq(_beats(chunk, p))]
                with m.If(self.stop):
                    m.d.sync += state.eq(_State.IDLE)
                with m.Elif(queue.level <= DEPTH - CHUNK):
                    m.d.sync += state.eq(_State.REQUEST)
            with m.Case(_State.REQUEST), m.If(self.request.ready):
                m.d.sync += [left.eq(left - wanted), addr.eq(addr + CHUNK * COMMAND_BYTES)]
                m.d.sync += state.eq(_State.BEATS)
            with m.Case(_State.BEATS), m.If(self.i.valid & self.i.ready):
                m.d.sync += beats.eq(beats - 1)
                with m.If(beats == 1):
                    m.d.sync += fault.eq(Mux(bad | wrong, Error.FETCH, Error.CUT))
                    with m.If(ended | ends | self.stop):
                        m.d.sync += state.eq(_State.IDLE)
                    with m.Elif(bad | wrong | (left == 0)):
                        m.d.sync += state.eq(_State.FAULT)
                    with m.Else():
                        m.d.sync += state.eq(_State.ASK)
            with m.Case(_State.FAULT), m.If(queue.i.ready | self.stop):
                m.d.sync += state.eq(_State.HALT)
            with m.Case(_State.HALT), m.If(self.stop):
                m.d.sync += state.eq(_State.IDLE)
        return m

    def _gather(self, m: Module, enabled: Value) -> tuple[Value, Value, Value]:
        """Cut beats to commands; give the command, whether it is whole, and to take the beat."""
        width = 8 * COMMAND_BYTES
        beat, coming = self.i.payload.data, self.i.valid & enabled
        if self._p.data_bits == width:
            return beat, coming, enabled
        second = Signal()
        with m.If(coming):
            m.d.sync += second.eq(~second)
        if self._p.data_bits < width:
            low = Signal.like(beat)
            with m.If(coming & ~second):
                m.d.sync += low.eq(beat)
            return Cat(low, beat), coming & second, enabled
        return Mux(second, beat[width:], beat[:width]), coming, enabled & second


def _resolved(m: Module, word: Value, bases: Any) -> Value:
    """Add to a command's address what it asks for; if that cannot be, leave all as it is."""
    command: Any = Signal(command_layout(), name="command")
    found: Any = Signal.like(command, name="resolved")
    of_output = command.base == Base.OUTPUT
    known = of_output | (command.base == Base.INPUT)
    total = command.addr + Mux(of_output, bases.output, bases.input)
    m.d.comb += [command.eq(word), found.eq(word)]
    with m.If(known & ~total[len(command.addr) :].any()):
        m.d.comb += [found.addr.eq(total), found.base.eq(Base.NOTHING)]
    return found.as_value()


def _beats(commands: Value, p: SystemParams) -> Value:
    """Count the beats of ``commands``."""
    if p.beat_bytes <= COMMAND_BYTES:
        return commands << (COMMAND_BYTES // p.beat_bytes - 1)
    return (commands + 1) >> 1
