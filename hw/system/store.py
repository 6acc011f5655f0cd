"""Store: rows of an engine's activations become beats for memory."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.system.check import DESTINATION
from zeroskip.hw.system.formats import ROW_BITS, Error, Wait, write_request_layout
from zeroskip.hw.system.jobs import Engine, failure_layout, job_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import rows_out_layout

__all__ = ["Store", "StoreAsked"]


def _members(params: SystemParams, engine: Engine) -> dict[str, Any]:
    """Return the members that both ways to store have, see :class:`Store`."""
    return {
        "go": In(1),
        "job": In(job_layout(params)),
        "idle": Out(1),
        "reading": Out(1),
        "done": Out(1),
        "failure": Out(failure_layout()),
        "out_start": Out(1),
        "out_rows": Out(rows_out_layout(params)),
        "rows": In(stream.Signature(engine.row_bits)),
        "request": Out(stream.Signature(write_request_layout(params))),
        "o": Out(stream.Signature(params.data_bits)),
        "written": In(1),
        "error": In(1),
    }


class Store(wiring.Component):
    """Does one OUTPUT after the other.

    In the cycle after ``go`` the engine is told, and the request is at ``request`` from then on. A
    row is taken when there is none, or with the last beat of the row before; its beats are given
    from the next cycle on. ``done`` comes in the cycle of the DMA's.

    Members
    -------
    go, job : In, begin ``job``; only while ``idle``.
    idle : Out, none is at work.
    reading : Out, rows are still to be taken.
    done, failure : Out, it is done, and how.
    out_start, out_rows : Out, the engine is to give rows.
    rows : ``In(stream)``, rows of all lanes.
    fill : In, take any word for a row: none may come any more.
    request : ``Out(stream(write_request_layout))``.
    o : ``Out(stream(data_bits))``, beats.
    written, error : In, all beats of a request have been answered; at least one with an error.
    """

    go: Signal
    job: Any
    idle: Signal
    reading: Signal
    done: Signal
    failure: Any
    out_start: Signal
    out_rows: Any
    rows: stream.Interface
    fill: Signal
    request: stream.Interface
    o: stream.Interface
    written: Signal
    error: Signal

    def __init__(self, params: SystemParams, engine: Engine) -> None:
        self._p, self._engine = params, engine
        super().__init__({**_members(params, engine), "fill": In(1)})

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        beats = self._engine.row_beats(p)
        busy = Signal()
        left = Signal(ROW_BITS)
        row = Signal(beats * p.data_bits)
        parts = Signal(range(beats + 1))
        failure: Any = Signal(failure_layout())
        m.d.comb += [
            self.idle.eq(~busy),
            self.reading.eq(left != 0),
            self.done.eq(busy & self.written),
            self.failure.eq(failure),
            self.failure.error.eq(Mux(self.error, Error.WRITE, Error.NONE)),
            self.o.valid.eq(parts != 0),
            self.o.payload.eq(row),
            self.rows.ready.eq(self.reading & ((parts == 0) | ((parts == 1) & self.o.ready))),
        ]
        m.d.sync += self.out_start.eq(self.go)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [parts.eq(parts - 1), row.eq(row >> p.data_bits)]
        with m.If((self.rows.valid | self.fill) & self.rows.ready):
            m.d.sync += [row.eq(self.rows.payload), parts.eq(beats), left.eq(left - 1)]
        with m.If(self.request.ready):
            m.d.sync += self.request.valid.eq(0)
        with m.If(self.go):
            m.d.sync += [
                busy.eq(1),
                left.eq(self.job.count),
                failure.eq(self.job.failure),
                self.out_rows.base.eq(self.job.row),
                self.out_rows.addr.eq(self.job.addr),
                self.out_rows.rows.eq(self.job.count),
                self.out_rows.dest.eq(self.job.row[DESTINATION]),
                self.out_rows.follow.eq((self.job.wait & Wait.DRAIN).any()),
                self.request.valid.eq(1),
                self.request.payload.addr.eq(self.job.addr),
                self.request.payload.beats.eq(self.job.beats),
            ]
        with m.Elif(self.done):
            m.d.sync += busy.eq(0)
        return m


class StoreAsked(wiring.Component):
    """Does one OUTPUT after the other, of an engine that asks for its beats itself.

    In the cycle after ``go`` the engine is told. ``done`` comes once the engine is not busy and all
    that it asked for has been answered.

    Members
    -------
    asked : ``In(stream(write_request_layout))``, where beats are to go.
    out_busy : In, the engine has more to ask or to give; from the cycle after ``out_start``.
    go, job, idle, reading, done, failure, out_start, out_rows, rows, request, o, written, error :
        see :class:`Store`.
    """

    go: Signal
    job: Any
    idle: Signal
    reading: Signal
    done: Signal
    failure: Any
    out_start: Signal
    out_rows: Any
    out_busy: Signal
    rows: stream.Interface
    asked: stream.Interface
    request: stream.Interface
    o: stream.Interface
    written: Signal
    error: Signal

    def __init__(self, params: SystemParams, engine: Engine) -> None:
        request = stream.Signature(write_request_layout(params))
        super().__init__({**_members(params, engine), "out_busy": In(1), "asked": In(request)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wiring.connect(m, wiring.flipped(self.rows), wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.asked), wiring.flipped(self.request))
        busy, wrong = Signal(), Signal()
        unanswered = Signal(ROW_BITS)
        failure: Any = Signal(failure_layout())
        m.d.comb += [
            self.idle.eq(~busy),
            self.reading.eq(busy),
            self.done.eq(busy & ~self.out_start & ~self.out_busy & (unanswered == 0)),
            self.failure.eq(failure),
            self.failure.error.eq(Mux(wrong, Error.WRITE, Error.NONE)),
        ]
        asks = self.request.valid & self.request.ready
        m.d.sync += [
            self.out_start.eq(self.go),
            unanswered.eq(unanswered + asks - self.written),
            wrong.eq(wrong | (self.written & self.error)),
        ]
        with m.If(self.go):
            m.d.sync += [
                busy.eq(1),
                wrong.eq(0),
                failure.eq(self.job.failure),
                self.out_rows.addr.eq(self.job.addr),
                self.out_rows.rows.eq(self.job.count),
                self.out_rows.dest.eq(self.job.row[DESTINATION]),
            ]
        with m.Elif(self.done):
            m.d.sync += busy.eq(0)
        return m
