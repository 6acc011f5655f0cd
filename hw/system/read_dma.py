"""Read memory: requests of any length to a stream of beats."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.queue import Queue
from zeroskip.hw.common.sram_fifo import SramFifo
from zeroskip.hw.system.axi import AxiRead, Response
from zeroskip.hw.system.bursts import Bursts
from zeroskip.hw.system.formats import read_request_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["ReadDma", "read_beat_layout"]


def read_beat_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a beat that was read.

    Fields
    ------
    data : what the memory gave.
    tag : of the request.
    last : of the request's beats.
    error : the memory did not answer with OKAY.
    """
    return data.StructLayout({
        "data": unsigned(p.data_bits),
        "tag": unsigned(2),
        "last": unsigned(1),
        "error": unsigned(1),
    })


class ReadDma(wiring.Component):
    """Read requests one after the other, and keep several bursts on their way.

    A burst is asked for when there is room for ``burst_beats`` behind the port, and no room is
    given twice, so the memory never waits for whoever takes the beats. With enough bursts on their
    way for the memory's latency, it is a beat a cycle, whatever the requests are cut to.

    A request is a burst at ``axi.ar`` after two cycles; a beat is at ``o`` two cycles after it was
    at ``axi.r``. A reset must reset the memory's side as well: answers to what was asked for
    before would be taken for answers to what comes.

    Members
    -------
    request : ``In(stream(read_request_layout))``; ``addr`` a multiple of the bytes of a beat,
        ``beats`` at least 1.
    o : ``Out(stream(read_beat_layout))``, beats in the order of requests.
    axi : ``Out(AxiRead)``; ``r.ready`` is always 1.
    idle : Out, all that was requested has left.
    """

    request: stream.Interface
    o: stream.Interface
    axi: Any
    idle: Signal

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "request": In(stream.Signature(read_request_layout(params))),
            "o": Out(stream.Signature(read_beat_layout(params))),
            "axi": Out(AxiRead(params)),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        ar, r = self.axi.ar, self.axi.r
        rows = p.outstanding * p.burst_beats
        room = Signal(range(rows + 1), init=rows)
        m.submodules.bursts = bursts = Bursts(p)
        m.submodules.asked = asked = Queue(
            data.StructLayout({"tag": unsigned(2), "final": unsigned(1)}), p.outstanding
        )
        tag = Signal(2, reset_less=True)
        m.d.comb += [
            bursts.i.valid.eq(self.request.valid),
            bursts.i.payload.addr.eq(self.request.payload.addr),
            bursts.i.payload.beats.eq(self.request.payload.beats),
            self.request.ready.eq(bursts.i.ready),
        ]
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += tag.eq(self.request.payload.tag)

        # The next burst goes into the registers of `axi.ar`, which are its only place to wait.
        ask = Signal()
        m.d.comb += [
            bursts.o.ready.eq((~ar.valid | ar.ready) & asked.i.ready & (room >= p.burst_beats)),
            ask.eq(bursts.o.valid & bursts.o.ready),
            asked.i.valid.eq(ask),
            asked.i.payload.tag.eq(tag),
            asked.i.payload.final.eq(bursts.o.payload.final),
        ]
        with m.If(ask):
            m.d.sync += [ar.valid.eq(1), ar.payload.eq(bursts.o.payload.burst)]
        with m.Elif(ar.ready):
            m.d.sync += ar.valid.eq(0)

        m.submodules.beats = beats = SramFifo(read_beat_layout(p), rows, "beats")
        connect(m, beats.o, flipped(self.o))
        m.d.comb += [
            r.ready.eq(1),
            asked.o.ready.eq(r.valid & r.payload.last),
            beats.i.valid.eq(r.valid),
            beats.i.payload.data.eq(r.payload.data),
            beats.i.payload.tag.eq(asked.o.payload.tag),
            beats.i.payload.last.eq(r.payload.last & asked.o.payload.final),
            beats.i.payload.error.eq(r.payload.resp != Response.OKAY),
            self.idle.eq(~bursts.o.valid & (room == rows) & ~self.o.valid),
        ]
        m.d.sync += room.eq(room + beats.freed - Mux(ask, bursts.o.payload.burst.len + 1, 0))
        return m
