"""Wishbone B4, classic cycles: bridges from a bus of others to the registers, and to a memory."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.system.axi import AxiLite, AxiRead, AxiWrite, Response
from zeroskip.hw.system.params import SystemParams

__all__ = ["ControlBridge", "MemoryBridge", "Wishbone"]

_INCREMENTING, _END_OF_BURST = 0b010, 0b111


class Wishbone(wiring.Signature):
    """Wishbone, as the master sees it; addresses are those of bytes.

    Parameters
    ----------
    addr_bits : of an address; the bits that are within a word are 0.
    data_bits : of a word.
    """

    def __init__(self, addr_bits: int, data_bits: int) -> None:
        super().__init__({
            "cyc": Out(1),
            "stb": Out(1),
            "we": Out(1),
            "adr": Out(addr_bits),
            "sel": Out(data_bits // 8),
            "dat_w": Out(data_bits),
            "dat_r": In(data_bits),
            "ack": In(1),
            "err": In(1),
            "cti": Out(3),
            "bte": Out(2),
        })


class ControlBridge(wiring.Component):
    """Gives accesses of a Wishbone master to registers, one after the other.

    An access is asked for in the cycle in which it comes, and acknowledged, for a cycle, when its
    answer is there. What began must be held up to its acknowledge.

    Members
    -------
    bus : ``In(Wishbone)``; ``err`` is never given.
    axi : ``Out(AxiLite)``.
    """

    bus: Any
    axi: Any

    def __init__(self, addr_bits: int) -> None:
        super().__init__({"bus": In(Wishbone(addr_bits, 32)), "axi": Out(AxiLite(addr_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, axi = self.bus, self.axi
        asked, write, answered = Signal(), Signal(), Signal()
        request = bus.cyc & bus.stb & ~asked
        taken = Mux(bus.we, axi.aw.ready & axi.w.ready, axi.ar.ready)
        m.d.comb += [
            axi.aw.payload.eq(bus.adr),
            axi.ar.payload.eq(bus.adr),
            axi.w.payload.data.eq(bus.dat_w),
            axi.w.payload.strb.eq(bus.sel),
            axi.aw.valid.eq(request & bus.we),
            axi.w.valid.eq(request & bus.we),
            axi.ar.valid.eq(request & ~bus.we),
            answered.eq(Mux(write, axi.b.valid, axi.r.valid)),
            axi.b.ready.eq(asked & write),
            axi.r.ready.eq(asked & ~write),
            bus.dat_r.eq(axi.r.payload.data),
            bus.ack.eq(asked & answered),
        ]
        with m.If(asked & answered):
            m.d.sync += asked.eq(0)
        with m.Elif(request & taken):
            m.d.sync += [asked.eq(1), write.eq(bus.we)]
        return m


class _State(enum.Enum, shape=2):
    IDLE = 0
    READ = 1
    WRITE = 2
    ANSWER = 3


class MemoryBridge(wiring.Component):
    """Does the bursts of an AXI4 master on Wishbone, one after the other, reads and writes in turn.

    A burst is a cycle of registered feedback: its words follow one another, and CTI says which is
    the last. A slave that does not look at CTI does one word after the other. ERR of any word of a
    write fails the burst; of a read, the word.

    Members
    -------
    read, write : ``In(AxiRead)``, ``In(AxiWrite)``; ``read`` takes its beats as they come.
    bus : ``Out(Wishbone)``.
    """

    read: Any
    write: Any
    bus: Any

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "read": In(AxiRead(params)),
            "write": In(AxiWrite(params)),
            "bus": Out(Wishbone(params.addr_bits, params.data_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, r, w = self.bus, self.read.r, self.write.w
        state = Signal(_State)
        # Where a burst goes on within its 4 KB, and how many words are behind the next.
        burst: Any = Signal(data.StructLayout({"addr": self._p.addr_bits, "left": unsigned(8)}))
        wrote_last, failed = Signal(), Signal()
        reads, writes = state == _State.READ, state == _State.WRITE
        ended, last = bus.ack | bus.err, burst.left == 0
        m.d.comb += [
            bus.cyc.eq(reads | writes),
            bus.stb.eq(reads | (writes & w.valid)),
            bus.we.eq(writes),
            bus.adr.eq(burst.addr),
            bus.sel.eq(Mux(writes, w.payload.strb, ~0)),
            bus.dat_w.eq(w.payload.data),
            bus.cti.eq(Mux(last, _END_OF_BURST, _INCREMENTING)),
            r.valid.eq(reads & ended),
            r.payload.data.eq(bus.dat_r),
            r.payload.resp.eq(Mux(bus.err, Response.SLVERR, Response.OKAY)),
            r.payload.last.eq(last),
            w.ready.eq(writes & ended),
            self.write.b.valid.eq(state == _State.ANSWER),
            self.write.b.payload.eq(Mux(failed, Response.SLVERR, Response.OKAY)),
        ]
        aw, ar = self.write.aw, self.read.ar
        take_write = Signal()
        m.d.comb += [
            take_write.eq(aw.valid & ~(ar.valid & wrote_last)),
            aw.ready.eq((state == _State.IDLE) & take_write),
            ar.ready.eq((state == _State.IDLE) & ~take_write),
        ]
        with m.Switch(state):
            with m.Case(_State.IDLE):
                chosen = Mux(take_write, aw.payload.as_value(), ar.payload.as_value())
                layout: Any = data.View(aw.payload.shape(), chosen)
                m.d.sync += [burst.addr.eq(layout.addr), burst.left.eq(layout.len), failed.eq(0)]
                with m.If(take_write):
                    m.d.sync += [state.eq(_State.WRITE), wrote_last.eq(1)]
                with m.Elif(ar.valid):
                    m.d.sync += [state.eq(_State.READ), wrote_last.eq(0)]
            with m.Case(_State.READ, _State.WRITE), m.If(bus.stb & ended):
                shift = self._p.beat_shift
                m.d.sync += [
                    burst.addr.eq(Cat(burst.addr[:shift], burst.addr[shift:] + 1)),
                    burst.left.eq(burst.left - 1),
                    failed.eq(failed | bus.err),
                ]
                with m.If(last):
                    m.d.sync += state.eq(Mux(reads, _State.IDLE, _State.ANSWER))
            with m.Case(_State.ANSWER), m.If(self.write.b.ready):
                m.d.sync += state.eq(_State.IDLE)
        return m
