"""Proof, for any number of cycles, that the units of planes lose no value and give none twice.

One value is 1, and all others are 0; which one is left open, and so is when both sides give and
take. It must leave once, in its place.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import FAILS, PROVED, prove
from tests.unit.hw.scnn.test_plane_formal import LANES, P
from zeroskip.hw.scnn.formats import (
    Space,
    act_word_layout,
    plane_load_layout,
)
from zeroskip.hw.scnn.plane_load import PlaneLoad
from zeroskip.hw.scnn.plane_rows import PlaneIn, PlaneOut

pytest.importorskip("pyosys")

_LANE_BITS = 8
"""A value takes a byte in memory."""

FIRST, COLUMNS = 3, 3
"""Lane of the first value of each row, and how many it has: they lie in two beats."""
BEATS = (FIRST + COLUMNS + LANES - 1) // LANES


class _Marked(wiring.Component):
    """Base: what all have.

    Parameters
    ----------
    inputs : widths of what is left open.
    shift : say that the value is due so many places later than it is.

    Members
    -------
    bad : Out, the value has left twice, or elsewhere than where it is due, or not where it is due.
    """

    bad: Signal

    def __init__(self, inputs: dict[str, int], *, shift: int = 0) -> None:
        self._shift = shift
        super().__init__({**{name: In(bits) for name, bits in inputs.items()}, "bad": Out(1)})


class MarkedIn(_Marked):
    """Values out of beats; rows are all alike."""

    def __init__(self, *, shift: int = 0) -> None:
        names = ("row_valid", "beat_valid", "asks", "ready", "mark")
        super().__init__({**dict.fromkeys(names, 1), "lane": 2}, shift=shift)

    def elaborate(self, platform: object) -> Module:
        me: Any = self
        m = Module()
        m.submodules.dut = dut = PlaneIn(P, LANES)
        first, columns, beats = FIRST, COLUMNS, BEATS
        row: Any = dut.rows.payload
        # Values of rows before; of this row, the first beat's lane is `first`.
        before, beat, asked = Signal(5), Signal(2), Signal(6)
        given, sent, left, due = Signal(5), Signal(), Signal(), Signal(5)
        value = Signal(5)
        m.d.comb += value.eq(Cat(me.lane, beat) - first)
        is_value = (Cat(me.lane, beat) >= first) & (value < columns)
        marks = me.mark & ~sent & is_value
        group: Any = dut.o.payload
        count: Value = group.count
        shows = [(lane < count) & (group.values[lane] != 0) for lane in range(P.mult_i)]
        gives, takes = dut.o.valid & me.ready, dut.i.valid & dut.i.ready
        # The value that is marked is in the beat at hand until that is taken.
        coming, place = Signal(), Signal(5)
        m.d.comb += [
            dut.step.eq(1),
            row.lane.eq(first),
            row.columns.eq(columns),
            row.beats.eq(beats),
            row.inside.eq(1),
            dut.rows.valid.eq(me.row_valid),
            dut.request.ready.eq(me.asks),
            dut.i.valid.eq((me.beat_valid | coming) & (asked != 0)),
            dut.o.ready.eq(me.ready),
        ]
        mark, lane = Signal(), Signal(2)
        fresh = Signal(init=1)
        held_mark, held_lane = Signal(), Signal(2)
        m.d.comb += [
            mark.eq(Mux(fresh, marks, held_mark)),
            lane.eq(Mux(fresh, me.lane, held_lane)),
            dut.i.payload.word_select(lane, _LANE_BITS).eq(mark),
            coming.eq(~fresh),
            place.eq((before + value + self._shift)[:5]),
        ]
        at = Mux(fresh, place, due)
        there = [(k < count) & ((given + k)[:5] == at) for k in range(P.mult_i)]
        pending = mark & ~left
        wrong = [shows[k] != (there[k] & pending) for k in range(P.mult_i)]
        with m.If(dut.i.valid):
            m.d.sync += [fresh.eq(takes), held_mark.eq(mark), held_lane.eq(lane)]
            with m.If(fresh & marks):
                m.d.sync += [sent.eq(1), due.eq(place)]
        gone = left | (gives & Cat(shows).any())
        with m.If(gives):
            m.d.sync += [given.eq(given + count), left.eq(gone)]
        with m.If(takes):
            m.d.sync += [beat.eq(beat + 1), asked.eq(asked - 1)]
            with m.If(beat == beats - 1):
                m.d.sync += [beat.eq(0), before.eq(before + columns)]
        with m.If(dut.request.valid & me.asks):
            m.d.sync += asked.eq(asked + beats - takes)
        # And a beat does not go before its value has.
        lost = takes & mark & ~gone
        m.d.comb += self.bad.eq((gives & Cat(wrong).any()) | lost)
        return m


class MarkedOut(_Marked):
    """Values into beats; rows are all alike."""

    def __init__(self, *, shift: int = 0) -> None:
        names = ("row_valid", "value_valid", "asks", "ready", "mark", "more", "which")
        super().__init__(dict.fromkeys(names, 1), shift=shift)

    def elaborate(self, platform: object) -> Module:
        me: Any = self
        m = Module()
        m.submodules.dut = dut = PlaneOut(P, LANES)
        first, columns, beats = FIRST, COLUMNS, BEATS
        row: Any = dut.rows.payload
        # Of the row that values come for: how many have come; of that which beats leave of.
        came, beat = Signal(2), Signal(2)
        rows_in, rows_out = Signal(4), Signal(4)
        fresh = Signal(init=1)
        kept_count, kept_which, kept_mark = Signal(2), Signal(), Signal()
        sent, left = Signal(), Signal()
        count, which, mark = Signal(2), Signal(), Signal()
        single = (columns - came == 1) | ~me.more
        m.d.comb += [
            count.eq(Mux(fresh, Mux(single, 1, 2), kept_count)),
            which.eq(Mux(fresh, me.which & ~single, kept_which)),
            mark.eq(Mux(fresh, me.mark & ~sent, kept_mark)),
        ]
        group: Any = dut.i.payload
        place = Signal(4)
        due_row, due_place = Signal(4), Signal(4)
        m.d.comb += [
            dut.step.eq(1),
            row.lane.eq(first),
            row.columns.eq(columns),
            row.beats.eq(beats),
            row.inside.eq(1),
            dut.rows.valid.eq(me.row_valid),
            dut.request.ready.eq(me.asks),
            dut.i.valid.eq(me.value_valid | ~fresh),
            group.count.eq(count),
            *(group.values[k].eq(mark & (which == k)) for k in range(P.mult_i)),
            dut.o.ready.eq(me.ready),
            place.eq(first + came + which + self._shift),
        ]
        with m.If(dut.i.valid):
            m.d.sync += [kept_count.eq(count), kept_which.eq(which), kept_mark.eq(mark)]
            m.d.sync += fresh.eq(dut.i.ready)
            with m.If(fresh & mark):
                m.d.sync += [sent.eq(1), due_row.eq(rows_in), due_place.eq(place)]
            with m.If(dut.i.ready):
                ends = came + count == columns
                m.d.sync += [came.eq(Mux(ends, 0, came + count)), rows_in.eq(rows_in + ends)]
        leaves = dut.o.valid & me.ready
        here = sent & ~left & (rows_out == due_row) & (beat == due_place[2:])
        values = [dut.o.payload.word_select(k, _LANE_BITS) for k in range(LANES)]
        used = [~dut.mask[k * (_LANE_BITS // 8)] for k in range(LANES)]
        wrong = []
        for k in range(LANES):
            at = Cat(beat * LANES + k)
            owns = (at >= first) & (at < first + columns)
            due = here & (due_place[:2] == k)
            wrong.append((used[k] != owns) | (used[k] & ((values[k] != 0) != due)))
        m.d.comb += self.bad.eq(leaves & Cat(wrong).any())
        with m.If(leaves):
            ends = beat == beats - 1
            m.d.sync += [beat.eq(Mux(ends, 0, beat + 1)), rows_out.eq(rows_out + ends)]
            m.d.sync += left.eq(left | here)
        return m


class MarkedLoad(_Marked):
    """Values into activation RAMs; where the plane lies is left open."""

    def __init__(self, *, shift: int = 0) -> None:
        width = plane_load_layout(P).size
        names = ("go", "valid", "ready", "mark", "which", "more")
        super().__init__({**dict.fromkeys(names, 1), "fields": width}, shift=shift)

    def elaborate(self, platform: object) -> Module:
        me: Any = self
        m = Module()
        m.submodules.dut = dut = PlaneLoad(P)
        kept = Signal.like(me.fields)
        begins = me.go & ~dut.busy
        with m.If(begins):
            m.d.sync += kept.eq(me.fields)
        sent, left, here = Signal(), Signal(init=self._shift), Signal()
        group: Any = dut.i.payload
        marks = me.mark & ~sent
        m.d.comb += [
            dut.go.eq(begins),
            dut.plane.eq(kept),
            dut.spread.eq(~0),
            group.count.eq(1 + me.more),
            group.values[0].eq(marks & ~(me.which & me.more)),
            group.values[1].eq(marks & me.which & me.more),
            dut.i.valid.eq(me.valid),
            dut.cmd.ready.eq(me.ready),
        ]
        command: Any = dut.cmd.payload.command
        bits = act_word_layout(P).size // P.mult_i
        words = [command.data[k * bits : k * bits + P.act_bits] for k in range(P.mult_i)]
        writes = dut.cmd.valid & me.ready & (command.space == Space.ACT)
        ones = sum((word != 0 for word in words), start=Value.cast(0))
        with m.If(dut.i.valid & dut.i.ready & marks):
            m.d.sync += [sent.eq(1), here.eq(1)]
        with m.If(writes & (ones != 0)):
            m.d.sync += left.eq(1)
        with m.If(begins):
            m.d.sync += here.eq(0)
        twice = writes & ((ones > 1) | ((ones == 1) & (left | ~sent)))
        # What found no room is said to be lost.
        lost = here & ~dut.busy & ~left & ~dut.lost
        m.d.comb += self.bad.eq(twice | lost)
        return m


DESIGNS: list[Callable[..., _Marked]] = [MarkedIn, MarkedOut, MarkedLoad]


@pytest.mark.long("proofs of half a minute")
@pytest.mark.parametrize("design", DESIGNS)
def test_each_value_leaves_once(design: Callable[..., _Marked], tmp_path: Path) -> None:
    answer = prove(design(), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_proof_can_fail(design: Callable[..., _Marked], tmp_path: Path) -> None:
    answer = prove(design(shift=1), tmp_path)
    assert FAILS in answer, answer[-2000:]
