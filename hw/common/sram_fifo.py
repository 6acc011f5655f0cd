"""FIFO in an SRAM, for words that are too many for flip-flops."""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import sram

__all__ = ["SramFifo"]


class SramFifo(wiring.Component):
    """Keep ``depth`` words in an SRAM, and one more at its output, in their order.

    A word taken in cycle t is at ``o`` in cycle t + 2 at the earliest; a word goes in and a word
    goes out in every cycle.

    Parameters
    ----------
    shape : of a word.
    depth : rows of the SRAM, at least 1.
    name : of the SRAM.

    Members
    -------
    i : ``In(stream)``; ``ready`` while a row is free.
    o : ``Out(stream)``, the oldest word.
    freed : Out, a row becomes free with the end of this cycle.
    """

    i: stream.Interface
    o: stream.Interface
    freed: Signal

    def __init__(self, shape: ShapeLike, depth: int, name: str) -> None:
        self._shape = shape
        self._depth = depth
        self._name = name
        super().__init__({
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
            "freed": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules[self._name] = rows = sram(Shape.cast(self._shape), self._depth, self._name)
        read, write = rows.read_port(), rows.write_port()
        level = Signal(range(self._depth + 1))
        m.d.comb += [
            self.i.ready.eq(level != self._depth),
            write.en.eq(self.i.valid & self.i.ready),
            write.data.eq(self.i.payload),
            # A row counts from the cycle after it was written, so no row is read while it is.
            self.freed.eq((level != 0) & (~self.o.valid | self.o.ready)),
            read.en.eq(self.freed),
            self.o.payload.eq(read.data),
        ]
        m.d.sync += [
            level.eq(level + write.en - self.freed),
            self.o.valid.eq(self.freed | (self.o.valid & ~self.o.ready)),
        ]
        for port in (read, write):
            with m.If(port.en):
                m.d.sync += port.addr.eq(self._after(port.addr))
        return m

    def _after(self, row: Value) -> Value:
        return Mux(row == self._depth - 1, 0, row + 1)
