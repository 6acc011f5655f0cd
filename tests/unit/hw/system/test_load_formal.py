"""Proof, for all inputs and any number of cycles, that Load gives every bit of memory once.

A bit of a beat is marked; which one and when is left open, as are the jobs, and when both sides
give and take. All other bits are 0. Items are counted from the start of their job, modulo 8.
"""

from pathlib import Path

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import prove
from zeroskip.hw.common import formats as common
from zeroskip.hw.eie import host as eie
from zeroskip.hw.system import jobs
from zeroskip.hw.system.formats import Op
from zeroskip.hw.system.load import Load
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("pyosys")

P = SystemParams(data_bits=64, addr_bits=16)
NARROW, WIDE = 1, 2
ENGINE = jobs.Engine(
    common.command_layout(common.host_layout(128, eie.Space)),
    {NARROW: jobs.Memory(1, 9, 32), WIDE: jobs.Memory(1, 9, 128)},
    9,
    128,
)


class MarkedLoad(wiring.Component):
    """Load, and what follows a marked bit.

    All jobs are of one kind and length, which are those of the first cycle.

    Parameters
    ----------
    late : say that the bit is due an item later than it is.

    Members
    -------
    bad : Out, the bit has come out twice, in another item or place, or not in its item.
    """

    go: Signal
    rows: Signal
    wide: Signal
    count: Signal
    request_ready: Signal
    give: Signal
    mark: Signal
    which: Signal
    hold: Signal
    in_busy: Signal
    take: Signal
    bad: Signal

    def __init__(self, *, late: bool = False) -> None:
        self._late = late
        super().__init__({
            "go": In(1), "rows": In(1), "wide": In(1), "count": In(3), "request_ready": In(1),
            "give": In(1), "mark": In(1), "which": In(1), "hold": In(1), "in_busy": In(1),
            "take": In(1), "bad": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Load(P, [ENGINE])
        known, rows, wide, count = Signal(), Signal(), Signal(), Signal(3)
        m.d.sync += known.eq(1)
        with m.If(~known):
            m.d.sync += [rows.eq(self.rows), wide.eq(self.wide), count.eq(self.count)]
        # Beats that came for the job at work; the item that the next belongs to, and its place.
        beats, item, place = Signal(4), Signal(5), Signal(2)
        narrow = ~rows & ~wide
        m.d.comb += [
            item.eq(Mux(narrow, Cat(self.which, beats), beats >> 1)),
            place.eq(Mux(narrow, 0, Cat(self.which, beats[0]))),
        ]
        sent, left, due, due_place = Signal(), Signal(), Signal(5), Signal(2)
        marks = self.mark & ~sent & (item < count)
        m.d.comb += [
            dut.go.eq(self.go & dut.ready & known & (count != 0)),
            dut.job.op.eq(Mux(rows, Op.INPUT, Op.LOAD)),
            dut.job.space.eq(Mux(wide, WIDE, NARROW)),
            dut.job.count.eq(count),
            dut.request.ready.eq(self.request_ready),
            dut.hold.eq(self.hold),
            dut.in_busy.eq(self.in_busy),
            dut.i.valid.eq(self.give),
            dut.i.payload.data.eq(Mux(self.which, marks << 32, marks)),
            dut.words_out.ready.eq(self.take),
            dut.rows.ready.eq(self.take),
        ]
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += beats.eq(beats + 1)
            with m.If(marks):
                m.d.sync += [sent.eq(1), due.eq(item + self._late), due_place.eq(place)]

        items = Signal(5)
        given = (dut.words_out.valid | dut.rows.valid) & self.take
        word = Mux(rows, dut.rows.payload, dut.words_out.payload.data)
        bits = Cat(word[0], *(word[32 * k] & ~narrow for k in (1, 2, 3)))
        shows = Signal()
        right = (items == due) & (bits == (1 << due_place))
        m.d.comb += [
            shows.eq(given & bits.any()),
            self.bad.eq(
                (shows & (left | ~sent | ~right))
                | (given & sent & ~left & ~shows & ((items == due) | dut.done))
            ),
        ]
        with m.If(given):
            m.d.sync += items.eq(items + 1)
        with m.If(shows):
            m.d.sync += left.eq(1)
        with m.If(dut.done):
            m.d.sync += [items.eq(0), beats.eq(0)]
        return m


@pytest.mark.long("a proof of ten seconds")
def test_each_bit_is_given_once(tmp_path: Path) -> None:
    answer = prove(MarkedLoad(), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(MarkedLoad(late=True), tmp_path)
    assert "was asserted in frame" in answer, answer[-2000:]
