"""Activation fetch: from channels to the words of the activation RAM that have them."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.scnn.formats import act_word_layout, bus_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import header_layout, place_layout, vector_number_bits

__all__ = ["ActFetch", "block_word_layout"]


def block_word_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a word of activations, and the block of weights for it.

    With ``place.count`` 0 there is no word: the group ends, that is all; ``place.last`` is then
    set. ``place.last`` is set with the last word of a block only.
    """
    return data.StructLayout({"word": bus_word_layout(p), "place": place_layout(p)})


class ActFetch(wiring.Component):
    """Read the activations of the channel of each block of weights, a word (I of them) a cycle.

    A stage for the directory, and one for the word. No bubble between channels. Channels without
    activations are dropped, one a cycle, while words of the channel before are read. The last
    block of a group gives something of its own if its channel is dropped.

    Members
    -------
    i : ``In(stream(header_layout))``, blocks of weights.
    o : ``Out(stream(block_word_layout))``.
    src_base : In, see ``descriptor_layout``; constant while there is work.
    next_block : In, number of the first weight vector of the block that comes next at ``i``.
    needed : Out, that of the oldest block whose words are not all at ``o`` or further.
    directory_en, directory_row, directory : read the directory; answer in the next cycle
        and until the next read.
    word_en, word_row, word : read the activation RAM, likewise.
    """

    i: stream.Interface
    o: stream.Interface
    src_base: Signal
    next_block: Signal
    needed: Signal
    directory_en: Signal
    directory_row: Signal
    directory: data.View
    word_en: Signal
    word_row: Signal
    word: data.View

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        number = vector_number_bits(params)
        super().__init__({
            "i": In(stream.Signature(header_layout(params))),
            "o": Out(stream.Signature(block_word_layout(params))),
            "src_base": In(params.channel_bits),
            "next_block": In(number),
            "needed": Out(number),
            "directory_en": Out(1),
            "directory_row": Out(params.channel_bits),
            "directory": In(directory_layout(params)),
            "word_en": Out(1),
            "word_row": Out(params.act_addr_bits),
            "word": In(act_word_layout(params)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        channel = stream.Signature(_channel_layout(self._p)).create(path=("channel",))
        blocks = [
            self._look_up(m, channel),
            self._read_words(m, channel),
            (self.o.valid, self.o.payload.place),
        ]
        # Blocks are read in order, so those before the oldest one that is still in the pipeline
        # have been handed on.
        oldest: Value = self.next_block
        for valid, block in blocks:
            oldest = Mux(valid, block.number, oldest)
        m.d.comb += self.needed.eq(oldest)
        return m

    def _look_up(self, m: Module, channel: Any) -> tuple[Signal, data.View]:
        """Read the directory entry of each block's channel; return the block at its output."""
        valid = Signal(name="d_valid")
        header: Any = Signal(header_layout(self._p), name="d_header", reset_less=True)
        block = header.place
        drop = Signal()
        entry = channel.payload
        m.d.comb += [
            entry.header.eq(header),
            entry.start.eq(self.directory.start),
            # Without weights (count 0: end of a group) activations do not matter.
            entry.count.eq(Mux(block.count == 0, 0, self.directory.count)),
            drop.eq((entry.count == 0) & ~block.last),
            channel.valid.eq(valid & ~drop),
            self.i.ready.eq(~valid | drop | channel.ready),
            self.directory_en.eq(self.i.valid & self.i.ready & (self.i.payload.place.count != 0)),
            self.directory_row.eq(self.src_base + self.i.payload.channel),
        ]
        with m.If(self.i.ready):
            m.d.sync += [valid.eq(self.i.valid), header.eq(self.i.payload)]
        return valid, block

    def _read_words(self, m: Module, channel: Any) -> tuple[Signal, data.View]:
        """Read the words of each channel; return the block that has words after its first."""
        p = self._p
        # w_: the words after the first of a channel, while the next entry is looked up.
        w_valid = Signal()
        w_rest: Any = Signal(_channel_layout(p), reset_less=True)
        # From the word that is read on: its row, entries, and whether no word is after it.
        rest: Any = Signal(_channel_layout(p))
        final = Signal()
        fetch = Signal()
        go = Signal()
        # a_: the word at the RAM's output.
        a_word: Any = Signal(block_word_layout(p), reset_less=True)
        m.d.comb += [
            rest.eq(Mux(w_valid, w_rest, channel.payload)),
            final.eq(rest.count <= p.mult_i),
            fetch.eq(w_valid | channel.valid),
            go.eq(~self.o.valid | self.o.ready),
            channel.ready.eq(go & ~w_valid),
            self.word_en.eq(go & fetch & (rest.count != 0)),
            self.word_row.eq(rest.start),
            self.o.payload.eq(a_word),
            self.o.payload.word.acts.eq(self.word),
        ]
        with m.If(go):
            m.d.sync += [
                w_valid.eq(fetch & ~final),
                w_rest.header.eq(rest.header),
                w_rest.start.eq(rest.start + 1),
                w_rest.count.eq(rest.count - p.mult_i),
                self.o.valid.eq(fetch),
                a_word.place.eq(rest.header.place),
                a_word.place.count.eq(Mux(rest.count == 0, 0, rest.header.place.count)),
                a_word.place.last.eq(rest.header.place.last & final),
                a_word.word.lanes.eq(Cat(rest.count > lane for lane in range(p.mult_i))),
                a_word.word.first.eq(~w_valid),
            ]
            # What only the bus needs takes no registers in arrays that have none.
            if p.act_fifo_words:
                m.d.sync += [
                    a_word.word.channel.eq(rest.header.channel),
                    a_word.word.final.eq(final),
                    a_word.word.last.eq(rest.header.place.last & final),
                ]
        return w_valid, w_rest.header.place


def _channel_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a channel's activations, from a word on: ``count`` entries from row ``start``."""
    return data.StructLayout({
        "header": header_layout(p),
        "start": unsigned(p.act_addr_bits),
        "count": unsigned(p.act_count_bits),
    })
