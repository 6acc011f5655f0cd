"""Activation read unit: from headers of weight blocks to vectors of activations of the channel."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.coordinates import Coordinates
from zeroskip.hw.scnn.formats import act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import header_layout, place_layout, vector_number_bits

__all__ = ["ACT_QUEUE_DEPTH", "ActRead", "act_layout", "acts_layout"]

ACT_QUEUE_DEPTH = 4
"""Vectors of activations that are read ahead of the multipliers."""


def act_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out an activation before the multipliers.

    Fields
    ------
    value, position : in the tile, see ``docs/scnn.md``.
    used : it is there, and is not 0 or zeros are kept.
    """
    return data.StructLayout({
        "value": signed(p.act_bits),
        "position": unsigned(p.acc_addr_bits),
        "used": unsigned(1),
    })


def acts_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a vector of activations, and the block of weights for it.

    With ``place.count`` 0 there is nothing to multiply; ``place.last`` is then set. ``place.last``
    is set in the last vector only.
    """
    return data.StructLayout({
        "acts": data.ArrayLayout(act_layout(p), p.mult_i),
        "place": place_layout(p),
    })


class ActRead(wiring.Component):
    """Read the activations of the channel of each block of weights, a word (I of them) a cycle.

    Three stages: directory read; word read; coordinates, into a queue of ``ACT_QUEUE_DEPTH``. No
    bubble between channels. Channels without activations are dropped, one a cycle, while words
    of the channel before are read. The last block of a group gives a vector of its own if its
    channel is dropped.

    Members
    -------
    i : ``In(stream(header_layout))``, blocks of weights.
    o : ``Out(stream(acts_layout))``, what to multiply.
    src_base, keep_zeros : In, see ``descriptor_layout``; constant while there is work.
    next_block : In, number of the first weight vector of the block that comes next at ``i``.
    needed : Out, number of the first weight vector that is not done with.
    directory_en, directory_row, directory : read the directory; answer in the next cycle
        and until the next read.
    word_en, word_row, word : read the activation RAM, likewise.
    """

    i: stream.Interface
    o: stream.Interface
    src_base: Signal
    keep_zeros: Signal
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
            "o": Out(stream.Signature(acts_layout(params))),
            "src_base": In(params.channel_bits),
            "keep_zeros": In(1),
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
        m.submodules.queue = queue = Queue(acts_layout(self._p), ACT_QUEUE_DEPTH)
        channel = stream.Signature(_channel_layout(self._p)).create(path=("channel",))
        word = stream.Signature(_word_layout(self._p)).create(path=("read",))
        blocks = [
            self._look_up(m, channel),
            self._read_words(m, channel, word),
            (word.valid, word.payload.place),
            (queue.o.valid, queue.o.payload.place),
        ]
        self._place(m, word, queue.i)
        connect(m, queue.o, flipped(self.o))
        # Blocks are read in order, so those before the oldest one that is still in the pipeline or
        # the queue have been handed on.
        oldest: Value = self.next_block
        for valid, block in blocks:
            oldest = Mux(valid, block.number, oldest)
        m.d.comb += self.needed.eq(oldest)
        return m

    def _look_up(self, m: Module, channel: Any) -> tuple[Signal, data.View]:
        """Read the directory entry of each block's channel; return the block at its output."""
        valid = Signal(name="d_valid")
        block = Signal(place_layout(self._p), name="d_place", reset_less=True)
        drop = Signal()
        entry = channel.payload
        m.d.comb += [
            entry.place.eq(block),
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
            m.d.sync += [valid.eq(self.i.valid), block.eq(self.i.payload.place)]
        return valid, block

    def _read_words(self, m: Module, channel: Any, word: Any) -> tuple[Signal, data.View]:
        """Read the words of each channel; return the block that has words after its first."""
        p = self._p
        # w_: the words after the first of a channel, while the next entry is looked up.
        w_valid = Signal()
        w_rest = Signal(_channel_layout(p), reset_less=True)
        # From the word that is read on: its row, entries, and whether no word is after it.
        rest = Signal(_channel_layout(p))
        final = Signal()
        fetch = Signal()
        go = Signal()
        # a_: the word at the RAM's output.
        a_word = Signal(_word_layout(p), reset_less=True)
        m.d.comb += [
            rest.eq(Mux(w_valid, w_rest, channel.payload)),
            final.eq(rest.count <= p.mult_i),
            fetch.eq(w_valid | channel.valid),
            go.eq(~word.valid | word.ready),
            channel.ready.eq(go & ~w_valid),
            self.word_en.eq(go & fetch & (rest.count != 0)),
            self.word_row.eq(rest.start),
            word.payload.eq(a_word),
        ]
        with m.If(go):
            m.d.sync += [
                w_valid.eq(fetch & ~final),
                w_rest.place.eq(rest.place),
                w_rest.start.eq(rest.start + 1),
                w_rest.count.eq(rest.count - p.mult_i),
                word.valid.eq(fetch),
                a_word.first.eq(~w_valid),
                a_word.place.eq(rest.place),
                a_word.place.count.eq(Mux(rest.count == 0, 0, rest.place.count)),
                a_word.place.last.eq(rest.place.last & final),
                a_word.lanes.eq(Cat(rest.count > lane for lane in range(p.mult_i))),
            ]
        return w_valid, w_rest.place

    def _place(self, m: Module, word: Any, acts: Any) -> None:
        """Give the activations of a word their positions."""
        m.submodules.coordinates = coordinates = Coordinates(self._p)
        # Behind the last activation of the word before.
        base = Signal(self._p.acc_addr_bits, name="a_base", reset_less=True)
        with m.If(acts.valid & acts.ready):
            m.d.sync += base.eq(coordinates.after)
        m.d.comb += [
            coordinates.word.eq(self.word),
            coordinates.base.eq(Mux(word.payload.first, 0, base)),
            acts.valid.eq(word.valid),
            word.ready.eq(acts.ready),
            acts.payload.place.eq(word.payload.place),
        ]
        for lane in range(self._p.mult_i):
            act, value = acts.payload.acts[lane], self.word[lane].value
            m.d.comb += [
                act.value.eq(value),
                act.position.eq(coordinates.positions[lane]),
                act.used.eq(word.payload.lanes[lane] & ((value != 0) | self.keep_zeros)),
            ]


def _channel_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out a channel's activations, from a word on: ``count`` entries from row ``start``."""
    return data.StructLayout({
        "place": place_layout(p),
        "start": unsigned(p.act_addr_bits),
        "count": unsigned(p.act_count_bits),
    })


def _word_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out what is known of a word: its block, lanes with entries, first of its channel."""
    return data.StructLayout({
        "place": place_layout(p),
        "lanes": unsigned(p.mult_i),
        "first": unsigned(1),
    })
