"""Stream port: parts of the address space that are streams instead of memory."""

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.system.axi import AxiRead, AxiWrite, Response
from zeroskip.hw.system.params import SystemParams

__all__ = ["StreamPort", "packet_layout"]


def packet_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a beat of an AXI4-Stream."""
    return data.StructLayout({
        "data": unsigned(p.data_bits),
        "keep": unsigned(p.beat_bytes),
        "last": unsigned(1),
    })


class _Write(enum.Enum, shape=2):
    IDLE = 0
    MEMORY = 1  # words of a burst go to memory
    STREAM = 2
    ANSWER = 3


class StreamPort(wiring.Component):
    """Takes reads and writes of the upper half of the address space from and to streams.

    Beats come and go in the order of bursts, whatever their addresses; the last beat of the address
    space ends a packet. What a stream's own ``last`` and ``keep`` say on the way in is not looked
    at. Reads of one kind wait for those of the other, and so do writes; each burst of a write waits
    for the words of the one before.

    Members
    -------
    read, write : ``In(AxiRead)``, ``In(AxiWrite)``, the chip's; ``read`` takes beats as they come.
    memory_read, memory_write : ``Out(AxiRead)``, ``Out(AxiWrite)``, the lower half.
    i, o : ``In(stream(packet_layout))``, ``Out(stream(packet_layout))``.
    """

    read: Any
    write: Any
    memory_read: Any
    memory_write: Any
    i: stream.Interface
    o: stream.Interface

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        packets = stream.Signature(packet_layout(params))
        super().__init__({
            "read": In(AxiRead(params)),
            "write": In(AxiWrite(params)),
            "memory_read": Out(AxiRead(params)),
            "memory_write": Out(AxiWrite(params)),
            "i": In(packets),
            "o": Out(packets),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._reads(m)
        self._writes(m)
        return m

    def _reads(self, m: Module) -> None:
        ar, r = self.read.ar, self.read.r
        out, back = self.memory_read.ar, self.memory_read.r
        packet: Any = self.i.payload
        # Beats of a burst of the stream that have not come, and bursts of memory.
        left, owed = Signal(range(self._p.burst_beats + 1)), Signal(range(self._p.outstanding + 1))
        streams, fits = ar.payload.addr[-1], owed < self._p.outstanding
        ended = back.valid & back.ready & back.payload.last
        m.d.comb += [
            out.payload.eq(ar.payload),
            out.valid.eq(ar.valid & ~streams & (left == 0) & fits),
            back.ready.eq(r.ready),
            self.i.ready.eq(r.ready & (left != 0)),
            r.valid.eq(back.valid),
            r.payload.eq(back.payload),
        ]
        with m.If(streams):
            m.d.comb += ar.ready.eq((left == 0) & (owed == 0))
        with m.Else():
            m.d.comb += ar.ready.eq(out.ready & (left == 0) & fits)
        with m.If(left != 0):
            m.d.comb += [
                r.valid.eq(self.i.valid),
                r.payload.data.eq(packet.data),
                r.payload.resp.eq(Response.OKAY),
                r.payload.last.eq(left == 1),
            ]
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += left.eq(left - 1)
        with m.Elif(ar.valid & ar.ready & streams):
            m.d.sync += left.eq(ar.payload.len + 1)
        m.d.sync += owed.eq(owed + (out.valid & out.ready) - ended)

    def _writes(self, m: Module) -> None:
        aw, w, b = self.write.aw, self.write.w, self.write.b
        memory, packet = self.memory_write, self.o.payload
        state = Signal(_Write)
        addr = Signal(self._p.addr_bits - self._p.beat_shift)
        owed = Signal(range(self._p.outstanding + 1))
        fits = owed < self._p.outstanding
        streams, idle = aw.payload.addr[-1], state == _Write.IDLE
        answered = memory.b.valid & memory.b.ready
        view: Any = packet
        m.d.comb += [
            memory.aw.payload.eq(aw.payload),
            memory.aw.valid.eq(aw.valid & idle & ~streams & fits),
            memory.w.payload.eq(w.payload),
            memory.w.valid.eq(w.valid & (state == _Write.MEMORY)),
            memory.b.ready.eq(b.ready & (state != _Write.ANSWER)),
            view.data.eq(w.payload.data),
            view.keep.eq(w.payload.strb),
            view.last.eq(addr.all()),
            self.o.valid.eq(w.valid & (state == _Write.STREAM)),
            b.valid.eq(memory.b.valid),
            b.payload.eq(memory.b.payload),
        ]
        with m.If(streams):
            m.d.comb += aw.ready.eq(idle & (owed == 0))
        with m.Else():
            m.d.comb += aw.ready.eq(idle & memory.aw.ready & fits)
        m.d.sync += owed.eq(owed + (memory.aw.valid & memory.aw.ready) - answered)
        with m.Switch(state):
            with m.Case(_Write.IDLE), m.If(aw.valid & aw.ready):
                m.d.sync += addr.eq(aw.payload.addr[self._p.beat_shift :])
                with m.If(streams):
                    m.d.sync += state.eq(_Write.STREAM)
                with m.Else():
                    m.d.sync += state.eq(_Write.MEMORY)
            with m.Case(_Write.MEMORY):
                m.d.comb += w.ready.eq(memory.w.ready)
                with m.If(w.valid & w.ready & w.payload.last):
                    m.d.sync += state.eq(_Write.IDLE)
            with m.Case(_Write.STREAM):
                m.d.comb += w.ready.eq(self.o.ready)
                with m.If(w.valid & w.ready):
                    m.d.sync += addr.eq(addr + 1)
                    with m.If(w.payload.last):
                        m.d.sync += state.eq(_Write.ANSWER)
            with m.Case(_Write.ANSWER):
                m.d.comb += [b.valid.eq(1), b.payload.eq(Response.OKAY)]
                with m.If(b.ready):
                    m.d.sync += state.eq(_Write.IDLE)
