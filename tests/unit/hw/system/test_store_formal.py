"""Proof, for all inputs and any number of cycles, that Store writes every bit of a row once.

A bit of a row is marked; which one and when is left open, as are jobs, rows that are filled, and
when both sides give and take. All other bits are 0. Beats are counted from the start of their job.
"""

from pathlib import Path

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import FAILS, PROVED, prove, unstable
from zeroskip.hw.common import formats as common
from zeroskip.hw.eie import host as eie
from zeroskip.hw.system import jobs
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.store import Store

pytest.importorskip("pyosys")

P = SystemParams(data_bits=64, addr_bits=16)
ENGINE = jobs.Engine(
    common.command_layout(common.host_layout(128, eie.Space)), {0: jobs.Memory(1, 9, 32)}, 9, 128
)


class MarkedStore(wiring.Component):
    """Store, and what follows a marked bit.

    All jobs have the length of the first cycle. The DMA answers a job some time after it has taken
    its request and its beats.

    Parameters
    ----------
    late : say that the bit is due a beat later than it is.

    Members
    -------
    bad : Out, the bit has come out twice, elsewhere, or not at all; a job has more beats or
        requests than it should, or fewer; or what was offered has changed.
    """

    go: Signal
    count: Signal
    give: Signal
    fill: Signal
    mark: Signal
    which: Signal
    take: Signal
    ask: Signal
    answer: Signal
    bad: Signal

    def __init__(self, *, late: bool = False) -> None:
        self._late = late
        names = ("go", "give", "fill", "mark", "which", "take", "ask", "answer")
        super().__init__({**{name: In(1) for name in names}, "count": In(3), "bad": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Store(P, ENGINE)
        known, count = Signal(), Signal(3)
        m.d.sync += known.eq(1)
        with m.If(~known):
            m.d.sync += count.eq(self.count)
        # Of the job at work: rows that were taken, beats that were given, its request is taken.
        rows, beats, asked = Signal(4), Signal(5), Signal()
        sent, left, due = Signal(), Signal(), Signal(5)
        marks = self.mark & ~sent
        complete = asked & (beats == count << 1)
        m.d.comb += [
            dut.go.eq(self.go & dut.idle & known & (count != 0)),
            dut.job.count.eq(count),
            dut.job.beats.eq(count << 1),
            dut.rows.valid.eq(self.give),
            dut.rows.payload.eq(Cat(marks & ~self.which) | (marks & self.which) << 64),
            dut.fill.eq(self.fill),
            dut.o.ready.eq(self.take),
            dut.request.ready.eq(self.ask),
            dut.written.eq(self.answer & complete),
        ]
        takes = dut.rows.ready & (self.give | self.fill)
        gives, asks = dut.o.valid & self.take, dut.request.valid & self.ask
        with m.If(takes):
            m.d.sync += rows.eq(rows + 1)
            with m.If(marks):
                m.d.sync += [sent.eq(1), due.eq(Cat(self.which, rows) + self._late)]
        shows, right = gives & dut.o.payload.any(), (beats == due) & (dut.o.payload == 1)
        m.d.comb += self.bad.eq(
            (shows & (left | ~sent | ~right))
            | (gives & sent & ~left & ~shows & (beats == due))
            | (dut.done & sent & ~left)
            | (gives & (beats == count << 1))
            | (takes & (rows == count))
            | (asks & (asked | dut.idle))
            | ((gives | takes) & dut.idle)
            | unstable(m, dut.o, dut.o.payload)
            | unstable(m, dut.request, dut.request.payload.as_value())
        )
        with m.If(gives):
            m.d.sync += beats.eq(beats + 1)
        with m.If(shows):
            m.d.sync += left.eq(1)
        with m.If(asks):
            m.d.sync += asked.eq(1)
        with m.If(dut.done):
            m.d.sync += [rows.eq(0), beats.eq(0), asked.eq(0)]
        return m


@pytest.mark.long("a proof of seconds")
def test_each_bit_is_written_once(tmp_path: Path) -> None:
    answer = prove(MarkedStore(), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(MarkedStore(late=True), tmp_path)
    assert FAILS in answer, answer[-2000:]
