"""Activation FIFO: words from the bus wait for the headers of their weights."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.sram_fifo import SramFifo
from zeroskip.hw.scnn.act_fetch import block_word_layout
from zeroskip.hw.scnn.formats import bus_word_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import header_layout

__all__ = ["ActFifo"]


class ActFifo(wiring.Component):
    """Keep words of the bus in an SRAM, and bring them together with blocks of weights.

    Both come in ascending order of channels, round after round and group after group. A word of
    a channel without weights is dropped, and so is a block whose channel has no word; a cycle
    each. A group's last block gives something in any case: its last word, or the end alone.

    Members
    -------
    start, groups : In, a pass begins with the next cycle, of that many rounds; 0 without bus.
    i : ``In(stream(bus_word_layout))``, from the bus.
    header : ``In(stream(header_layout))``, blocks of weights.
    o : ``Out(stream(block_word_layout))``.
    busy : Out, there are rounds whose end has not been taken.
    """

    start: Signal
    groups: Signal
    i: stream.Interface
    header: stream.Interface
    o: stream.Interface
    busy: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "start": In(1),
            "groups": In(12),
            "i": In(stream.Signature(bus_word_layout(params))),
            "header": In(stream.Signature(header_layout(params))),
            "o": Out(stream.Signature(block_word_layout(params))),
            "busy": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.words = words = SramFifo(bus_word_layout(p), p.act_fifo_words, "words")
        connect(m, flipped(self.i), words.i)
        word, block = words.o.payload, self.header.payload
        rounds = Signal(12)
        # The round's last word has been taken; the group's last block has been.
        over, spent = Signal(), Signal()
        any_lane, same, later = Signal(), Signal(), Signal()
        open_block, go = Signal(), Signal()
        m.d.comb += [
            any_lane.eq(word.lanes.any()),
            open_block.eq(self.header.valid & ~spent),
            same.eq(~over & words.o.valid & any_lane & (word.channel == block.channel)),
            # No word of the block's channel will come, or none is wanted.
            later.eq(
                over
                | (block.place.count == 0)
                | (words.o.valid & (~any_lane | (word.channel > block.channel)))
            ),
            self.o.valid.eq(open_block & Mux(later, block.place.last, same)),
            go.eq(~self.o.valid | self.o.ready),
            self.o.payload.place.eq(block.place),
            self.header.ready.eq(~spent & go & (later | (same & word.final))),
            # What neither is later than the block's channel nor of it is before it.
            words.o.ready.eq(~over & go & (spent | ~any_lane | (self.header.valid & ~later))),
            self.busy.eq(rounds != 0),
        ]
        with m.If(later):
            m.d.comb += self.o.payload.place.count.eq(0)
        with m.Else():
            # Only here, as another word may come while the end of a group is offered.
            m.d.comb += self.o.payload.word.eq(word)
            with m.If(~word.final):
                m.d.comb += self.o.payload.place.last.eq(0)

        over_now, spent_now = Signal(), Signal()
        m.d.comb += [
            over_now.eq(over | (words.o.valid & words.o.ready & word.last)),
            spent_now.eq(spent | (self.header.valid & self.header.ready & block.place.last)),
        ]
        with m.If(over_now & spent_now):
            m.d.sync += [over.eq(0), spent.eq(0), rounds.eq(rounds - 1)]
        with m.Else():
            m.d.sync += [over.eq(over_now), spent.eq(spent_now)]
        with m.If(self.start):
            m.d.sync += rounds.eq(self.groups)
        return m
