"""Codebook load: one layer's shared weights, from the central memory into every PE."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.common.sram import sram
from hw.eie.params import EieParams

__all__ = ["CodebookLoad"]


class CodebookLoad(wiring.Component):
    """Broadcast a codebook to the PEs, one weight per cycle.

    Members
    -------
    codebook : In, the codebook that is wanted.
    load : In, load it, unless it is there or on its way; the PEs must be idle.
    ready : Out, the PEs hold the wanted codebook.
    forget : In, the PEs' codebooks are not known; stops a load.
    o_en, o_code, o_weight : Out, to the PEs.
    load_en, load_row, load_data : In, write a weight; the row is the code, above it the codebook.
    """

    codebook: Signal
    load: Signal
    ready: Signal
    forget: Signal
    o_en: Signal
    o_code: Signal
    o_weight: Signal
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        weight = signed(params.weight_bits)
        super().__init__({
            "codebook": In(params.descriptor_addr_bits),
            "load": In(1),
            "ready": Out(1),
            "forget": In(1),
            "o_en": Out(1),
            "o_code": Out(params.code_bits),
            "o_weight": Out(weight),
            "load_en": In(1),
            "load_row": In(params.descriptor_addr_bits + params.code_bits),
            "load_data": In(weight),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.codebooks = rows = sram(
            signed(p.weight_bits), p.num_descriptors << p.code_bits
        )
        read, write = rows.read_port(), rows.write_port()
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
        ]
        # held: the codebook that the PEs have, or will have when loading is over.
        known, loading, code = Signal(), Signal(), Signal(p.code_bits)
        held = Signal(p.descriptor_addr_bits, reset_less=True)
        wanted = Signal()
        m.d.comb += [
            wanted.eq(known & (held == self.codebook)),
            self.ready.eq(wanted & ~loading & ~self.o_en),
            read.en.eq(loading),
            read.addr.eq(Cat(code, held)),
            self.o_weight.eq(read.data),
        ]
        m.d.sync += [self.o_en.eq(loading), self.o_code.eq(code)]
        with m.If(loading):
            m.d.sync += [code.eq(code + 1), loading.eq(~code.all())]
        with m.Elif(self.load & ~wanted):
            m.d.sync += [loading.eq(1), known.eq(1), held.eq(self.codebook), code.eq(0)]
        with m.If(self.forget):
            m.d.sync += [loading.eq(0), known.eq(0), self.o_en.eq(0)]
        return m
