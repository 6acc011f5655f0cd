"""Register file: an AXI4-Lite slave made from a description of its registers."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.bus.register_map import Access, Field, Register, RegisterMap
from zeroskip.hw.system.axi import AxiLite, Response

__all__ = ["RegisterFile", "field_name"]

_KEPT = (Access.READ_WRITE, Access.CLEAR_ON_READ, Access.TOGGLE)


def field_name(register: Register, field: Field) -> str:
    """Name a field's signal: as its register, and as itself where that has several."""
    own = field.name.lower()
    return own if field.name == register.name else f"{register.name.lower()}_{own}"


class RegisterFile(wiring.Component):
    """Registers, as their description has them. All accesses are answered with OKAY.

    A write is done in the cycle that its address and data are both there, which are taken then,
    and answered in the next. A read is answered in the cycle after its address was taken. Both may
    happen in one cycle; the read finds what was there before the write.

    Parameters
    ----------
    description : of the registers.

    Members
    -------
    axi : ``In(AxiLite)``.
    held : Out, fields that keep what is written, by :func:`field_name`.
    shown : In, what fields are read as that the hardware drives.
    came : In, bits that the hardware sets in fields that are cleared by reads or toggled.
    asked : Out, bits that are being written as 1 to fields that act.
    busy : In, guarded fields are not written.
    refused : Out, a write to one is thrown away.
    """

    axi: Any
    held: Any
    shown: Any
    came: Any
    asked: Any
    busy: Signal
    refused: Signal

    def __init__(self, description: RegisterMap) -> None:
        self.description = description
        super().__init__({
            "axi": In(AxiLite(description.address_bits)),
            "held": Out(self._layout(*_KEPT)),
            "shown": In(self._layout(Access.READ, Access.SET)),
            "came": In(self._layout(Access.CLEAR_ON_READ, Access.TOGGLE)),
            "asked": Out(self._layout(Access.SET, Access.PULSE)),
            "busy": In(1),
            "refused": Out(1),
        })

    def _layout(self, *access: Access) -> data.StructLayout:
        return data.StructLayout({
            field_name(register, field): unsigned(field.width)
            for register, field in self.description.fields(*access)
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
        mask = Signal(32)
        m.d.comb += mask.eq(Cat(bit.replicate(8) for bit in w.payload.strb))
        refused: list[Value] = []
        words: dict[int, Value] = {}
        for register in self.description.registers:
            word = register.address >> 2
            written, read = Signal(), Signal()
            m.d.comb += [
                written.eq(writes & (aw.payload[2:] == word)),
                read.eq(reads & (ar.payload[2:] == word)),
            ]
            bits: list[Value] = []
            for field in register.fields:
                bits.append(Const(0, field.low - len(Cat(bits))))
                place = slice(field.low, field.low + field.width)
                taken = Mux(written, mask[place], 0)
                if field.guarded:
                    refused.append(self.busy & taken.any())
                    taken = Mux(self.busy, 0, taken)
                bits.append(self._field(m, field_name(register, field), field, taken, read))
            words[word] = Cat(bits)
        m.d.comb += self.refused.eq(Cat(refused).any())
        with m.If(reads):
            m.d.sync += r.payload.data.eq(0)
            with m.Switch(ar.payload[2:]):
                for number, value in words.items():
                    with m.Case(number):
                        m.d.sync += r.payload.data.eq(value)
        return m

    def _field(self, m: Module, name: str, field: Field, mask: Value, read: Signal) -> Value:
        """Add a field; return what it is read as.

        Parameters
        ----------
        m, name, field : of it.
        mask : bits of it that are being written.
        read : its register is being read.
        """
        word = self.axi.w.payload.data[field.low : field.low + field.width]
        match field.access:
            case Access.CONSTANT:
                return Const(field.reset, field.width)
            case Access.READ:
                return self.shown[name]
            case Access.SET:
                m.d.comb += self.asked[name].eq(word & mask)
                return self.shown[name]
            case Access.PULSE:
                m.d.comb += self.asked[name].eq(word & mask)
                return Const(0, field.width)
            case _:
                pass
        held = Signal(field.width, name=name, init=field.reset)
        m.d.comb += self.held[name].eq(held)
        match field.access:
            case Access.READ_WRITE:
                m.d.sync += held.eq(held & ~mask | word & mask)
            case Access.TOGGLE:
                m.d.sync += held.eq((held ^ word & mask) | self.came[name])
            case _:
                m.d.sync += held.eq(Mux(read, 0, held) | self.came[name])
        return held
