"""Proof, for any words and stalls and any number of cycles, that the bus delivers exactly once.

Two words of one sender are marked; which, and all else that is sent, is left open. The prover
(PDR, in the ABC that comes with Yosys) shows that no state can be reached in which a mark reaches
a PE that is not of its sender's position, before it was sent, twice, or overtakes the other, or in
which a PE that it is for gets other words where it should get the mark, or an offer is taken back.
"""

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Mux, Signal

from tests.support.prove import FAILS, PROVED, SLIPS, any_of, prove, take, unstable
from tests.unit.hw.scnn.watched_bus import WORD, OpenBus, P
from zeroskip.hw.scnn.act_fifo import ActFifo
from zeroskip.hw.scnn.bus_line import BusLine

pytest.importorskip("pyosys")


class WatchedLine(OpenBus):
    """A line of the bus: ``which`` sender's words may be marked, with ``mark``."""

    which: Signal
    mark: Signal

    def __init__(self, length: int, size: int, pair: int, *, slack: int = 1) -> None:
        self._length, self._size, self._pair, self._slack = length, size, pair, slack
        super().__init__(length, length, {"which": range(length), "mark": 1})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.line = line = BusLine(P, self._length, "second_x")
        begun, which = Signal(), Signal.like(self.which)
        with m.If(~begun):
            m.d.sync += [begun.eq(1), which.eq(self.which)]
        m.d.comb += [
            line.start.eq(~begun),
            line.groups.eq(3),
            line.size.eq(self._size),
            line.pair.eq(self._pair),
            line.channels.eq(1),
        ]
        # Numbers of marked words taken from the sender, up to 2; these are their values.
        sent = Signal(2)
        for number, port in enumerate(line.i):
            word: Any = Signal(WORD, name=f"open_{number}")
            marks = self.mark & (which == number) & (sent < 2)
            m.d.comb += [
                word.eq(self.words[number]),
                word.last.eq(self.words[number].last | ~self.words[number].lanes.any()),
                word.acts[0].value.eq(Mux(marks & word.lanes.any(), sent + 1, 0)),
            ]
            taken = self.offer(m, number, port, word, begun)
            with m.If(taken & port.payload.acts[0].value.as_unsigned().any()):
                m.d.sync += sent.eq(sent + 1)

        wrong = []
        blocks = (1 << self._size + self._pair) - 1
        for place, port in enumerate(line.o):
            got, others = Signal(2, name=f"got_{place}"), Signal(2, name=f"others_{place}")
            leaves = port.valid & port.ready
            value = port.payload.acts[0].value.as_unsigned()
            marked = leaves & port.payload.lanes.any() & (value != 0)
            is_for = (which & blocks) >> self._pair == place & (1 << self._size) - 1
            m.d.comb += port.ready.eq(self.ready[place])
            with m.If(marked):
                m.d.sync += [got.eq(value), others.eq(0)]
            with m.Elif(leaves & is_for & (got < sent)):
                m.d.sync += others.eq(others + 1)
            wrong += [
                marked & (~is_for | (value != got + 1) | (value > sent)),
                # What is taken is behind one word at most.
                others > self._slack,
                unstable(m, port, port.payload.as_value()),
            ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m


@pytest.mark.parametrize(
    ("length", "size", "pair"),
    [
        *((2, 1, 0), (2, 0, 1)),
        *(
            pytest.param(*sizes, marks=pytest.mark.long("more lines"))
            for sizes in ((2, 0, 0), (3, 0, 1), (3, 1, 1))
        ),
    ],
)
def test_a_line_delivers_every_word_once_and_in_order(
    length: int, size: int, pair: int, tmp_path: Path
) -> None:
    answer = prove(WatchedLine(length, size, pair), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


def test_the_proof_of_a_line_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedLine(2, 0, 0, slack=0), tmp_path)
    assert FAILS in answer, answer[-2000:]


class WatchedFifo(OpenBus):
    """A PE's FIFO of words, with any blocks of weights; one word, of one activation, is marked.

    Words and blocks come as they do from the bus and the streams: channels ascend in a round, and
    the last word of a channel says so.

    Parameters
    ----------
    wrong : one of :data:`.SLIPS`: what leaves is lost or doubled while ``slip``.
    """

    slip: Signal
    mark: Signal
    channel: Signal
    count: Signal
    last: Signal
    header_valid: Signal

    def __init__(self, wrong: str = "") -> None:
        self._wrong = wrong
        others = {"slip": 1, "mark": 1, "channel": 2, "count": 1, "last": 1, "header_valid": 1}
        super().__init__(1, 1, others)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = ActFifo(P)
        sent = Signal()
        taken = self._words(m, fifo, sent)
        block_taken = self._blocks(m, fifo)
        word, block = fifo.i.payload, fifo.header.payload
        group_ends = block_taken & block.place.last
        # Groups of blocks that must end before the marked word's: signed, less than 0 behind it.
        ahead = Signal(4)
        marked = taken & word.acts[0].value[0] & ~sent
        with m.If(~sent | ~ahead[-1]):
            m.d.sync += ahead.eq(ahead + (taken & word.last & ~sent & ~marked) - group_ends)
        with m.If(marked):
            m.d.sync += sent.eq(1)
        channel, left = Signal(2), Signal()
        with m.If(marked):
            m.d.sync += channel.eq(word.channel)
        out = fifo.o.payload
        taken_out = take(m, fifo.o, self.ready[0], self.slip, wrong=self._wrong)
        leaves = taken_out & (out.place.count != 0) & out.word.acts[0].value[0]
        with m.If(leaves):
            m.d.sync += left.eq(1)
        its_block = (block.channel == channel) & (block.place.count != 0)
        now = sent & (ahead == 0)
        missed = now & block_taken & its_block & ~left & ~leaves
        m.d.comb += self.bad.eq(
            (leaves & (left | ~now | ~its_block)) | missed | unstable(m, fifo.o, out.as_value())
        )
        return m

    def _words(self, m: Module, fifo: ActFifo, sent: Signal) -> Any:
        """Offer words, ascending by channels in each round; return whether one is taken."""
        port, free = fifo.i, self.words[0]
        fresh, open_channel, before = Signal(init=1), Signal(), Signal(2)
        word: Any = Signal(WORD)
        # A word that is not the last of its channel is followed by one of the same.
        real = free.lanes.any() | open_channel
        m.d.comb += [
            word.eq(free),
            word.lanes.eq(real),
            word.channel.eq(Mux(open_channel, before, free.channel)),
            word.last.eq(~real | (free.last & free.final)),
            word.acts[0].value.eq(self.mark & real & ~sent),
        ]
        legal = ~real | fresh | open_channel | (free.channel[:2] > before)
        taken = self.offer(m, 0, port, word, legal & (free.channel < 4))
        with m.If(taken):
            m.d.sync += [
                fresh.eq(port.payload.last),
                open_channel.eq(port.payload.lanes.any() & ~port.payload.final),
            ]
            with m.If(port.payload.lanes.any()):
                m.d.sync += before.eq(port.payload.channel)
        return taken

    def _blocks(self, m: Module, fifo: ActFifo) -> Any:
        """Offer blocks, ascending by channels in each group; return whether one is taken."""
        port = fifo.header
        fresh, before = Signal(init=1), Signal(2)
        stalled, kept = Signal(), Signal.like(port.payload.as_value())
        free: Any = Signal(port.payload.shape())
        m.d.comb += [
            free.channel.eq(self.channel),
            free.place.count.eq(self.count),
            free.place.last.eq(self.last | ~self.count),
            port.valid.eq(
                stalled | (self.header_valid & (fresh | (self.count & (self.channel > before))))
            ),
            port.payload.eq(Mux(stalled, kept, free)),
        ]
        m.d.sync += [
            stalled.eq(port.valid & ~port.ready),
            kept.eq(port.payload.as_value()),
        ]
        taken = port.valid & port.ready
        with m.If(taken):
            m.d.sync += [fresh.eq(port.payload.place.last), before.eq(port.payload.channel)]
        return taken


@pytest.mark.long("a proof of half a minute")
def test_each_word_meets_its_weights_once(tmp_path: Path) -> None:
    answer = prove(WatchedFifo(), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


@pytest.mark.parametrize("wrong", SLIPS)
def test_the_proof_of_a_fifo_can_fail(wrong: str, tmp_path: Path) -> None:
    answer = prove(WatchedFifo(wrong), tmp_path)
    assert FAILS in answer, answer[-2000:]
