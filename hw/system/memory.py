"""A memory behind the AXI4 ports, for simulation: how long it takes is a matter of its settings.

Whether it stalls in a cycle depends on that cycle's number and a seed, and on nothing that the
ports do, so :mod:`zeroskip.sim.system.timing` finds the same cycles without simulating it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.common.sram import sram
from zeroskip.hw.system.axi import AxiRead, AxiWrite, Response, address_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["BURSTS", "FULL_RATE", "Channel", "MemoryModel", "MemorySettings", "SettingsPort"]

BURSTS = 16
"""Bursts that the memory keeps in line, of reads and of writes."""

FULL_RATE = 256
"""Rate of a beat a cycle."""

_TIME_BITS = 32
_PAGE = 4096


class Channel(enum.IntEnum):
    """Channels by the byte of the random number that says whether they stall."""

    AR = 0
    R = 1
    AW = 2
    W = 3
    B = 4


@dataclass(frozen=True, kw_only=True)
class MemorySettings:
    """How a memory behaves.

    Parameters
    ----------
    read_latency : cycles from an address to its first beat at least; below 2 it is 2.
    write_latency : cycles from the last beat of a burst to its answer at least; below 2 it is 2.
    stall : of 256 cycles, those in which a channel neither takes nor gives anything, on average;
        drawn for each channel.
    rate : of 256 cycles, those in which a beat may be read, and one written, evenly spaced.
    seed : of what is drawn.
    error_first, error_bytes : addresses that are answered with SLVERR; 0 bytes are none.
    """

    read_latency: int = 2
    write_latency: int = 2
    stall: int = 0
    rate: int = FULL_RATE
    seed: int = 0
    error_first: int = 0
    error_bytes: int = 0

    def ports(self) -> Mapping[str, int]:
        """Return the values of a :class:`SettingsPort`."""
        return {name: getattr(self, name) for name in _SETTINGS} | {"seed": self.first_number}

    @property
    def first_number(self) -> int:
        """The random number of cycle 0, which is not 0: seeds that are close differ in it."""
        mask = (1 << 64) - 1
        word = (self.seed + 1) * 0x9E3779B97F4A7C15 & mask
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & mask
        return (word ^ word >> 27) | 1


_SETTINGS = {
    "read_latency": 16,
    "write_latency": 16,
    "stall": 8,
    "rate": 9,
    "seed": 64,
    "error_first": 40,
    "error_bytes": 40,
}


class SettingsPort(wiring.Signature):
    """Settings of the memory, as :meth:`MemorySettings.ports` gives them."""

    def __init__(self) -> None:
        super().__init__({name: Out(bits) for name, bits in _SETTINGS.items()})


class MemoryModel(wiring.Component):
    """Memory of ``size`` bytes, from address 0 up, that answers in the order of asking.

    What lies behind its end is answered with DECERR. In Verilog, its rows are loaded like those of
    all SRAMs: from ``<instance path>.byte_<n>.hex`` in the folder of ``+sram_dir``, byte ``n`` of a
    beat a line.

    Parameters
    ----------
    params : of the ports.
    size : bytes.

    Members
    -------
    read, write : ``In(AxiRead)``, ``In(AxiWrite)``.
    settings : ``In(SettingsPort)``.
    restart : In, the next cycle is cycle 0 of what is drawn and of the rate.
    host_en, host_write, host_row, host_data, host_answer : In, In, In, In, Out, read or write a row
        of a beat, past the ports and only while they are at rest; the answer comes in the next
        cycle and stays until something else is read.
    broken : Out, a rule of AXI was broken, once: a burst that is misaligned, longer than
        ``burst_beats`` or in two pages; ``last`` at the wrong beat.
    """

    read: Any
    write: Any
    settings: Any
    restart: Signal
    host_en: Signal
    host_write: Signal
    host_row: Signal
    host_data: Signal
    host_answer: Signal
    broken: Signal

    def __init__(self, params: SystemParams, size: int) -> None:
        self._p = params
        self._rows = size // params.beat_bytes
        if self._rows * params.beat_bytes != size or self._rows < 2:
            raise ValueError(f"size must be whole beats, two at least, not {size} bytes")
        row_bits = address_bits(self._rows)
        super().__init__({
            "read": In(AxiRead(params)),
            "write": In(AxiWrite(params)),
            "settings": In(SettingsPort()),
            "restart": In(1),
            "host_en": In(1),
            "host_write": In(1),
            "host_row": In(row_bits),
            "host_data": In(params.data_bits),
            "host_answer": Out(params.data_bits),
            "broken": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        load, store = _bytes(m, p, self._rows)
        now = Signal(_TIME_BITS)
        m.d.sync += now.eq(now + 1)
        stalled, turn = self._draw(m)
        self._serve_reads(m, load, now, stalled, turn)
        self._serve_writes(m, store, now, stalled, turn)
        m.d.comb += self.host_answer.eq(load.data)
        with m.If(self.host_en):
            m.d.comb += [
                load.en.eq(~self.host_write),
                load.addr.eq(self.host_row),
                store.en.eq(self.host_write.replicate(p.beat_bytes)),
                store.addr.eq(self.host_row),
                store.data.eq(self.host_data),
            ]
        return m

    def _draw(self, m: Module) -> tuple[Signal, Value]:
        """Draw which channels are stalled; return that, and whether it is a beat's turn."""
        # Marsaglia's xorshift of 64 bits: a number a cycle, a byte of it for each channel.
        number = Signal(64, init=1)
        first = Signal(64)
        second = Signal(64)
        stalled = Signal(len(Channel))
        for channel in Channel:
            drawn = number.word_select(int(channel), 8)
            m.d.comb += stalled[channel].eq(drawn < self.settings.stall)
        share = Signal(range(FULL_RATE))
        total = Signal(range(2 * FULL_RATE))
        m.d.comb += [
            first.eq(number ^ (number << 13)),
            second.eq(first ^ (first >> 7)),
            total.eq(share + self.settings.rate),
        ]
        m.d.sync += [
            number.eq(Mux(self.restart, self.settings.seed, second ^ (second << 17))),
            share.eq(Mux(self.restart, 0, total)),
        ]
        return stalled, total >= FULL_RATE

    def _serve_reads(self, m: Module, load: Any, now: Signal, stalled: Signal, turn: Value) -> None:
        p, ar, r = self._p, self.read.ar, self.read.r
        m.submodules.reads = reads = Queue(_waiting(address_layout(p)), BURSTS)
        head = reads.o.payload
        number = Signal(8)
        give = Signal()
        last = Signal()
        beat = Signal(p.addr_bits)
        m.d.comb += [
            ar.ready.eq(reads.i.ready & ~stalled[Channel.AR]),
            reads.i.valid.eq(ar.valid & ar.ready),
            reads.i.payload.what.eq(ar.payload),
            reads.i.payload.due.eq(now + self.settings.read_latency - 1),
            give.eq(
                reads.o.valid
                & _reached(now, head.due)
                & turn
                & ~stalled[Channel.R]
                & (~r.valid | r.ready)
            ),
            last.eq(number == head.what.len),
            reads.o.ready.eq(give & last),
            beat.eq((head.what.addr >> p.beat_shift) + number),
            load.en.eq(give),
            load.addr.eq(beat),
            r.payload.data.eq(load.data),
        ]
        self._watch(m, ar)
        with m.If(give):
            m.d.sync += [
                number.eq(Mux(last, 0, number + 1)),
                r.valid.eq(1),
                r.payload.last.eq(last),
                r.payload.resp.eq(self._response(m, beat)),
            ]
        with m.Elif(r.ready):
            m.d.sync += r.valid.eq(0)

    def _serve_writes(
        self, m: Module, store: Any, now: Signal, stalled: Signal, turn: Value
    ) -> None:
        p, aw, w, b = self._p, self.write.aw, self.write.w, self.write.b
        m.submodules.writes = writes = Queue(address_layout(p), BURSTS)
        m.submodules.answers = answers = Queue(_waiting(Response), BURSTS)
        head = writes.o.payload
        number = Signal(8)
        take = Signal()
        last = Signal()
        beat = Signal(p.addr_bits)
        # Answers are two bits, and the worst of a burst has all that were set.
        response = Signal(2)
        worst = Signal(2)
        unanswered = Signal(range(BURSTS + 1))
        give = Signal()
        m.d.comb += [
            aw.ready.eq((unanswered != BURSTS) & ~stalled[Channel.AW]),
            writes.i.valid.eq(aw.valid & aw.ready),
            writes.i.payload.eq(aw.payload),
            w.ready.eq(writes.o.valid & turn & ~stalled[Channel.W]),
            take.eq(w.valid & w.ready),
            last.eq(number == head.len),
            writes.o.ready.eq(take & last),
            beat.eq((head.addr >> p.beat_shift) + number),
            response.eq(self._response(m, beat)),
            store.en.eq(Mux(take & (response == Response.OKAY.value), w.payload.strb, 0)),
            store.addr.eq(beat),
            store.data.eq(w.payload.data),
            answers.i.valid.eq(take & last),
            answers.i.payload.what.eq(response | worst),
            answers.i.payload.due.eq(now + self.settings.write_latency - 1),
            give.eq(
                answers.o.valid
                & _reached(now, answers.o.payload.due)
                & ~stalled[Channel.B]
                & (~b.valid | b.ready)
            ),
            answers.o.ready.eq(give),
        ]
        self._watch(m, aw)
        with m.If(take):
            m.d.sync += [
                number.eq(Mux(last, 0, number + 1)),
                worst.eq(Mux(last, 0, response | worst)),
            ]
            with m.If(w.payload.last != last):
                m.d.sync += self.broken.eq(1)
        with m.If(give):
            m.d.sync += [b.valid.eq(1), b.payload.eq(answers.o.payload.what)]
        with m.Elif(b.ready):
            m.d.sync += b.valid.eq(0)
        m.d.sync += unanswered.eq(unanswered + (aw.valid & aw.ready) - (b.valid & b.ready))

    def _response(self, m: Module, beat: Signal) -> Value:
        """Return how the memory answers for a beat, by its address in beats."""
        first, size = self.settings.error_first, self.settings.error_bytes
        addr = Signal(self._p.addr_bits + 1, name="beat_addr")
        m.d.comb += addr.eq(beat << self._p.beat_shift)
        bad = (addr >= first) & (addr - first < size)
        inside = Mux(bad, Response.SLVERR.value, Response.OKAY.value)
        return Mux(beat < self._rows, inside, Response.DECERR.value)

    def _watch(self, m: Module, port: Any) -> None:
        """Find bursts that are not allowed."""
        p, burst = self._p, port.payload
        beats_of_page = _PAGE // p.beat_bytes
        end = burst.addr[p.beat_shift : address_bits(_PAGE)] + burst.len
        wrong = burst.addr[: p.beat_shift].any() | (burst.len >= p.burst_beats)
        with m.If(port.valid & port.ready & (wrong | (end >= beats_of_page))):
            m.d.sync += self.broken.eq(1)


