"""Activation read unit: from headers of weight blocks to vectors of activations of the channel."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

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
    directory_en, directory_row, directory : read the source directory; answer in the next cycle
        and until the next read.
    word_en, word_row, word : read the source activation RAM, likewise.
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
        p = self._p
        m = Module()
        m.submodules.coordinates = coordinates = Coordinates(p)
        m.submodules.queue = queue = Queue(acts_layout(p), ACT_QUEUE_DEPTH)

        # d_: the directory entry at the RAM's output.
        d_valid = Signal()
        d_done = Signal()
        d_drop = Signal()
        d_place = Signal(place_layout(p), reset_less=True)
        d_count = Signal(p.act_count_bits)
        # w_: the words after the first of a channel, while the next entry is looked up.
        w_valid = Signal()
        w_row = Signal(p.act_addr_bits, reset_less=True)
        w_count = Signal(p.act_count_bits, reset_less=True)
        w_place = Signal(place_layout(p), reset_less=True)
        # The word that is read: row, entries from there on, whether they are the last.
        row = Signal.like(w_row)
        count = Signal.like(w_count)
        fetch = Signal()
        final = Signal()
        place = Signal(place_layout(p))
        # a_: the word at the RAM's output.
        a_valid = Signal()
        a_go = Signal()
        a_first = Signal(reset_less=True)
        a_place = Signal(place_layout(p), reset_less=True)
        a_lanes = Signal(p.mult_i, reset_less=True)
        a_base = Signal(p.acc_addr_bits, reset_less=True)

        m.d.comb += [
            # Without weights (count 0: end of a group) activations do not matter.
            d_count.eq(Mux(d_place.count == 0, 0, self.directory.count)),
            d_drop.eq((d_count == 0) & ~d_place.last),
            d_done.eq(d_drop | (a_go & ~w_valid)),
            self.i.ready.eq(~d_valid | d_done),
            self.directory_en.eq(self.i.valid & self.i.ready & (self.i.payload.place.count != 0)),
            self.directory_row.eq(self.src_base + self.i.payload.channel),
            row.eq(Mux(w_valid, w_row, self.directory.start)),
            count.eq(Mux(w_valid, w_count, d_count)),
            place.eq(Mux(w_valid, w_place, d_place)),
            final.eq(count <= p.mult_i),
            a_go.eq(~a_valid | queue.i.ready),
            fetch.eq(w_valid | (d_valid & ~d_drop)),
            self.word_en.eq(a_go & fetch & (count != 0)),
            self.word_row.eq(row),
        ]
        with m.If(self.i.ready):
            m.d.sync += [d_valid.eq(self.i.valid), d_place.eq(self.i.payload.place)]
        with m.If(a_go):
            m.d.sync += [
                w_valid.eq(fetch & ~final),
                w_row.eq(row + 1),
                w_count.eq(count - p.mult_i),
                w_place.eq(place),
                a_valid.eq(fetch),
                a_first.eq(~w_valid),
                a_place.eq(place),
                a_place.count.eq(Mux(count == 0, 0, place.count)),
                a_place.last.eq(place.last & final),
                a_lanes.eq(Cat(count > lane for lane in range(p.mult_i))),
            ]
        with m.If(queue.i.valid & queue.i.ready):
            m.d.sync += a_base.eq(coordinates.after)

        m.d.comb += [
            coordinates.word.eq(self.word),
            coordinates.base.eq(Mux(a_first, 0, a_base)),
            queue.i.valid.eq(a_valid),
            queue.i.payload.place.eq(a_place),
            self.o.valid.eq(queue.o.valid),
            self.o.payload.eq(queue.o.payload),
            queue.o.ready.eq(self.o.ready),
        ]
        for lane in range(p.mult_i):
            act, value = queue.i.payload.acts[lane], self.word[lane].value
            m.d.comb += [
                act.value.eq(value),
                act.position.eq(coordinates.positions[lane]),
                act.used.eq(a_lanes[lane] & ((value != 0) | self.keep_zeros)),
            ]

        # Everything before the oldest block that is anywhere here is done with.
        with m.If(queue.o.valid):
            m.d.comb += self.needed.eq(queue.o.payload.place.number)
        with m.Elif(a_valid):
            m.d.comb += self.needed.eq(a_place.number)
        with m.Elif(w_valid):
            m.d.comb += self.needed.eq(w_place.number)
        with m.Elif(d_valid):
            m.d.comb += self.needed.eq(d_place.number)
        with m.Else():
            m.d.comb += self.needed.eq(self.next_block)
        return m
