"""Descriptor read: the program memory, and the next descriptor read ahead."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import DESCRIPTOR_WORD_BITS
from zeroskip.hw.common.params import address_bits
from zeroskip.hw.common.sram import Ports, sram

__all__ = ["DescriptorRead", "program_row_bits"]


def program_row_bits(words: int, num_descriptors: int) -> int:
    """Return the width of a row's number in a program memory."""
    return address_bits(words * num_descriptors)


class DescriptorRead(wiring.Component):
    """Read descriptors in their order; one is there ``words + 1`` cycles after it is asked for.

    Parameters
    ----------
    layout : of a descriptor.
    words : of the program memory, a descriptor; lowest first.
    num_descriptors : that the program memory has room for.

    Members
    -------
    first : In, read descriptor 0.
    next : In, read the one after the last that was read; only while ``valid``.
    flush : In, forget what was read, and what is asked for in this cycle.
    valid, descriptor : Out, the descriptor, from when it was read until the next is asked for.
    load_en, load_row, load_data : In, write a word of the program; nothing is read in its cycle,
        so what is being read is to be forgotten by ``flush``.
    """

    first: Signal
    next: Signal
    flush: Signal
    valid: Signal
    descriptor: data.View
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, layout: data.StructLayout, words: int, num_descriptors: int) -> None:
        self._width = Shape.cast(layout).width
        self._words = words
        self._rows = words * num_descriptors
        super().__init__({
            "first": In(1),
            "next": In(1),
            "flush": In(1),
            "valid": Out(1),
            "descriptor": Out(layout),
            "load_en": In(1),
            "load_row": In(program_row_bits(words, num_descriptors)),
            "load_data": In(DESCRIPTOR_WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.descriptors = program = sram(
            DESCRIPTOR_WORD_BITS, self._rows, "descriptors", Ports.SHARED
        )
        read, write = program.read_port(), program.write_port()
        row = Signal.like(self.load_row)
        asked = Signal()
        # Words that are still to be read; a word comes out of the memory in this cycle.
        left = Signal(range(max(2, self._words)))
        fetched = Signal()
        words = Signal(self._words * DESCRIPTOR_WORD_BITS, reset_less=True)
        m.d.comb += [
            asked.eq(self.first | self.next),
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
            read.en.eq((asked | (left != 0)) & ~self.load_en),
            read.addr.eq(Mux(self.first, 0, row)),
            self.descriptor.eq(words[: self._width]),
        ]
        m.d.sync += fetched.eq(read.en)
        with m.If(read.en):
            m.d.sync += [row.eq(read.addr + 1), left.eq(Mux(asked, self._words, left) - 1)]
        with m.If(fetched):
            m.d.sync += [
                words.eq(Cat(words[DESCRIPTOR_WORD_BITS:], read.data)),
                self.valid.eq(left == 0),
            ]
        with m.If(asked):
            m.d.sync += self.valid.eq(0)
        with m.If(self.flush):
            m.d.sync += [left.eq(0), fetched.eq(0), self.valid.eq(0)]
        return m
