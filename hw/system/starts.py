"""Starts: the inferences that are queued or under way, and how long they take."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.jobs import list_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["Starts"]


class Starts(wiring.Component):
    """Keeps the lists that are to be read, and of each inference that is not done its start.

    An inference is under way from the cycle after ``start`` up to that of ``done``, which are the
    cycles that it is said to take. Its list is at ``o`` in the cycle after ``start``.

    Members
    -------
    start, what : In, queue a list; only while ``ready``.
    ready : Out, there is room, and nothing is being abandoned.
    o : ``Out(stream(list_layout))``.
    done : In, the oldest inference is done.
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
            "stop": In(1),
            "forget": In(1),
            "left": Out(1),
            "count": Out(COUNTER_BITS),
            "cycles": Out(COUNTER_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lists = lists = Queue(list_layout(), self._depth)
        m.submodules.begun = begun = Queue(COUNTER_BITS, self._depth)
        now = Signal(COUNTER_BITS)
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            self.ready.eq(begun.i.ready & ~self.stop),
            lists.i.valid.eq(self.start),
            lists.i.payload.eq(self.what),
            begun.i.valid.eq(self.start),
            begun.i.payload.eq(now),
            begun.o.ready.eq(self.done | self.forget),
            self.left.eq(begun.o.valid),
            self.o.payload.eq(lists.o.payload),
            self.o.valid.eq(lists.o.valid),
            lists.o.ready.eq(self.o.ready),
        ]
        with m.If(self.done):
            m.d.sync += [self.count.eq(self.count + 1), self.cycles.eq(now - begun.o.payload)]
        return m
