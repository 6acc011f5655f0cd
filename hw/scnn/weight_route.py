"""Weight route: beats of all streams, as they lie in memory, to the FIFO of each."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.packing import Packing, schedule_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["WeightRoute"]


class WeightRoute(wiring.Component):
    """Give each beat to the stream that the schedule before it says.

    A beat a cycle, schedules among them. A beat whose stream has no room lets those behind it wait,
    too: :mod:`zeroskip.compiler.scnn.pack` says why none waits for ever.

    Members
    -------
    i : ``In(stream(beat))``, see ``schedule_layout``.
    o : of each stream, ``Out(stream(beat))``.
    """

    i: stream.Interface
    o: Any

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        beat = stream.Signature(Packing.of(params).beat)
        super().__init__({"i": In(beat), "o": Out(beat).array(params.num_streams)})

    def elaborate(self, platform: object) -> Module:
        layout, bits = schedule_layout(self._p), Packing.of(self._p).number
        m = Module()
        schedule = data.View(layout, self.i.payload[: layout.size])
        left = Signal(layout["count"].shape)
        numbers = Signal(layout["numbers"].shape)
        number = numbers[:bits]
        taken = Signal()
        room = Signal()
        for stream_number, o in enumerate(self.o):
            here = number == stream_number
            m.d.comb += [
                o.payload.eq(self.i.payload),
                o.valid.eq(self.i.valid & (left != 0) & here),
            ]
            with m.If(here):
                m.d.comb += room.eq(o.ready)
        m.d.comb += [
            self.i.ready.eq((left == 0) | room),
            taken.eq(self.i.valid & self.i.ready),
        ]
        with m.If(taken):
            with m.If(left == 0):
                m.d.sync += [left.eq(schedule.count), numbers.eq(schedule.numbers)]
            with m.Else():
                m.d.sync += [left.eq(left - 1), numbers.eq(numbers >> bits)]
        return m
