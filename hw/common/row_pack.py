"""Rows of values out of a stream of them: what a file of activations takes in a cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RowPack"]


class RowPack(wiring.Component):
    """Gathers a value for each lane to a row, lowest lane first, one value a cycle.

    Behind the last value, the row is filled with zeros.

    Parameters
    ----------
    bits : width of a value.
    lanes : values of a row.

    Members
    -------
    i : ``In(stream)``, values (``value``), and which is the last (``last``).
    o : ``Out(stream(lanes * bits))``, rows; lane 0 is in the low bits.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, bits: int, lanes: int) -> None:
        self._bits, self._lanes = bits, lanes
        value = data.StructLayout({"value": signed(bits), "last": 1})
        super().__init__({
            "i": In(stream.Signature(value)),
            "o": Out(stream.Signature(lanes * bits)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = Signal(data.ArrayLayout(signed(self._bits), self._lanes))
        lane = Signal(range(max(2, self._lanes)))
        full = Signal()
        value: Any = self.i.payload
        m.d.comb += [
            self.o.valid.eq(full),
            self.o.payload.eq(row.as_value()),
            self.i.ready.eq(~full | self.o.ready),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += [full.eq(0), row.eq(0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [row[lane].eq(value.value), lane.eq(lane + 1)]
            with m.If(value.last | (lane == self._lanes - 1)):
                m.d.sync += [full.eq(1), lane.eq(0)]
        return m
