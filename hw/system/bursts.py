"""Cut requests of the DMA to bursts, so that AXI takes them."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.system.axi import address_layout
from zeroskip.hw.system.formats import ROW_BITS, write_request_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["Bursts"]


class Bursts(wiring.Component):
    """Cut requests to bursts at the multiples of ``burst_beats``, one a cycle.

    A block of ``burst_beats`` that begins at a multiple of its size lies in one page of 4 KB, as
    both are powers of two and no block is larger. So one rule keeps both limits.

    Members
    -------
    i : ``In(stream(write_request_layout))``, requests of one beat at least; ``ready`` in the cycle
        that the last burst of the request before leaves.
    o : ``Out(stream)``, a burst, and whether it is the ``final`` one of its request. A cycle after
        the request at the earliest.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        burst = data.StructLayout({"burst": address_layout(params), "final": unsigned(1)})
        super().__init__({
            "i": In(stream.Signature(write_request_layout(params))),
            "o": Out(stream.Signature(burst)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        # The address in beats: the place in a block of ``burst_beats``, and above it the block.
        beat = Signal(p.addr_bits - p.beat_shift, reset_less=True)
        place_bits = p.burst_beats.bit_length() - 1
        left = Signal(ROW_BITS, reset_less=True)
        # Beats up to the end of the block, and those that are left for the blocks after it: none
        # if that is not positive.
        rest = Value.cast(p.burst_beats - beat[:place_bits])
        after = Signal(ROW_BITS + 1)
        final = Signal()
        # No more are left than the block has: of few bits, as all that asks for beats waits for it.
        few = left[: place_bits + 1] + beat[:place_bits] <= p.burst_beats
        m.d.comb += [
            after.eq(left - rest),
            final.eq(few & (left[place_bits + 1 :] == 0)),
            self.o.payload.burst.addr.eq(Cat(Const(0, p.beat_shift), beat)),
            self.o.payload.burst.len.eq(Mux(final, left, rest) - 1),
            self.o.payload.final.eq(final),
            self.i.ready.eq(~self.o.valid | (self.o.ready & final)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.o.valid.eq(~final),
                beat.eq(Cat(Const(0, place_bits), beat[place_bits:] + 1)),
                left.eq(after),
            ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.valid.eq(1),
                beat.eq(self.i.payload.addr[p.beat_shift :]),
                left.eq(self.i.payload.beats),
            ]
        return m
