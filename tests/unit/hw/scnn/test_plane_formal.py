"""Proof, for all inputs and any number of cycles, that no stream of a plane takes back an offer."""

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import prove
from tests.support.tiers import cases
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_load import PlaneLoad
from zeroskip.hw.scnn.plane_read import PlaneRead
from zeroskip.hw.scnn.plane_rows import PlaneIn, PlaneOut

pytest.importorskip("pyosys")

P = ScnnParams(
    pes_x=2,
    pes_y=1,
    mult_i=2,
    banks=2,
    bank_entries=2,
    run_bits=1,
    act_bits=2,
    act_words=4,
    num_channels=2,
    field_bits=2,
    code_bits=2,
    weight_bits=2,
)
LANES, BITS = 4, 2


def _taken_back(m: Module, port: Any, payload: Any) -> Signal:
    """Watch a stream; return whether it took back or changed an offer."""
    stalled, offered, changed = Signal(), Signal.like(payload), Signal()
    m.d.sync += [stalled.eq(port.valid & ~port.ready), offered.eq(payload)]
    m.d.comb += changed.eq(stalled & (~port.valid | (payload != offered)))
    return changed


class WatchedLoad(wiring.Component):
    """What writes a plane.

    Members
    -------
    go, fields, value, valid, ready : In, left open; the fields are kept from ``go`` on.
    bad : Out, a write was taken back or changed.
    """

    go: Signal
    fields: Signal
    value: Signal
    valid: Signal
    ready: Signal
    bad: Signal

    def __init__(self) -> None:
        self._dut = PlaneLoad(P)
        width = self._dut.plane.as_value().shape().width
        names = {"go": In(1), "value": In(P.act_bits), "valid": In(1), "ready": In(1)}
        super().__init__({**names, "fields": In(width), "bad": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m, dut = Module(), self._dut
        m.submodules.dut = dut
        kept = Signal.like(self.fields)
        begins = self.go & ~dut.busy
        with m.If(begins):
            m.d.sync += kept.eq(self.fields)
        m.d.comb += [
            dut.go.eq(begins),
            dut.plane.eq(kept),
            dut.spread.eq(~0),
            dut.i.payload.count.eq(1),
            dut.i.payload.values[0].eq(self.value),
            dut.i.valid.eq(self.valid),
            dut.cmd.ready.eq(self.ready),
            self.bad.eq(_taken_back(m, dut.cmd, dut.cmd.payload.as_value())),
        ]
        return m


class WatchedRead(wiring.Component):
    """What reads a plane.

    Members
    -------
    go, fields, answer, answered, asks, ready : In, left open; the fields are kept from ``go`` on,
        and there are no answers but to questions.
    bad : Out, a value or a question was taken back or changed.
    """

    go: Signal
    fields: Signal
    answer: Signal
    answered: Signal
    asks: Signal
    ready: Signal
    bad: Signal

    def __init__(self) -> None:
        self._dut = dut = PlaneRead(P, P.mult_i)
        super().__init__({
            **{name: In(1) for name in ("go", "answered", "asks", "ready")},
            "answer": In(len(dut.rsp.payload)),
            "fields": In(dut.plane.as_value().shape().width),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m, dut = Module(), self._dut
        m.submodules.dut = dut
        kept = Signal.like(self.fields)
        begins = self.go & ~dut.busy
        with m.If(begins):
            m.d.sync += kept.eq(self.fields)
        asked = Signal()
        with m.If(dut.cmd.valid & dut.cmd.ready):
            m.d.sync += asked.eq(1)
        with m.If(dut.rsp.valid & dut.rsp.ready):
            m.d.sync += asked.eq(0)
        value, question = dut.o.payload.as_value(), dut.cmd.payload.as_value()
        m.d.comb += [
            dut.go.eq(begins),
            dut.plane.eq(kept),
            dut.spread.eq(~0),
            dut.rsp.payload.eq(self.answer),
            dut.rsp.valid.eq(self.answered & asked),
            dut.cmd.ready.eq(self.asks),
            dut.o.ready.eq(self.ready),
            self.bad.eq(_taken_back(m, dut.o, value) | _taken_back(m, dut.cmd, question)),
        ]
        return m


def _offered(m: Module, port: Any, valid: Value, payload: Value) -> None:
    """Offer what is left open, and keep it until it is taken."""
    kept = Signal.like(port.valid)
    held = Signal(len(Value.cast(port.payload)))
    m.d.sync += [kept.eq(port.valid & ~port.ready), held.eq(Value.cast(port.payload))]
    m.d.comb += [port.valid.eq(kept | valid), Value.cast(port.payload).eq(Mux(kept, held, payload))]


class WatchedIn(wiring.Component):
    """What takes values out of beats.

    Parameters
    ----------
    kept : what is offered stays; else the proof fails.

    Members
    -------
    row, row_valid, beat, beat_valid, asks, ready : In, left open; what is offered is kept.
    step : In, left open, and constant.
    bad : Out, a value or a request was taken back or changed.
    """

    row: Signal
    row_valid: Signal
    beat: Signal
    beat_valid: Signal
    step: Signal
    asks: Signal
    ready: Signal
    bad: Signal

    def __init__(self, *, kept: bool = True) -> None:
        self._kept = kept
        self._dut = dut = PlaneIn(P, LANES)
        super().__init__({
            **{name: In(1) for name in ("row_valid", "beat_valid", "asks", "ready")},
            "row": In(len(dut.rows.payload.as_value())),
            "beat": In(len(dut.i.payload)),
            "step": In(len(dut.step)),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m, dut = Module(), self._dut
        m.submodules.dut = dut
        _offered(m, dut.rows, self.row_valid, self.row)
        if self._kept:
            _offered(m, dut.i, self.beat_valid, self.beat)
        else:
            m.d.comb += [dut.i.valid.eq(self.beat_valid), dut.i.payload.eq(self.beat)]
        known, step = Signal(), Signal.like(self.step)
        m.d.sync += known.eq(1)
        with m.If(~known):
            m.d.sync += step.eq(self.step)
        m.d.comb += [
            dut.step.eq(Mux(known, step, self.step)),
            dut.request.ready.eq(self.asks),
            dut.o.ready.eq(self.ready),
            self.bad.eq(
                _taken_back(m, dut.o, dut.o.payload.as_value())
                | _taken_back(m, dut.request, dut.request.payload.as_value())
            ),
        ]
        return m


class WatchedOut(wiring.Component):
    """What packs values of a plane to beats.

    Members
    -------
    row, row_valid, value, value_valid, asks, ready : In, left open; what is offered is kept.
    bad : Out, a beat or a request was taken back or changed.
    """

    row: Signal
    row_valid: Signal
    value: Signal
    value_valid: Signal
    asks: Signal
    ready: Signal
    bad: Signal

    def __init__(self) -> None:
        self._dut = dut = PlaneOut(P, LANES)
        super().__init__({
            **{name: In(1) for name in ("row_valid", "value_valid", "asks", "ready")},
            "row": In(len(dut.rows.payload.as_value())),
            "value": In(len(dut.i.payload.as_value())),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m, dut = Module(), self._dut
        m.submodules.dut = dut
        _offered(m, dut.rows, self.row_valid, self.row)
        _offered(m, dut.i, self.value_valid, self.value)
        m.d.comb += [
            dut.step.eq(1),
            dut.request.ready.eq(self.asks),
            dut.o.ready.eq(self.ready),
            self.bad.eq(
                _taken_back(m, dut.o, Cat(dut.o.payload, dut.mask))
                | _taken_back(m, dut.request, dut.request.payload.as_value())
            ),
        ]
        return m


@pytest.mark.parametrize(
    "design",
    cases([WatchedLoad, WatchedRead, WatchedIn, WatchedOut], [WatchedIn], "a proof of seconds"),
)
def test_offers_hold(design: type[wiring.Component], tmp_path: Path) -> None:
    answer = prove(design(), tmp_path)
    assert "Property proved." in answer, answer[-2000:]


def test_the_proof_can_fail(tmp_path: Path) -> None:
    answer = prove(WatchedIn(kept=False), tmp_path)
    assert "was asserted in frame" in answer, answer[-2000:]
