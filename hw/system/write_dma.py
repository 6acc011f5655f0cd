"""Write memory: a stream of beats to where requests say."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.system.axi import AxiWrite, Response
from zeroskip.hw.system.bursts import Bursts
from zeroskip.hw.system.formats import write_request_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["AHEAD", "UNANSWERED", "WriteDma"]

UNANSWERED = 16
"""Bursts that are on their way, or not yet answered, at most."""

AHEAD = 4
"""Bursts whose addresses are sent before all of their beats have come, at most."""


class WriteDma(wiring.Component):
    """Write requests one after the other; addresses go ahead of their beats.

    A request is a burst at ``axi.aw`` after two cycles, a beat is at ``axi.w`` after one. A reset
    must reset the memory's side as well, which would otherwise wait for beats, and answer to what
    nobody asked.

    Members
    -------
    request : ``In(stream(write_request_layout))``; ``addr`` a multiple of the bytes of a beat,
        ``beats`` at least 1.
    i : ``In(stream(data_bits))``, the requests' beats in their order, and not one more.
    mask : In, bytes of the beat at ``i`` that are not to be written.
    axi : ``Out(AxiWrite)``; ``b.ready`` is always 1.
    done : Out, for a cycle: all of a request was answered. Requests are done in their order.
    error : Out, with ``done``: not all of it with OKAY.
    idle : Out, all that was requested is done.
    """

    request: stream.Interface
    i: stream.Interface
    mask: Signal
    axi: Any
    done: Signal
    error: Signal
    idle: Signal

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "request": In(stream.Signature(write_request_layout(params))),
            "i": In(stream.Signature(params.data_bits)),
            "mask": In(params.beat_bytes),
            "axi": Out(AxiWrite(params)),
            "done": Out(1),
            "error": Out(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        aw, w, b = self.axi.aw, self.axi.w, self.axi.b
        m.submodules.bursts = bursts = Bursts(self._p)
        m.submodules.lengths = lengths = Queue(unsigned(8), AHEAD)
        m.submodules.answers = answers = Queue(unsigned(1), UNANSWERED)
        wiring.connect(m, wiring.flipped(self.request), bursts.i)

        # The next burst goes into the registers of `axi.aw`, the next beat into those of `axi.w`.
        send = Signal()
        take = Signal()
        last = Signal()
        number = Signal(8)
        m.d.comb += [
            bursts.o.ready.eq((~aw.valid | aw.ready) & lengths.i.ready & answers.i.ready),
            send.eq(bursts.o.valid & bursts.o.ready),
            lengths.i.valid.eq(send),
            lengths.i.payload.eq(bursts.o.payload.burst.len),
            answers.i.valid.eq(send),
            answers.i.payload.eq(bursts.o.payload.final),
            self.i.ready.eq(lengths.o.valid & (~w.valid | w.ready)),
            take.eq(self.i.valid & self.i.ready),
            last.eq(number == lengths.o.payload),
            lengths.o.ready.eq(take & last),
        ]
        with m.If(send):
            m.d.sync += [aw.valid.eq(1), aw.payload.eq(bursts.o.payload.burst)]
        with m.Elif(aw.ready):
            m.d.sync += aw.valid.eq(0)
        with m.If(take):
            m.d.sync += [
                w.valid.eq(1),
                w.payload.data.eq(self.i.payload),
                w.payload.strb.eq(~self.mask),
                w.payload.last.eq(last),
                number.eq(Mux(last, 0, number + 1)),
            ]
        with m.Elif(w.ready):
            m.d.sync += w.valid.eq(0)

        failed = Signal()
        final = Signal()
        bad = Signal()
        m.d.comb += [
            b.ready.eq(1),
            answers.o.ready.eq(b.valid),
            final.eq(b.valid & answers.o.payload),
            bad.eq(failed | (b.payload != Response.OKAY)),
            self.idle.eq(~bursts.o.valid & ~answers.o.valid),
        ]
        m.d.sync += [self.done.eq(final), self.error.eq(final & bad)]
        with m.If(b.valid):
            m.d.sync += failed.eq(bad & ~final)
        return m
