"""Descriptor read: the program memory, and the next descriptor read ahead."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.scnn.formats import DESCRIPTOR_WORD_BITS, DESCRIPTOR_WORDS, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["DescriptorRead"]


class DescriptorRead(wiring.Component):
    """Read descriptors in their order; one is there ``DESCRIPTOR_WORDS + 2`` cycles after a call.

    Members
    -------
    first : In, read descriptor 0.
    next : In, read the one after the last that was read; only while ``valid``.
    flush : In, forget what was read.
    valid, descriptor : Out, the descriptor, from when it was read until the next is asked for.
    load_en, load_row, load_data : In, write a word of the program.
    """

    first: Signal
    next: Signal
    flush: Signal
    valid: Signal
    descriptor: data.View
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "first": In(1),
            "next": In(1),
            "flush": In(1),
            "valid": Out(1),
            "descriptor": Out(descriptor_layout(params)),
            "load_en": In(1),
            "load_row": In(_row_bits(params)),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        rows = DESCRIPTOR_WORDS * p.num_descriptors
        m.submodules.descriptors = program = sram(
            DESCRIPTOR_WORD_BITS, rows, "descriptors", Ports.SHARED
        )
        read, write = program.read_port(), program.write_port()
        row = Signal(_row_bits(p))
        # Words that are still to be read; a word comes out of the memory in this cycle.
        left = Signal(range(DESCRIPTOR_WORDS + 1))
        fetched = Signal()
        words = Signal(DESCRIPTOR_WORDS * DESCRIPTOR_WORD_BITS, reset_less=True)
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
            read.en.eq(left != 0),
            read.addr.eq(row),
            self.descriptor.eq(words),
        ]
        m.d.sync += fetched.eq(read.en)
        with m.If(read.en):
            m.d.sync += [row.eq(row + 1), left.eq(left - 1)]
        with m.If(fetched):
            m.d.sync += [
                words.eq(Cat(words[DESCRIPTOR_WORD_BITS:], read.data)),
                self.valid.eq(left == 0),
            ]
        with m.If(self.next | self.first):
            m.d.sync += [left.eq(DESCRIPTOR_WORDS), self.valid.eq(0)]
        with m.If(self.first):
            m.d.sync += [row.eq(0), fetched.eq(0)]
        with m.If(self.flush):
            m.d.sync += [left.eq(0), fetched.eq(0), self.valid.eq(0)]
        return m


def _row_bits(p: ScnnParams) -> int:
    return (DESCRIPTOR_WORDS * p.num_descriptors - 1).bit_length()
