"""Maximum pooling of outputs, on their way to be compressed (SCNN, section IV: the PPU)."""

from functools import reduce

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams

__all__ = ["OUTPUT_CYCLES", "Windows", "outputs_layout"]

OUTPUT_CYCLES = 2
"""Cycles from the last outputs of pooling windows to their maxima."""


class Windows(wiring.Component):
    """Take the maximum of pooling windows that lie side by side in the lanes.

    Takes outputs of a row a cycle, of as many whole windows as there are; the rows of these windows
    come one after the other. The maxima are there two cycles after the last row. Where nothing
    comes, nothing changes.

    Members
    -------
    columns : In, of a window, constant during a pass: 1 to ``MOST_POOL``, at most the lanes.
    i : In, ``there``: lanes that have an output, from lane 0 up; ``values``, and whether they are
        ``inside`` the plane, as all of a window or none; ``row_end``, ``channel_end``: they end a
        row of windows, and a channel.
    first, last : In, they are of the first, and of the last row of their windows.
    o : Out, maxima, as outputs in ``i``.
    busy : Out, outputs are on their way.
    """

    columns: Signal
    i: data.View
    first: Signal
    last: Signal
    o: data.View
    busy: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        outputs = outputs_layout(params)
        super().__init__({
            "columns": In(3),
            "i": In(outputs),
            "first": In(1),
            "last": In(1),
            "o": Out(outputs),
            "busy": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        lanes = self._p.mult_i
        m = Module()
        # p: the outputs that came in the cycle before. q: of each window, its columns' maximum.
        p_outputs = Signal.like(self.i)
        p_first, p_last = Signal(reset_less=True), Signal(reset_less=True)
        q_outputs = Signal.like(self.i)
        q_first, q_last = Signal(reset_less=True), Signal(reset_less=True)
        of_rows = Signal.like(self.i)
        m.d.comb += of_rows.eq(p_outputs)
        with m.Switch(self.columns):
            for width in range(2, min(lanes, MOST_POOL) + 1):
                with m.Case(width):
                    m.d.comb += [
                        of_rows.there.eq(p_outputs.there[::width]),
                        of_rows.inside.eq(p_outputs.inside[::width]),
                    ]
                    for window in range(lanes // width):
                        parts = [p_outputs.values[window * width + at] for at in range(width)]
                        m.d.comb += of_rows.values[window].eq(reduce(_larger, parts))
        m.d.sync += [p_outputs.there.eq(self.i.there), q_outputs.there.eq(of_rows.there)]
        with m.If(self.i.there[0]):
            m.d.sync += [p_outputs.eq(self.i), p_first.eq(self.first), p_last.eq(self.last)]
        with m.If(p_outputs.there[0]):
            m.d.sync += [q_outputs.eq(of_rows), q_first.eq(p_first), q_last.eq(p_last)]

        m.d.comb += [
            self.o.eq(q_outputs),
            self.o.there.eq(Mux(q_last, q_outputs.there, 0)),
            self.busy.eq(p_outputs.there[0] | q_outputs.there[0]),
        ]
        for lane in range(lanes):
            so_far = Signal(signed(self._p.act_bits), name=f"so_far_{lane}", reset_less=True)
            of_row = q_outputs.values[lane]
            larger = Mux(q_first, of_row, _larger(of_row, so_far))
            m.d.comb += self.o.values[lane].eq(larger)
            with m.If(q_outputs.there[0]):
                m.d.sync += so_far.eq(self.o.values[lane])
        return m


def outputs_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out up to ``mult_i`` neighbouring outputs of a row, a lane each; see :class:`Windows`."""
    return data.StructLayout({
        "there": p.mult_i,
        "values": data.ArrayLayout(signed(p.act_bits), p.mult_i),
        "inside": p.mult_i,
        "row_end": 1,
        "channel_end": 1,
    })


def _larger(one: Value, other: Value) -> Value:
    """Give the larger of two numbers."""
    return Mux(one > other, one, other)
