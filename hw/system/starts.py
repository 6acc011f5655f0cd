"""Starts: the inferences that are queued or under way, and how long they take."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.memory import NamedMemory
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.jobs import list_layout, place_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["Starts"]


class Starts(wiring.Component):
    """Keeps, of each inference that is not done, its list and its start.

    An inference is under way from the cycle after ``start`` up to that of ``done``, which are the
    cycles that it is said to take. Its list is at ``o`` in the cycle after ``start``; and in the
    cycle after ``again`` the list ``instead`` of the oldest, with the others behind it.

    Members
    -------
    start, what : In, queue a list; only while ``ready``.
    ready : Out, there is room, and nothing is being abandoned.
    o : ``Out(stream(list_layout))``.
    done : In, the oldest inference is done.
    again, instead : In, begin all lists again; where the oldest's other list is.
    stop : In, no more starts.
    forget : In, forget an inference a cycle; to be held until none is ``left``.
    left : Out, inferences are queued or under way.
    count, cycles : Out, inferences that were done, and the cycles of the last one.
    """

    start: Signal
    what: Any
    ready: Signal
    o: stream.Interface
    done: Signal
    again: Signal
    instead: Any
    stop: Signal
    forget: Signal
    left: Signal
    count: Signal
    cycles: Signal

    def __init__(self, params: SystemParams) -> None:
        self._depth = params.starts + 1
        super().__init__({
            "start": In(1),
            "what": In(list_layout()),
            "ready": Out(1),
            "o": Out(stream.Signature(list_layout())),
            "done": In(1),
            "again": In(1),
            "instead": In(place_layout()),
            "stop": In(1),
            "forget": In(1),
            "left": Out(1),
            "count": Out(COUNTER_BITS),
            "cycles": Out(COUNTER_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lists = lists = NamedMemory(list_layout(), self._depth, "lists")
        m.submodules.begun = begun = Queue(COUNTER_BITS, self._depth)
        read, write = lists.read_port(domain="comb"), lists.write_port()
        now = Signal(COUNTER_BITS)
        # Where the list of the oldest inference is, and how many lists `o` has not given yet. The
        # next that it gives may lie `elsewhere`, at `place`, instead of where it was started.
        oldest, unread = Signal(range(self._depth)), Signal(range(self._depth + 1))
        elsewhere = Signal()
        place = Signal(place_layout())
        takes = self.o.valid & self.o.ready
        m.d.comb += [
            self.ready.eq(begun.i.ready & ~self.stop),
            write.en.eq(self.start),
            write.data.eq(self.what),
            begun.i.valid.eq(self.start),
            begun.i.payload.eq(now),
            begun.o.ready.eq(self.done | self.forget),
            self.left.eq(begun.o.valid),
            self.o.payload.eq(read.data),
            self.o.valid.eq(unread != 0),
        ]
        with m.If(elsewhere):
            m.d.comb += [self.o.payload[name].eq(place[name]) for name in place_layout().members]
        m.d.sync += [
            now.eq(now + 1),
            oldest.eq(self._after(oldest, begun.o.valid & begun.o.ready)),
            write.addr.eq(self._after(write.addr, self.start)),
            read.addr.eq(self._after(read.addr, takes)),
            unread.eq(unread + self.start - takes),
            elsewhere.eq(elsewhere & ~takes),
        ]
        with m.If(self.again):
            m.d.sync += [
                read.addr.eq(oldest),
                unread.eq(begun.level + self.start),
                elsewhere.eq(1),
                place.eq(self.instead),
            ]
        with m.If(self.done):
            m.d.sync += [self.count.eq(self.count + 1), self.cycles.eq(now - begun.o.payload)]
        return m

    def _after(self, place: Value, goes: Value) -> Value:
        """Return the next place of the ring, if it ``goes`` on."""
        return Mux(goes, Mux(place == self._depth - 1, 0, place + 1), place)
