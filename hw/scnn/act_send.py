"""Activation sender: asks for what a PE owns of the tensor that a pass reads, for the bus."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import header_layout

__all__ = ["ActSend"]


class ActSend(wiring.Component):
    """Ask :class:`.ActRead` for every channel of a PE, in order, once for each group of the pass.

    A request looks like the header of a block of weights that ends its group with the last
    channel; so what is read ends the round with its last word, or with one of its own.

    Members
    -------
    start : In, a pass begins with the next cycle.
    groups, entries : In, its rounds, and directory entries in each; 0 rounds in a pass without bus.
    o : ``Out(stream(header_layout))``, requests.
    """

    start: Signal
    groups: Signal
    entries: Signal
    o: stream.Interface

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "start": In(1),
            "groups": In(12),
            "entries": In(params.channel_bits + 1),
            "o": Out(stream.Signature(header_layout(params))),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rounds = Signal(12)
        entry = Signal(self._p.channel_bits)
        request = self.o.payload
        m.d.comb += [
            self.o.valid.eq(rounds != 0),
            request.channel.eq(entry),
            request.place.count.eq(1),
            request.place.last.eq(entry + 1 == self.entries),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                entry.eq(Mux(request.place.last, 0, entry + 1)),
                rounds.eq(rounds - request.place.last),
            ]
        with m.If(self.start):
            m.d.sync += [entry.eq(0), rounds.eq(self.groups)]
        return m
