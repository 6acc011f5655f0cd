"""Proof that the whole position bus, rows and columns of PEs, delivers each word exactly once.

Two words of one owner are marked; which, and all else that is sent, is left open, and so are the
stalls of all PEs. A word of an owner's round must reach each PE of its position in that PE's same
round, once, behind what the owner sent before, with its channel's number in the weights' headers;
and no other PE.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from amaranth.hdl import Array, Module, Mux, Signal

from tests.support.prove import FAILS, HOLDS, PROVED, SLIPS, any_of, prove, take, unstable
from tests.unit.hw.scnn.watched_bus import WORD, OpenBus, P
from zeroskip.hw.scnn.act_bus import ActBus

pytest.importorskip("pyosys")

ROUNDS = 2

CYCLES = 8
"""Cycles from the start that are looked at in an array of rows and columns."""


class Axis(NamedTuple):
    """PEs across or down, log2 of a block of readers, and whether owners' are twice as large."""

    pes: int
    block: int
    pair: int = 0


class Grid(NamedTuple):
    """An array and a pass: its two axes."""

    x: Axis
    y: Axis

    def places(self, pe: int) -> tuple[tuple[Axis, int], tuple[Axis, int]]:
        """Return where a PE is on both axes; rows of PEs are numbered one after the other."""
        return (self.x, pe % self.x.pes), (self.y, pe // self.x.pes)

    def is_for(self, owner: int, pe: int) -> bool:
        """Return whether a PE is of the position of what an owner sends."""
        return all(
            source % (1 << axis.block + axis.pair) >> axis.pair == place % (1 << axis.block)
            for (axis, source), (_, place) in zip(self.places(owner), self.places(pe), strict=True)
        )

    def blocks(self, owner: int) -> int:
        """Return how many blocks of owners come before an owner's."""
        (x, across), (y, down) = self.places(owner)
        blocks_across = -(-x.pes >> x.block + x.pair)
        return (down >> y.block + y.pair) * blocks_across + (across >> x.block + x.pair)


class WatchedBus(OpenBus):
    """The bus in a pass of :data:`ROUNDS` rounds; words of owner ``which`` may be marked.

    Parameters
    ----------
    grid : see :class:`Grid`.
    wrong : one of :data:`.SLIPS`, what PE 0 gets is lost or doubled while ``slip``; or "strays",
        the last two PEs get each other's words.
    """

    which: Signal
    entries: Signal
    mark: Signal
    slip: Signal

    def __init__(self, grid: Grid, wrong: str = "") -> None:
        self._grid, self._wrong = grid, wrong
        self._pes = grid.x.pes * grid.y.pes
        others = {"which": range(self._pes), "entries": 2, "mark": 1, "slip": 1}
        super().__init__(self._pes, self._pes, others)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        (pes_x, block_x, pair_x), (pes_y, block_y, pair_y) = self._grid
        m.submodules.bus = bus = ActBus(replace(P, pes_x=pes_x, pes_y=pes_y))
        begun, which, kept = Signal(), Signal.like(self.which), Signal.like(self.entries)
        with m.If(~begun):
            m.d.sync += [begun.eq(1), which.eq(self.which), kept.eq(self.entries)]
        entries = Mux(begun, kept, self.entries)
        d = bus.descriptor
        m.d.comb += [
            bus.start.eq(~begun),
            *(d.bus.eq(1), d.groups.eq(ROUNDS), d.src_entries.eq(entries)),
            *(d.block_x.eq(block_x), d.src_block_x.eq(block_x + pair_x)),
            *(d.block_y.eq(block_y), d.src_block_y.eq(block_y + pair_y)),
        ]
        # Of which: rounds that it has sent, and marked words, up to 2, each with round and channel.
        ended, sent = Signal(range(ROUNDS + 1)), Signal(2)
        rounds = Array(Signal.like(ended, name=f"round_{n}") for n in range(2))
        channels = Array(Signal(WORD["channel"].shape, name=f"channel_{n}") for n in range(2))
        for number, port in enumerate(bus.send):
            done = Signal.like(ended, name=f"sent_{number}")
            word: Any = Signal(WORD, name=f"open_{number}")
            free = self.words[number]
            marks = self.mark & (which == number) & (sent < 2) & free.lanes.any()
            m.d.comb += [
                word.lanes.eq(free.lanes),
                word.channel.eq(free.channel),
                word.last.eq(free.last | ~free.lanes.any()),
                word.acts[0].value.eq(Mux(marks, sent + 1, 0)),
            ]
            taken = self.offer(m, number, port, word, begun & (done != ROUNDS))
            with m.If(taken & port.payload.last):
                m.d.sync += done.eq(done + 1)
            with m.If(which == number):
                m.d.comb += ended.eq(done)
                with m.If(taken & port.payload.acts[0].value.as_unsigned().any()):
                    m.d.sync += [
                        sent.eq(sent + 1),
                        rounds[sent[0]].eq(done),
                        channels[sent[0]].eq(port.payload.channel),
                    ]
        ports = list(bus.receive)
        if self._wrong == "strays":
            ports[-2:] = reversed(ports[-2:])
        wrong = []
        for pe, port in enumerate(ports):
            got = Signal(2, name=f"got_{pe}")
            done = Signal.like(ended, name=f"done_{pe}")
            is_for = Array(self._grid.is_for(owner, pe) for owner in range(self._pes))[which]
            before = Array(self._grid.blocks(owner) for owner in range(self._pes))[which]
            slips = self._wrong if self._wrong in SLIPS and pe == 0 else ""
            leaves = take(m, port, self.ready[pe], self.slip, wrong=slips)
            value = port.payload.acts[0].value.as_unsigned()
            marked = leaves & port.payload.lanes.any() & (value != 0)
            now = Mux(marked, value, got)
            channel = Signal.like(channels[0], name=f"due_{pe}")
            m.d.comb += channel.eq(channels[got[0]] + before * entries)
            m.d.sync += [got.eq(now), done.eq(done + (leaves & port.payload.last))]
            wrong += [
                marked & (~is_for | (value != got + 1) | (value > sent)),
                marked & ((rounds[got[0]] != done) | (port.payload.channel != channel)),
                # With a round that ends, none of it is left, and none can come any more.
                leaves & port.payload.last & is_for & (now < sent) & (rounds[now[0]] <= done),
                is_for & (done > ended),
                unstable(m, port, port.payload.as_value()),
            ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m


TWO = Axis(2, 0)
ONE = Axis(1, 0)
PAIR = Axis(2, 0, 1)
BLOCK = Axis(2, 1)


@pytest.mark.parametrize(
    "grid",
    [
        pytest.param(Grid(PAIR, ONE), id="tiles of two owners"),
        pytest.param(Grid(TWO, ONE), id="two owners", marks=pytest.mark.long("a second grid")),
    ],
)
def test_the_bus_delivers_every_word_once_in_its_round(grid: Grid, tmp_path: Path) -> None:
    answer = prove(WatchedBus(grid), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


@pytest.mark.long("a proof of 12 s of CPU")
def test_a_grid_delivers_every_word_once_from_its_start(tmp_path: Path) -> None:
    """Of 2 x 2 PEs the prover finds no invariant; a word has crossed both lines after 4 cycles."""
    answer = prove(WatchedBus(Grid(TWO, TWO)), tmp_path, cycles=CYCLES)
    assert HOLDS in answer, answer[-2000:]


@pytest.mark.parametrize("wrong", [*SLIPS, "strays"])
def test_the_proof_can_fail(wrong: str, tmp_path: Path) -> None:
    answer = prove(WatchedBus(Grid(BLOCK, ONE), wrong), tmp_path)
    assert FAILS in answer, answer[-2000:]
