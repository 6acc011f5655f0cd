"""Activation read unit: from headers of weight blocks to vectors of activations of the channel."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.act_fetch import ActFetch, block_word_layout
from zeroskip.hw.scnn.act_fifo import ActFifo
from zeroskip.hw.scnn.act_send import ActSend
from zeroskip.hw.scnn.coordinates import Coordinates
from zeroskip.hw.scnn.formats import (
    act_word_layout,
    bus_word_layout,
    descriptor_layout,
    directory_layout,
)
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.weight_fifo import header_layout, place_layout, vector_number_bits

__all__ = ["ACT_QUEUE_DEPTH", "ActRead", "act_layout", "acts_layout"]

ACT_QUEUE_DEPTH = 4
"""Vectors of activations that are read ahead of the multipliers."""

_SEND_QUEUE_DEPTH = 2


def act_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out an activation before the multipliers.

    Fields
    ------
    value, position : in the tile, see ``docs/scnn.md``; the value is 0 where there is none.
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
    """Bring activations together with the blocks of weights of their channels.

    In a pass without ``bus``, headers of blocks say which channels of the PE's own RAM are read.
    With it, the PE sends all that it owns to the bus, and words that come from there wait for
    their headers. Either way, vectors go into a queue of ``ACT_QUEUE_DEPTH``.

    Members
    -------
    i : ``In(stream(header_layout))``, blocks of weights.
    o : ``Out(stream(acts_layout))``, what to multiply.
    descriptor : In, of the pass at work; constant while there is work.
    start : In, a pass begins with the next cycle.
    next_block : In, number of the first weight vector of the block that comes next at ``i``.
    needed : Out, number of the first weight vector that is not done with.
    directory_en, directory_row, directory : read the directory; answer in the next cycle
        and until the next read.
    absent : In, the entry of ``directory_row`` has not come; who asks for it waits.
    word_en, word_row, word : read the activation RAM, likewise.
    send, receive : ``Out``, ``In(stream(bus_word_layout))``, the bus, if the array has one.
    bus_busy : Out, words of the pass are on their way.
    """

    i: stream.Interface
    o: stream.Interface
    descriptor: data.View
    start: Signal
    next_block: Signal
    needed: Signal
    directory_en: Signal
    directory_row: Signal
    directory: data.View
    absent: Signal
    word_en: Signal
    word_row: Signal
    word: data.View
    send: stream.Interface
    receive: stream.Interface
    bus_busy: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        number = vector_number_bits(params)
        words = stream.Signature(bus_word_layout(params))
        bus = {"send": Out(words), "receive": In(words), "bus_busy": Out(1)}
        super().__init__({
            "i": In(stream.Signature(header_layout(params))),
            "o": Out(stream.Signature(acts_layout(params))),
            "descriptor": In(descriptor_layout(params)),
            "start": In(1),
            "next_block": In(number),
            "needed": Out(number),
            "directory_en": Out(1),
            "directory_row": Out(params.channel_bits),
            "directory": In(directory_layout(params)),
            "absent": In(1),
            "word_en": Out(1),
            "word_row": Out(params.act_addr_bits),
            "word": In(act_word_layout(params)),
            **(bus if params.act_fifo_words else {}),
        })

    def elaborate(self, platform: object) -> Module:
        p, d = self._p, self.descriptor
        m = Module()
        m.submodules.queue = queue = Queue(acts_layout(p), ACT_QUEUE_DEPTH)
        m.submodules.fetch = fetch = ActFetch(p)
        m.d.comb += [
            fetch.src_base.eq(d.src_base),
            fetch.next_block.eq(self.next_block),
            self.directory_en.eq(fetch.directory_en),
            self.directory_row.eq(fetch.directory_row),
            fetch.directory.eq(self.directory),
            self.word_en.eq(fetch.word_en),
            self.word_row.eq(fetch.word_row),
            fetch.word.eq(self.word),
        ]
        words = stream.Signature(block_word_layout(p)).create(path=("words",))
        needed = Signal.like(self.needed)
        if p.act_fifo_words:
            self._connect_bus(m, fetch, words, needed)
        else:
            self._fetch(m, fetch, self.i)
            connect(m, fetch.o, wiring.flipped(words))
            m.d.comb += needed.eq(fetch.needed)
        self._place(m, words, queue.i)
        connect(m, queue.o, flipped(self.o))
        m.d.comb += self.needed.eq(Mux(queue.o.valid, queue.o.payload.place.number, needed))
        return m

    def _fetch(self, m: Module, fetch: ActFetch, blocks: Any) -> None:
        """Connect blocks to what fetches their channels, each once its directory entry came."""
        m.d.comb += [
            fetch.i.payload.eq(blocks.payload),
            fetch.i.valid.eq(blocks.valid & ~self.absent),
            blocks.ready.eq(fetch.i.ready & ~self.absent),
        ]

    def _connect_bus(self, m: Module, fetch: ActFetch, words: Any, needed: Signal) -> None:
        """Let what is fetched go to the bus in passes that have it, and words come from there."""
        p, d = self._p, self.descriptor
        m.submodules.send = send = ActSend(p)
        m.submodules.send_queue = send_queue = Queue(bus_word_layout(p), _SEND_QUEUE_DEPTH)
        m.submodules.fifo = fifo = ActFifo(p)
        connect(m, send_queue.o, flipped(self.send))
        connect(m, flipped(self.receive), fifo.i)
        rounds = Mux(d.bus, d.groups, 0)
        m.d.comb += [
            send.start.eq(self.start),
            send.groups.eq(rounds),
            send.entries.eq(d.src_entries),
            fifo.start.eq(self.start),
            fifo.groups.eq(rounds),
            self.bus_busy.eq(fifo.busy),
            send_queue.i.payload.eq(fetch.o.payload.word),
            fifo.header.payload.eq(self.i.payload),
        ]
        with m.If(d.bus):
            self._fetch(m, fetch, send.o)
            m.d.comb += [
                send_queue.i.valid.eq(fetch.o.valid),
                fetch.o.ready.eq(send_queue.i.ready),
                fifo.header.valid.eq(self.i.valid),
                self.i.ready.eq(fifo.header.ready),
                words.payload.eq(fifo.o.payload),
                words.valid.eq(fifo.o.valid),
                fifo.o.ready.eq(words.ready),
                # A block is at `i` until its last word has been taken.
                needed.eq(self.next_block),
            ]
        with m.Else():
            self._fetch(m, fetch, self.i)
            m.d.comb += [
                words.payload.eq(fetch.o.payload),
                words.valid.eq(fetch.o.valid),
                fetch.o.ready.eq(words.ready),
                needed.eq(fetch.needed),
            ]

    def _place(self, m: Module, words: Any, acts: Any) -> None:
        """Give the activations of a word their positions."""
        p, d = self._p, self.descriptor
        m.submodules.coordinates = coordinates = Coordinates(p)
        word = words.payload.word
        # Behind the last activation of the word before.
        base = Signal(p.acc_addr_bits, name="a_base", reset_less=True)
        begin = Signal(p.acc_addr_bits)
        with m.If(acts.valid & acts.ready):
            m.d.sync += base.eq(coordinates.after)
        if p.act_fifo_words:
            across, down = Mux(word.second_x, d.src_step_x, 0), Mux(word.second_y, d.src_step_y, 0)
            m.d.comb += begin.eq(across + down)
        m.d.comb += [
            coordinates.word.eq(word.acts),
            coordinates.base.eq(Mux(word.first, begin, base)),
            acts.valid.eq(words.valid),
            words.ready.eq(acts.ready),
            acts.payload.place.eq(words.payload.place),
        ]
        for lane in range(p.mult_i):
            act, value = acts.payload.acts[lane], word.acts[lane].value
            m.d.comb += [
                # Lanes behind a channel's last activation: any value would toggle the multipliers.
                act.value.eq(Mux(word.lanes[lane], value, 0)),
                act.position.eq(coordinates.positions[lane]),
                act.used.eq(word.lanes[lane] & ((value != 0) | d.keep_zeros)),
            ]
