"""Registers: what a processor sees of the system, over AXI4-Lite, and the interrupt."""

import enum as py_enum
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.system.axi import AxiLite, Response
from zeroskip.hw.system.jobs import ADDRESS_BITS, failure_layout, list_layout, window_layout
from zeroskip.hw.system.params import SystemParams

__all__ = ["REGISTER_BITS", "SYSTEM_VERSION", "Event", "Register", "Registers", "State"]

SYSTEM_VERSION = 1
"""Version of the registers and of the command list."""

REGISTER_BITS = 6
"""Width of the byte address of a register."""


class Register(py_enum.IntEnum):
    """Byte addresses of the registers, each of 32 bits. Others are read as 0."""

    CONTROL = 0x00
    """Bits of :class:`State`."""
    INTERRUPTS = 0x04
    """Bit 0: the interrupt may be raised."""
    ENABLE = 0x08
    """Bits of :class:`Event` that are noted."""
    EVENTS = 0x0C
    """Bits of :class:`Event` that came and raise the interrupt; 1 is written to change a bit."""
    LIST = 0x10
    """Byte address of the command list, in two registers, lower half first."""
    LIST_BYTES = 0x18
    """Bytes of the command list."""
    WINDOW = 0x1C
    """First byte that may be read and written, in two registers."""
    WINDOW_BYTES = 0x24
    """Bytes that may be read and written, in two registers; 0 after reset: nothing may."""
    ERROR = 0x2C
    """Bits 3 to 0: the :class:`.Error` that the last inference failed with, 0 after the next
    start; bits 31 to 8: the command of its list. The list is the one after those that are done."""
    DONE = 0x30
    """Inferences that were done, modulo 2**32."""
    CYCLES = 0x34
    """Cycles of the last inference that was done, from its start to its end."""
    VERSION = 0x38
    """Bits 15 to 0: ``SYSTEM_VERSION``; 23 to 16: bytes of a beat; 31 to 24: inferences that may
    be queued besides the one under way."""


class State(py_enum.IntFlag):
    """Bits of ``Register.CONTROL``."""

    START = 1
    """Write: queue the list, if ``READY``. Read: an inference is queued or under way."""
    DONE = 2
    """An inference was done since this was last read."""
    IDLE = 4
    """None is."""
    READY = 8
    """A start would be taken."""
    STOP = 16
    """Write: abandon what is under way and queued; the error is STOPPED."""


class Event(py_enum.IntFlag):
    """What raises the interrupt."""

    DONE = 1
    """An inference is done."""
    ERROR = 2
    """An inference was abandoned."""


_WRITABLE = {
    Register.LIST: 64,
    Register.LIST_BYTES: 32,
    Register.WINDOW: 64,
    Register.WINDOW_BYTES: 64,
}