@dataclass(frozen=True)
class _Port:
    """A port to all bytes of a row; ``en`` of a port to write has a bit for each."""

    en: Signal
    addr: Signal
    data: Signal


def _bytes(m: Module, p: SystemParams, rows: int) -> tuple[_Port, _Port]:
    """Make a memory of rows of a beat; return a port to read, and one to write."""
    load, store = (
        _Port(
            Signal(enables, name=f"{name}_en"),
            Signal(address_bits(rows), name=f"{name}_addr"),
            Signal(p.data_bits, name=f"{name}_data"),
        )
        for name, enables in (("load", 1), ("store", p.beat_bytes))
    )
    for number in range(p.beat_bytes):
        name = f"byte_{number}"
        m.submodules[name] = memory = sram(8, rows, name)
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [
            read.en.eq(load.en),
            read.addr.eq(load.addr),
            load.data.word_select(number, 8).eq(read.data),
            write.en.eq(store.en[number]),
            write.addr.eq(store.addr),
            write.data.eq(store.data.word_select(number, 8)),
        ]
    return load, store


def _waiting(shape: Any) -> data.StructLayout:
    """Lay out what waits until its time has come."""
    return data.StructLayout({"what": shape, "due": unsigned(_TIME_BITS)})


def _reached(now: Signal, due: Value) -> Value:
    """Return whether ``due`` has come: times are compared within half of what they count to."""
    return ~(now - due)[_TIME_BITS - 1]
