"""Proof, for any number of cycles, that rows stream in and out in order, and each exactly once."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import prove
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.rows import LoadRows, StoreRows

pytest.importorskip("pyosys")


class _Watched(wiring.Component):
    """Environment of a proof: rows and stalls are left open, but a transfer fits its file."""

    start: Signal
    base: Signal
    rows: Signal
    flush: Signal
    hold: Signal
    bad: Signal

    def __init__(self, p: EieParams, others: dict[str, wiring.Member]) -> None:
        self._p, row = p, p.act_addr_bits
        super().__init__({
            "start": In(1),
            "base": In(row),
            "rows": In(row + 1),
            "flush": In(1),
            "hold": In(1),
            "bad": Out(1),
            **others,
        })

    def _begin(self, m: Module, dut: LoadRows | StoreRows) -> Signal:
        """Connect the job; return whether one begins."""
        begins = Signal()
        fits = (self.rows != 0) & (self.base + self.rows <= self._p.num_acts)
        m.d.comb += [
            begins.eq(self.start & fits & ~dut.busy & ~self.flush),
            dut.start.eq(begins),
            dut.base.eq(self.base),
            dut.rows.eq(self.rows),
            dut.which.eq(1),
            dut.flush.eq(self.flush),
            dut.hold.eq(self.hold),
        ]
        return begins


class WatchedStore(_Watched):
    """Rows that stream out; each activation is its row's number.

    Members
    -------
    start, base, rows, flush, hold : In, as of :class:`.StoreRows`.
    ready : In.
    bad : Out, an offer was taken back or changed, a row came twice, not in its order, unasked or
        not at all, or none was offered in a cycle in which one could be.
    """

    ready: Signal

    def __init__(self, p: EieParams, *, patient: bool = True) -> None:
        self._patient = patient
        super().__init__(p, {"ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m, row = Module(), self._p.act_addr_bits
        m.submodules.store = store = StoreRows(self._p)
        begins = self._begin(m, store)
        m.d.comb += store.ready.eq(self.ready)
        payload = Signal(row)
        with m.If(store.en):
            m.d.sync += payload.eq(store.row)  # as an SRAM does
        following, left = Signal(row), Signal(row + 1)
        stalled, offered, could = Signal(), Signal(row), Signal()
        takes = store.valid & self.ready
        m.d.sync += [
            stalled.eq(store.valid & ~self.ready & ~self.flush),
            offered.eq(payload),
            # A row that is read now is offered in the next cycle.
            could.eq((left > store.valid) & ~self.hold & ~self.flush & (self.ready | ~store.valid)),
        ]
        with m.If(takes):
            m.d.sync += [following.eq(following + 1), left.eq(left - 1)]
        with m.If(begins):
            m.d.sync += [following.eq(self.base), left.eq(self.rows)]
        with m.If(self.flush):
            m.d.sync += left.eq(0)
        changed = stalled & (~store.valid | (payload != offered))
        wrong = takes & ((left == 0) | (payload != following))
        late = could & ~store.valid
        if not self._patient:
            late = (left != 0) & ~store.valid
        m.d.comb += self.bad.eq(changed | wrong | late | (store.busy != (left != 0)))
        return m


class WatchedLoad(_Watched):
    """Rows that stream in.

    Members
    -------
    start, base, rows, flush, hold : In, as of :class:`.LoadRows`.
    valid : In.
    asked : In, is this row still to come?
    bad : Out, a row was written twice, not in its order, unasked or not when it could be, or what
        is said of ``asked`` is wrong.
    """

    valid: Signal
    asked: Signal

    def __init__(self, p: EieParams) -> None:
        super().__init__(p, {"valid": In(1), "asked": In(p.act_addr_bits)})

    def elaborate(self, platform: object) -> Module:
        m, num_acts = Module(), self._p.num_acts
        m.submodules.load = load = LoadRows(self._p)
        begins = self._begin(m, load)
        m.d.comb += load.valid.eq(self.valid)
        coming, following = Signal(num_acts), Signal.like(load.row)
        with m.If(load.en):
            m.d.sync += [coming.bit_select(load.row, 1).eq(0), following.eq(following + 1)]
        with m.If(begins):
            m.d.sync += [
                following.eq(self.base),
                coming.eq(((1 << self.rows) - 1)[:num_acts] << self.base),
            ]
        with m.If(self.flush):
            m.d.sync += coming.eq(0)
        known = self.asked < num_acts
        lacks = load.lacks(load.file, self.asked)
        wrong = load.en & ((load.row != following) | ~coming.bit_select(load.row, 1))
        idle = load.busy & self.valid & ~self.hold & ~load.en
        m.d.comb += self.bad.eq(
            wrong
            | idle
            | (load.busy != coming.any())
            | (load.ready & ~load.busy)
            | (known & (lacks != coming.bit_select(self.asked, 1)))
        )
        return m


@pytest.mark.parametrize("num_acts", [2, 4, 5])
@pytest.mark.parametrize("design", [WatchedStore, WatchedLoad])
def test_rows_stream_in_order(
    design: type[WatchedStore] | type[WatchedLoad], num_acts: int, tmp_path: Path
) -> None:
    answer = prove(design(EieParams(num_acts=num_acts, act_files=3)), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    """A row is not there in the cycle after a job begins."""
    answer = prove(WatchedStore(EieParams(num_acts=4, act_files=3), patient=False), tmp_path)
    assert "was asserted in frame" in answer, answer[-2000:]