class Registers(wiring.Component):
    """An AXI4-Lite slave. All accesses are answered with OKAY.

    A write is done in the cycle that its address and data are both there, which are taken then,
    and answered in the next. A read is answered in the cycle after its address was taken.

    Members
    -------
    axi : ``In(AxiLite)``.
    interrupt : Out.
    start, listed : Out, queue a list.
    ready : In, it would be.
    left : In, an inference is queued or under way.
    halt : Out, abandon them.
    done, failed : In, an inference is done; all were abandoned.
    failure : In, why.
    count, cycles : In, inferences that were done, and cycles of the last.
    window : Out, what may be read and written; a cycle behind the registers.
    """

    axi: Any
    interrupt: Signal
    start: Signal
    listed: Any
    ready: Signal
    left: Signal
    halt: Signal
    done: Signal
    failed: Signal
    failure: Any
    count: Signal
    cycles: Signal
    window: Any

    def __init__(self, params: SystemParams) -> None:
        self._p = params
        super().__init__({
            "axi": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "start": Out(1),
            "listed": Out(list_layout()),
            "ready": In(1),
            "left": In(1),
            "halt": Out(1),
            "done": In(1),
            "failed": In(1),
            "failure": In(failure_layout()),
            "count": In(COUNTER_BITS),
            "cycles": In(COUNTER_BITS),
            "window": Out(window_layout()),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        aw, w, b = self.axi.aw, self.axi.w, self.axi.b
        ar, r = self.axi.ar, self.axi.r
        writes, reads = Signal(), Signal()
        m.d.comb += [
            writes.eq(aw.valid & w.valid & (~b.valid | b.ready)),
            aw.ready.eq(writes),
            w.ready.eq(writes),
            reads.eq(ar.valid & (~r.valid | r.ready)),
            ar.ready.eq(reads),
            b.payload.eq(Response.OKAY),
            r.payload.resp.eq(Response.OKAY),
        ]
        for port, answered in ((b, writes), (r, reads)):
            with m.If(answered):
                m.d.sync += port.valid.eq(1)
            with m.Elif(port.ready):
                m.d.sync += port.valid.eq(0)

        held = {register: Signal(bits, name=register.name.lower())
                for register, bits in _WRITABLE.items()}  # fmt: skip
        words = {
            register + 4 * half: signal.word_select(half, 32)
            for register, signal in held.items()
            for half in range(len(signal) // 32)
        }
        mask = Cat(bit.replicate(8) for bit in w.payload.strb)
        for address, word in words.items():
            with m.If(writes & (aw.payload[2:] == address >> 2)):
                m.d.sync += word.eq(word & ~mask | w.payload.data & mask)
        m.d.comb += [
            self.listed.addr.eq(_checked(held[Register.LIST])),
            self.listed.bytes.eq(held[Register.LIST_BYTES]),
        ]
        base, size = (_checked(held[one]) for one in (Register.WINDOW, Register.WINDOW_BYTES))
        m.d.sync += [self.window.base.eq(base), self.window.end.eq(base + size)]

        def written(register: Register) -> Value:
            """Bits of the lowest byte that are written as 1."""
            here = writes & (aw.payload[2:] == register >> 2) & w.payload.strb[0]
            return Mux(here, w.payload.data[:8], 0)

        raised = self._raise(m, written)
        control, was_done = written(Register.CONTROL), Signal()
        error = Signal(failure_layout())
        m.d.comb += [
            self.start.eq((control & State.START).any() & self.ready),
            self.halt.eq((control & State.STOP).any() & self.left),
        ]
        with m.If(reads & (ar.payload[2:] == Register.CONTROL >> 2)):
            m.d.sync += was_done.eq(0)
        with m.If(self.done):
            m.d.sync += was_done.eq(1)
        with m.If(self.failed):
            m.d.sync += error.eq(self.failure)
        with m.Elif(self.start):
            m.d.sync += error.eq(0)
        number: Any = error
        version = SYSTEM_VERSION | self._p.beat_bytes << 16 | self._p.starts << 24
        words |= raised | {
            Register.CONTROL: Cat(self.left, was_done, ~self.left, self.ready),
            Register.ERROR: Cat(number.error, Const(0, 4), number.number),
            Register.DONE: self.count,
            Register.CYCLES: self.cycles,
            Register.VERSION: Const(version, 32),
        }
        with m.If(reads):
            m.d.sync += r.payload.data.eq(0)
            with m.Switch(ar.payload[2:]):
                for address, word in words.items():
                    with m.Case(address >> 2):
                        m.d.sync += r.payload.data.eq(word)
        return m

    def _raise(self, m: Module, written: Any) -> dict[int, Value]:
        """Note events and raise the interrupt; return the registers for it."""
        allowed, enabled, events = Signal(), Signal(len(Event)), Signal(len(Event))
        here = self.axi.aw.valid & self.axi.aw.ready & self.axi.w.payload.strb[0]
        with m.If(here & (self.axi.aw.payload[2:] == Register.INTERRUPTS >> 2)):
            m.d.sync += allowed.eq(self.axi.w.payload.data)
        with m.If(here & (self.axi.aw.payload[2:] == Register.ENABLE >> 2)):
            m.d.sync += enabled.eq(self.axi.w.payload.data)
        came = Cat(self.done, self.failed) & enabled
        m.d.sync += events.eq((events ^ written(Register.EVENTS)) | came)
        m.d.comb += self.interrupt.eq(allowed & events.any())
        return {
            Register.INTERRUPTS: allowed,
            Register.ENABLE: enabled,
            Register.EVENTS: events,
        }


def _checked(address: Signal) -> Value:
    """Bits of an address that are looked at, and one for all that are higher."""
    return Cat(address[: ADDRESS_BITS - 1], address[ADDRESS_BITS - 1 :].any())
