"""Descriptor read: the program memory, and the next descriptor read ahead."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.eie.formats import DESCRIPTOR_HALF_BITS, descriptor_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["DescriptorRead"]


class _Stage(enum.Enum, shape=2):
    IDLE = 0
    LOW = 1  # the low half comes out of the memory
    HIGH = 2


class DescriptorRead(wiring.Component):
    """Read descriptors in their order, three cycles each.

    Members
    -------
    first : In, read descriptor 0.
    next : In, read the one after the last that was read.
    flush : In, forget what was read.
    valid, descriptor : Out, the descriptor, from when it was read until the next is asked for.
    load_en, load_row, load_data : In, write a half; the low half has the even row.
    """

    first: Signal
    next: Signal
    flush: Signal
    valid: Signal
    descriptor: data.View
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "first": In(1),
            "next": In(1),
            "flush": In(1),
            "valid": Out(1),
            "descriptor": Out(descriptor_layout(params)),
            "load_en": In(1),
            "load_row": In(params.descriptor_addr_bits + 1),
            "load_data": In(DESCRIPTOR_HALF_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.descriptors = program = sram(
            DESCRIPTOR_HALF_BITS, 2 * p.num_descriptors, "descriptors", Ports.SHARED
        )
        read, write = program.read_port(), program.write_port()
        stage = Signal(_Stage)
        row = Signal(p.descriptor_addr_bits + 1)
        low = Signal(DESCRIPTOR_HALF_BITS, reset_less=True)
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
            read.en.eq(self.next | (stage == _Stage.LOW)),
            read.addr.eq(row),
        ]
        with m.If(read.en):
            m.d.sync += row.eq(row + 1)
        with m.Switch(stage):
            with m.Case(_Stage.LOW):
                m.d.sync += [low.eq(read.data), stage.eq(_Stage.HIGH)]
            with m.Case(_Stage.HIGH):
                m.d.sync += [
                    self.descriptor.eq(Cat(low, read.data)),
                    self.valid.eq(1),
                    stage.eq(_Stage.IDLE),
                ]
        with m.If(self.next):
            m.d.sync += [stage.eq(_Stage.LOW), self.valid.eq(0)]
        with m.If(self.first):
            m.d.comb += [read.en.eq(1), read.addr.eq(0)]
            m.d.sync += [row.eq(1), stage.eq(_Stage.LOW), self.valid.eq(0)]
        with m.If(self.flush):
            m.d.sync += [stage.eq(_Stage.IDLE), self.valid.eq(0)]
        return m
