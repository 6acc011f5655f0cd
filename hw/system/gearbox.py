"""Gearbox: words of one width to words of another, which is a multiple or a part of it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

__all__ = ["Gearbox"]


class Gearbox(wiring.Component):
    """Put words together, the first lowest, or take them apart.

    As fast as the wider side, or the narrower, allows; of equal widths, it is wires.

    Parameters
    ----------
    i_bits, o_bits : of a word at ``i`` and ``o``; one is the other times a power of two.

    Members
    -------
    i, o : ``In(stream)``, ``Out(stream)``.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, i_bits: int, o_bits: int) -> None:
        if i_bits % o_bits and o_bits % i_bits:
            raise ValueError(f"o_bits must be a multiple or a part of {i_bits}, not {o_bits}")
        self._i, self._o = i_bits, o_bits
        super().__init__({"i": In(stream.Signature(i_bits)), "o": Out(stream.Signature(o_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        i, o, parts = self.i, self.o, max(self._i // self._o, self._o // self._i)
        if parts == 1:
            connect(m, flipped(i), flipped(o))
            return m
        at = Signal(range(parts))
        final = at == parts - 1
        after = Signal.like(at)
        m.d.comb += after.eq(at + 1)
        if self._o > self._i:
            # The word's last part is not kept: it leaves in the cycle in which it comes.
            before = Signal(self._o - self._i, reset_less=True)
            m.d.comb += [
                o.payload.eq(before | i.payload << (self._o - self._i)),
                o.valid.eq(i.valid & final),
                i.ready.eq(o.ready | ~final),
            ]
            with m.If(i.valid & i.ready):
                m.d.sync += at.eq(after)
                with m.If(~final):
                    m.d.sync += before.word_select(at, self._i).eq(i.payload)
        else:
            m.d.comb += [
                o.payload.eq(i.payload.word_select(at, self._o)),
                o.valid.eq(i.valid),
                i.ready.eq(o.ready & final),
            ]
            with m.If(o.valid & o.ready):
                m.d.sync += at.eq(after)
        return m
