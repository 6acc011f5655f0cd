"""Rows of a memory port and values of a plane: each made of the other, whatever their numbers."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.common.row_pack import RowPack
from zeroskip.hw.scnn.formats import plane_value_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.formats import ROW_BITS

__all__ = ["PlaneIn", "PlaneOut"]


class PlaneIn(wiring.Component):
    """Cuts rows into values, lane 0 first, one a cycle.

    A plane that needs more values than its rows have gets zeros, and rows that it does not need are
    thrown away: neither side ever waits for what does not come.

    Parameters
    ----------
    bits : width of a value.
    lanes : values of a row.

    Members
    -------
    start, rows : In, a plane begins, of as many rows; only while not ``busy``.
    wanted : In, the plane needs values; from the cycle after ``start`` until it is whole.
    busy : Out, rows are still to come.
    i : ``In(stream(lanes * bits))``, rows.
    o : ``Out(stream(signed(bits)))``, values.
    """

    start: Signal
    rows: Signal
    wanted: Signal
    busy: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, bits: int, lanes: int) -> None:
        self._bits, self._lanes = bits, lanes
        super().__init__({
            "start": In(1),
            "rows": In(ROW_BITS),
            "wanted": In(1),
            "busy": Out(1),
            "i": In(stream.Signature(lanes * bits)),
            "o": Out(stream.Signature(signed(bits))),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(ROW_BITS)
        row = Signal(self._lanes * self._bits)
        values = Signal(range(self._lanes + 1))
        m.d.comb += [
            self.busy.eq(left != 0),
            self.o.valid.eq(self.wanted & ((values != 0) | (left == 0))),
            self.o.payload.eq(Mux(values != 0, row[: self._bits], 0)),
            self.i.ready.eq(
                self.busy & (~self.wanted | (values == 0) | ((values == 1) & self.o.ready))
            ),
        ]
        with m.If(self.o.valid & self.o.ready & (values != 0)):
            m.d.sync += [row.eq(row >> self._bits), values.eq(values - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [row.eq(self.i.payload), left.eq(left - 1)]
            m.d.sync += values.eq(Mux(self.wanted, self._lanes, 0))
        with m.If(self.start):
            m.d.sync += [left.eq(self.rows), values.eq(0)]
        return m


class PlaneOut(wiring.Component):
    """Packs values of a plane to rows.

    A plane that has fewer values than the rows gives zeros, and of one that has more, the rest is
    thrown away.

    Members
    -------
    start, rows : In, a plane is asked for, of as many rows, at least one; only once the rows of the
        one before have been taken.
    go : Out, begin to read it.
    reading : In, it is being read; from the cycle after ``go``.
    i : ``In(stream(plane_value_layout))``, values.
    o : ``Out(stream(lanes * act_bits))``, rows.
    """

    start: Signal
    rows: Signal
    go: Signal
    reading: Signal
    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: ScnnParams, lanes: int) -> None:
        self._p, self._lanes = params, lanes
        super().__init__({
            "start": In(1),
            "rows": In(ROW_BITS),
            "go": Out(1),
            "reading": In(1),
            "i": In(stream.Signature(plane_value_layout(params))),
            "o": Out(stream.Signature(lanes * params.act_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pack = pack = RowPack(self._p.act_bits, self._lanes)
        value: Any = pack.i
        connect(m, wiring.flipped(self.i), value)
        left = Signal(ROW_BITS)
        # The rest of a plane before is still being thrown away.
        waiting = Signal()
        rest, ended = Signal(), Signal()
        m.d.comb += [
            rest.eq(self.reading | pack.o.valid),
            self.go.eq(waiting & ~rest),
            ended.eq(~waiting & ~rest),
            self.o.valid.eq((left != 0) & ~waiting & (pack.o.valid | ended)),
            self.o.payload.eq(Mux(ended, 0, pack.o.payload)),
            pack.o.ready.eq(waiting | (left == 0) | self.o.ready),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += left.eq(left - 1)
        with m.If(self.go):
            m.d.sync += waiting.eq(0)
        with m.If(self.start):
            m.d.sync += [left.eq(self.rows), waiting.eq(1)]
        return m
