"""Rows of activations out of a stream of values: what a file takes in a cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.eie.params import EieParams

__all__ = ["RowPack"]


class RowPack(wiring.Component):
    """Gathers a value of each PE to a row, lowest PE first, one value a cycle.

    Behind the last value, the row is filled with zeros.

    Members
    -------
    i : ``In(stream)``, values (``value``), and which is the last (``last``).
    o : ``Out(stream(num_pes * act_bits))``, rows; PE 0 is in the low bits.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: EieParams) -> None:
        self._p = params
        value = data.StructLayout({"value": signed(params.act_bits), "last": 1})
        super().__init__({
            "i": In(stream.Signature(value)),
            "o": Out(stream.Signature(params.num_pes * params.act_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        row = Signal(data.ArrayLayout(signed(p.act_bits), p.num_pes))
        lane = Signal(range(max(2, p.num_pes)))
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
            with m.If(value.last | (lane == p.num_pes - 1)):
                m.d.sync += [full.eq(1), lane.eq(0)]
        return m
