"""Pointer read unit: from a column's number to the bounds of its entries."""

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.held_row import read_once
from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.eie.formats import broadcast_layout, pointer_layout, work_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["PtrRead"]


class PtrRead(wiring.Component):
    """Read p[j] and p[j+1] from an even and an odd bank in one cycle (EIE, section IV).

    A column without entries is dropped; one has ``num_accs`` entries at most. One column per
    cycle, latency one cycle. A pointer that was read last in its bank is not read again.

    Members
    -------
    i : ``In(stream(broadcast_layout))``, activations with their columns.
    ahead : In, the payload of ``i`` is what comes next, valid or not: if ``i`` is ready, its
        pointers are read. What is valid is ahead, too.
    o : ``Out(stream(work_layout))``, activations with the bounds of their columns.
    full : Out, a column is in the unit; it may still turn out to be empty.
    load_en, load_addr, load_data : In, write a pointer.
    """

    i: stream.Interface
    ahead: Signal
    o: stream.Interface
    full: Signal
    load_en: Signal
    load_addr: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "i": In(stream.Signature(broadcast_layout(params))),
            "ahead": In(1),
            "o": Out(stream.Signature(work_layout(params))),
            "full": Out(1),
            "load_en": In(1),
            "load_addr": In(params.pointer_addr_bits),
            "load_data": In(Shape.cast(pointer_layout(params)).width),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        width = Shape.cast(pointer_layout(p)).width
        m.submodules.ptr_even = even = sram(width, p.num_pointers // 2, "ptr_even", Ports.SHARED)
        m.submodules.ptr_odd = odd = sram(width, p.num_pointers // 2, "ptr_odd", Ports.SHARED)
        even_read, even_write = even.read_port(), even.write_port()
        odd_read, odd_write = odd.read_port(), odd.write_port()
        m.d.comb += [
            even_write.en.eq(self.load_en & ~self.load_addr[0]),
            odd_write.en.eq(self.load_en & self.load_addr[0]),
        ]
        for write in (even_write, odd_write):
            m.d.comb += [write.addr.eq(self.load_addr[1:]), write.data.eq(self.load_data)]

        # A column has an entry per accumulator at most: low bits tell if it has any, which is the
        # longest path behind these memories.
        most_words = (p.num_accs + p.entries_per_word - 1) // p.entries_per_word
        low = min(width, p.slot_bits + most_words.bit_length())

        # p_: the cycle in which the pointers come out of the banks.
        p_value = Signal(data.StructLayout({"value": p.value_bits, "odd": 1}), reset_less=True)
        advance = Signal()
        empty = Signal()
        column = self.i.payload.column
        m.d.comb += [
            empty.eq(even_read.data[:low] == odd_read.data[:low]),
            advance.eq(~self.full | empty | self.o.ready),
            self.i.ready.eq(advance),
            self.o.valid.eq(self.full & ~empty),
            self.o.payload.value.eq(p_value.value.as_signed()),
            self.o.payload.start.eq(Mux(p_value.odd, odd_read.data, even_read.data)),
            self.o.payload.end.eq(Mux(p_value.odd, even_read.data, odd_read.data)),
        ]
        # Of columns j and j+1, the even one is in the even bank. If both are asked for, the end of
        # the first is the start of the second, and there already.
        wanted = advance & self.ahead
        read_once(m, even_read, wanted, (column + 1) >> 1, self.load_en, "even")
        read_once(m, odd_read, wanted, column >> 1, self.load_en, "odd")
        with m.If(advance):
            m.d.sync += [
                self.full.eq(self.i.valid),
                p_value.value.eq(self.i.payload.value),
                p_value.odd.eq(column[0]),
            ]
        return m
