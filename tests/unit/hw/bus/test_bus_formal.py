"""Proofs, for all inputs and any number of cycles, of what the tops keep of AXI4-Lite and Wishbone.

A top's control port is a register file, behind a bridge if it is Wishbone's; its memory port is
that of the DMAs, whose proofs are with the system's, behind another bridge.
"""

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import connect

from tests.support.prove import Watched, any_of, prove, unstable
from tests.support.tiers import cases
from zeroskip.hw.bus.register_file import RegisterFile
from zeroskip.hw.bus.register_map import Access, Field, Register, RegisterMap
from zeroskip.hw.bus.stream_port import StreamPort
from zeroskip.hw.bus.wishbone import ControlBridge, MemoryBridge
from zeroskip.hw.system.params import SystemParams

pytest.importorskip("pyosys")

ADDR_BITS = 5
MAP = RegisterMap("small", "Small", ADDR_BITS, (
    Register("CONTROL", 0, "", tuple(
        Field(access.name, 3 * place, 2, access, "", guarded=access == Access.READ_WRITE)
        for place, access in enumerate(Access)
    )),
    Register("FREE", 8, "", (Field("FREE", 0, 8, Access.READ_WRITE, "", 3),)),
))  # fmt: skip


class LiteSlave(Watched):
    """The register file, with inputs of any kind: no rule for whoever asks is needed.

    Every write takes address and data at once, and is answered once, in the next cycle; so is
    every read; an answer stays as it is until it is taken.
    """

    def __init__(self) -> None:
        self._dut = RegisterFile(MAP)
        super().__init__({
            "aw": ADDR_BITS, "w": 36, "ar": ADDR_BITS, "valid": 3, "ready": 2,
            "shown": self._dut.shown.shape(), "came": self._dut.came.shape(), "busy": 1,
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        axi = dut.axi
        given: Any = self
        aw, w, b, ar, r = axi.aw, axi.w, axi.b, axi.ar, axi.r
        m.d.comb += [
            aw.payload.eq(given.aw), w.payload.eq(given.w), ar.payload.eq(given.ar),
            Cat(aw.valid, w.valid, ar.valid).eq(given.valid), Cat(b.ready, r.ready).eq(given.ready),
            dut.shown.eq(given.shown), dut.came.eq(given.came), dut.busy.eq(given.busy),
        ]  # fmt: skip
        wrong: list[Value] = [(aw.valid & aw.ready) ^ (w.valid & w.ready)]
        for asked, answer in ((aw, b), (ar, r)):
            owed = Signal(2)
            m.d.sync += owed.eq(owed + (asked.valid & asked.ready) - (answer.valid & answer.ready))
            wrong += [owed > 1, answer.valid != (owed != 0)]
            wrong.append(unstable(m, answer, Value.cast(answer.payload)))
        m.d.comb += self.bad.eq(any_of(wrong))
        return m


class WishboneSlave(Watched):
    """The register file behind its bridge, with a master that keeps what it asks for.

    An access is acknowledged once, in two cycles, and in no cycle in which nothing is asked for;
    the registers see it once.

    Parameters
    ----------
    holds : the master keeps the rule; without it, the proof must fail.
    """

    def __init__(self, *, holds: bool = True) -> None:
        self._holds = holds
        super().__init__({"asks": 2, "we": 1, "adr": ADDR_BITS, "sel": 4, "dat": 32})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge = bridge = ControlBridge(ADDR_BITS)
        m.submodules.file = file = RegisterFile(MAP)
        connect(m, bridge.axi, file.axi)
        given: Any = self
        bus, axi = bridge.bus, file.axi
        new = Cat(given.asks, given.we, given.adr, given.sel, given.dat)
        kept, waits = Signal(len(new)), Signal()
        m.d.comb += Cat(bus.cyc, bus.stb, bus.we, bus.adr, bus.sel, bus.dat_w).eq(
            Mux(waits, kept, new) if self._holds else new
        )
        m.d.sync += [
            kept.eq(Cat(bus.cyc, bus.stb, bus.we, bus.adr, bus.sel, bus.dat_w)),
            waits.eq(bus.cyc & bus.stb & ~bus.ack),
        ]
        waited, owed = Signal(2), Signal(2)
        seen = (axi.aw.valid & axi.aw.ready) | (axi.ar.valid & axi.ar.ready)
        m.d.sync += [
            waited.eq(Mux(bus.cyc & bus.stb & ~bus.ack, waited + (waited != 3), 0)),
            owed.eq(owed + seen - bus.ack),
        ]
        m.d.comb += self.bad.eq(
            any_of([bus.ack & ~(bus.cyc & bus.stb), waited > 1, owed > 1, bus.ack & (owed == 0)])
        )
        return m


class WishboneMaster(Watched):
    """The bridge to a memory, with a memory that does anything, and a chip as AXI4 demands.

    What is asked for stays until it is answered, and STB is never without CYC. The words of a
    burst come in their order, as many as it has, and CTI says which is the last. For each answered
    word, a beat of a read is given, or one of a write taken; a write is answered after its last.

    Parameters
    ----------
    streams : the chip keeps what it offers; without it, the proof must fail.
    """

    def __init__(self, *, streams: bool = True) -> None:
        self._p = SystemParams(data_bits=64, addr_bits=16)
        self._dut, self._streams = MemoryBridge(self._p), streams
        super().__init__({
            "offers": 3, "ar": 24, "aw": 24, "w": 64 + 8, "b_ready": 1, "answers": 2, "dat": 64,
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        given: Any = self
        bus, read, write = dut.bus, dut.read, dut.write
        for port, payload, offered in (
            (read.ar, given.ar, given.offers[0]),
            (write.aw, given.aw, given.offers[1]),
            (write.w, given.w, given.offers[2]),
        ):
            stalled, before = Signal(), Signal(len(payload))
            m.d.comb += [
                port.valid.eq(offered | (stalled if self._streams else 0)),
                Value.cast(port.payload).eq(Mux(stalled, before, payload)),
            ]
            m.d.sync += [
                stalled.eq(port.valid & ~port.ready),
                before.eq(Value.cast(port.payload)),
            ]
        asked = bus.cyc & bus.stb
        m.d.comb += [
            bus.ack.eq(asked & given.answers[0]),
            bus.err.eq(asked & given.answers[1] & ~given.answers[0]),
            bus.dat_r.eq(given.dat),
            write.b.ready.eq(given.b_ready),
            read.r.ready.eq(1),
        ]
        wrong: list[Value] = [bus.stb & ~bus.cyc]
        request = Cat(bus.we, bus.adr, bus.sel, bus.dat_w, bus.cti)
        waits, before = Signal(), Signal(len(request))
        m.d.sync += [waits.eq(asked & ~bus.ack & ~bus.err), before.eq(request)]
        # Words of a read have no data of their own.
        wrong.append(waits & (~asked | ((request ^ before) & ~_where_data(bus, request)).any()))
        ended = asked & (bus.ack | bus.err)
        # What is left of the burst that was taken last.
        burst: Any = Signal(
            data.StructLayout({"addr": 16, "left": unsigned(9), "writes": 1, "answer": 1})
        )
        takes_write, takes_read = write.aw.valid & write.aw.ready, read.ar.valid & read.ar.ready
        wrong += [takes_write & takes_read, (takes_write | takes_read) & (burst.left != 0)]
        for taken, payload, writes in (
            (takes_write, write.aw.payload, 1),
            (takes_read, read.ar.payload, 0),
        ):
            with m.If(taken):
                m.d.sync += [
                    burst.addr.eq(payload.addr), burst.left.eq(payload.len + 1),
                    burst.writes.eq(writes), burst.answer.eq(writes),
                ]  # fmt: skip
        with m.If(ended):
            m.d.sync += [burst.left.eq(burst.left - 1), burst.addr.eq(burst.addr + 8)]
        with m.If(write.b.valid & write.b.ready):
            m.d.sync += burst.answer.eq(0)
        wrong += [
            asked & ((burst.left == 0) | (bus.we != burst.writes) | (bus.adr != burst.addr)),
            asked & ((bus.cti == 0b111) != (burst.left == 1)),
            read.r.valid != (ended & ~bus.we),
            read.r.valid & (read.r.payload.last != (burst.left == 1)),
            (write.w.valid & write.w.ready) != (ended & bus.we),
            write.b.valid & (~burst.answer | (burst.left != 0)),
            unstable(m, write.b, Value.cast(write.b.payload)),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m


class Streams(Watched):
    """The port of streams, between a chip and a memory as AXI4 demands, and any other ends.

    What is offered stays. Each burst of a read gets as many beats as it has, from the side that its
    address says, and LAST with the last; each word of a write goes to the side that its burst's
    address says; and each burst of a write is answered once, after its words.

    Parameters
    ----------
    keeps : the memory keeps its answers; without it, the proof must fail.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self._p = SystemParams(data_bits=64, addr_bits=16, burst_beats=2, outstanding=2)
        self._dut, self._keeps = StreamPort(self._p), keeps
        super().__init__({
            "offers": 6, "takes": 5, "ar": 24, "aw": 24, "w": 72, "beat": 66, "resp": 2,
            "packet": 73,
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        given: Any = self
        chip_r, chip_w, memory_r, memory_w = dut.read, dut.write, dut.memory_read, dut.memory_write
        # Words that the chip still owes to its burst, which are offered once that was taken.
        burst: Any = Signal(data.StructLayout({"left": unsigned(2), "stream": 1, "answer": 1}))
        reading: Any = Signal(data.StructLayout({"left": unsigned(2), "stream": 1}))
        reads_owed, writes_owed = Signal(2), Signal(2)
        for number, (port, payload, allowed) in enumerate((
            (chip_r.ar, Cat(given.ar[:17], Const(0, 7)), 1),
            (chip_w.aw, Cat(given.aw[:17], Const(0, 7)), 1),
            (chip_w.w, Cat(given.w, burst.left == 1), burst.left != 0),
            (dut.i, Cat(given.packet, 0), 1),
            (memory_w.b, given.resp, writes_owed != 0),
        )):
            width = len(Value.cast(port.payload))
            stalled, before = Signal(), Signal(width)
            held = stalled if self._keeps or port is not memory_w.b else 0
            m.d.comb += [
                port.valid.eq((given.offers[number] & allowed) | held),
                Value.cast(port.payload).eq(Mux(stalled, before, payload)),
            ]
            m.d.sync += [
                stalled.eq(port.valid & ~port.ready),
                before.eq(Value.cast(port.payload)),
            ]
        m.d.comb += [
            memory_r.r.valid.eq(given.offers[5] & (reads_owed != 0)),
            Value.cast(memory_r.r.payload).eq(Cat(given.beat, given.offers[4])),
            chip_r.r.ready.eq(1),
            Cat(
                memory_r.ar.ready, memory_w.aw.ready, memory_w.w.ready, dut.o.ready, chip_w.b.ready
            ).eq(given.takes),
        ]

        def moves(port: Any) -> Value:
            return port.valid & port.ready

        m.d.sync += [
            reads_owed.eq(
                reads_owed + moves(memory_r.ar) - (moves(memory_r.r) & memory_r.r.payload.last)
            ),
            writes_owed.eq(writes_owed + moves(memory_w.aw) - moves(memory_w.b)),
        ]
        with m.If(moves(chip_w.aw)):
            m.d.sync += [
                burst.left.eq(chip_w.aw.payload.len + 1),
                burst.stream.eq(chip_w.aw.payload.addr[-1]),
            ]
        with m.Elif(moves(chip_w.w)):
            m.d.sync += burst.left.eq(burst.left - 1)
        # A stream's burst is answered by the port, with none of the memory's under way.
        with m.If(moves(chip_w.w) & chip_w.w.payload.last & burst.stream):
            m.d.sync += burst.answer.eq(1)
        with m.Elif(moves(chip_w.b)):
            m.d.sync += burst.answer.eq(0)
        with m.If(moves(chip_r.ar) & chip_r.ar.payload.addr[-1]):
            m.d.sync += reading.left.eq(chip_r.ar.payload.len + 1)
        with m.Elif(moves(dut.i)):
            m.d.sync += reading.left.eq(reading.left - 1)
        wrong: list[Value] = [
            unstable(m, port, Value.cast(port.payload))
            for port in (memory_r.ar, memory_w.aw, memory_w.w, dut.o, chip_w.b)
        ]
        wrong += [
            moves(chip_r.ar) & ~chip_r.ar.payload.addr[-1] & ~moves(memory_r.ar),
            moves(memory_r.ar) & ~moves(chip_r.ar),
            moves(chip_r.ar) & (reading.left != 0),
            chip_r.r.valid != (moves(dut.i) | moves(memory_r.r)),
            moves(dut.i) & (moves(memory_r.r) | (reading.left == 0)),
            moves(dut.i) & (chip_r.r.payload.last != (reading.left == 1)),
            moves(chip_w.aw) & (burst.left != 0),
            moves(memory_w.aw) & (~moves(chip_w.aw) | chip_w.aw.payload.addr[-1]),
            moves(chip_w.w) != (moves(dut.o) | moves(memory_w.w)),
            moves(dut.o) & (~burst.stream | moves(memory_w.w)),
            moves(memory_w.w) & burst.stream,
            chip_w.b.valid & ~memory_w.b.valid & ~burst.answer,
            burst.answer & (writes_owed != 0),
            moves(memory_w.b) & ~moves(chip_w.b),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m


def _where_data(bus: Any, request: Value) -> Value:
    """Bits of a request that are a word's data, of a read."""
    low = 1 + len(bus.adr) + len(bus.sel)
    bits = ((1 << len(bus.dat_w)) - 1) << low
    return Mux(bus.we, 0, bits & ((1 << len(request)) - 1))


@pytest.mark.parametrize(
    "design",
    cases(
        [LiteSlave, WishboneSlave, WishboneMaster, Streams],
        [WishboneMaster],
        "a proof of seconds",
    ),
)
def test_what_a_port_keeps(design: type[Watched], tmp_path: Path) -> None:
    make: Any = design
    answer = prove(make(), tmp_path)
    assert "Property proved." in answer or "Networks are equivalent." in answer, answer[-2000:]


@pytest.mark.parametrize(
    "design",
    [WishboneSlave(holds=False), WishboneMaster(streams=False), Streams(keeps=False)],
    ids=["slave", "master", "streams"],
)
def test_the_proofs_can_fail(design: Watched, tmp_path: Path) -> None:
    assert "was asserted in frame" in prove(design, tmp_path)
