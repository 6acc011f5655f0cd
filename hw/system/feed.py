"""Feed: beats from memory to an engine that takes them while it is at work."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.common.sram_fifo import SramFifo
from zeroskip.hw.system.formats import ROW_BITS, Error, read_request_layout
from zeroskip.hw.system.jobs import failure_layout, job_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.read_dma import read_beat_layout

__all__ = ["FEED_TAG", "JOBS", "WEIGHTS_BESIDE", "Feed"]

FEED_TAG = 2
"""Of the requests for beats that an engine takes while it is at work."""

JOBS = 2
"""WEIGHTS that wait, at most, besides the one at work."""


WEIGHTS_BESIDE = 256
"""Beats of weights that are asked for while an INPUT is at work whose beats its engine asks for,
counted from the engine's last command on: what a run needs that begins with it. More would delay
the INPUT, for which the run waits."""


class Feed(wiring.Component):
    """Reads the beats of one job after the other, as far ahead as it has room for.

    A burst is requested once there is room for it here, so beats that come are always taken, and
    those of others never wait behind them for the engine. A job begins when all beats of the one
    before have come.

    Members
    -------
    go, job : In, begin ``job``; only while ``ready``.
    ready : Out, there is room for a job.
    reading : Out, beats are requested and have not come.
    failed, failure : Out, a beat has not come well, and of what job.
    stop : In, forget all jobs and beats; what is requested still comes.
    request : ``Out(stream(read_request_layout))``.
    i : ``In(stream(read_beat_layout))``.
    o : ``Out(stream(data_bits))``, beats in their order.
    """

    go: Signal
    job: Any
    ready: Signal
    reading: Signal
    failed: Signal
    failure: Any
    stop: Signal
    request: stream.Interface
    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "go": In(1),
            "job": In(job_layout(params)),
            "ready": Out(1),
            "reading": Out(1),
            "failed": Out(1),
            "failure": Out(failure_layout()),
            "stop": In(1),
            "request": Out(stream.Signature(read_request_layout(params))),
            "i": In(stream.Signature(read_beat_layout(params))),
            "o": Out(stream.Signature(params.data_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p = self._p
        m = Module()
        shape = job_layout(p)
        kept = data.StructLayout({name: shape[name].shape for name in ("addr", "beats", "failure")})
        rows = p.outstanding * p.burst_beats
        m.submodules.jobs = jobs = ResetInserter(self.stop)(Queue(kept, JOBS))
        m.submodules.fifo = fifo = ResetInserter(self.stop)(SramFifo(p.data_bits, rows, "beats"))
        connect(m, fifo.o, flipped(self.o))
        item = jobs.i.payload
        m.d.comb += [
            self.ready.eq(jobs.i.ready),
            jobs.i.valid.eq(self.go),
            *(item[name].eq(self.job[name]) for name in kept.members),
        ]

        # What is requested and has not come; and what has rows, those beats among it.
        coming, held = Signal(range(rows + 1)), Signal(range(rows + 1))
        working = Signal()
        addr, left = Signal(p.addr_bits), Signal(ROW_BITS)
        failure = Signal(failure_layout())
        size = Signal(range(p.burst_beats + 1))
        ask = Signal()
        over = Signal()
        m.d.comb += [
            size.eq(Mux(left < p.burst_beats, left, p.burst_beats)),
            ask.eq(
                (left != 0)
                & (held <= rows - p.burst_beats)
                & (~self.request.valid | self.request.ready)
                & ~self.stop
            ),
            self.reading.eq(self.request.valid | (coming != 0)),
            over.eq(working & (left == 0) & ~self.reading),
            jobs.o.ready.eq(~working | over),
        ]
        with m.If(over):
            m.d.sync += working.eq(0)
        with m.If(jobs.o.valid & jobs.o.ready):
            begins = jobs.o.payload
            m.d.sync += [
                working.eq(1),
                addr.eq(begins.addr),
                left.eq(begins.beats),
                failure.eq(begins.failure),
            ]
        with m.If(self.request.ready):
            m.d.sync += self.request.valid.eq(0)
        with m.If(ask):
            m.d.sync += [
                self.request.valid.eq(1),
                self.request.payload.addr.eq(addr),
                self.request.payload.beats.eq(size),
                self.request.payload.tag.eq(FEED_TAG),
                addr.eq(addr + p.burst_beats * p.beat_bytes),
                left.eq(left - size),
            ]

        asked = Mux(ask, size, 0)
        comes = Signal()
        m.d.comb += [
            self.i.ready.eq(1),
            comes.eq(self.i.valid),
            fifo.i.payload.eq(self.i.payload.data),
            fifo.i.valid.eq(comes & ~self.stop),
        ]
        m.d.sync += [coming.eq(coming + asked - comes), held.eq(held + asked - fifo.freed)]
        with m.If(self.stop):
            m.d.sync += [held.eq(coming - comes), working.eq(0), left.eq(0)]

        m.d.comb += [
            self.failed.eq(comes & self.i.payload.error & ~self.stop),
            self.failure.eq(failure),
            self.failure.error.eq(Error.READ),
        ]
        return m
