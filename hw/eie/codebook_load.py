"""Codebook load: one layer's shared weights, from the central memory to every PE."""

from amaranth.hdl import C, Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.eie.params import EieParams

__all__ = ["CodebookLoad"]


class CodebookLoad(wiring.Component):
    """Load a codebook into registers that all PEs look weights up in, one weight per cycle.

    Only weights that the layer has are loaded: codes after them are in no entry.

    Every PE of the paper holds the codebook. The copies never differ, and would take more room
    in a PE than its multiplier.

    Members
    -------
    codebook, last_code : In, the codebook that is wanted, and its last weight's code.
    load : In, load it, unless it is there or on its way; the PEs must be idle.
    ready : Out, the PEs see the wanted codebook.
    loading : Out, weights are still changing. A register: every PE waits for it.
    forget : In, what is held is not known; stops a load.
    weights : Out, to the PEs, code 0's in the lowest bits. It is 0: code 0 is no weight.
    load_en, load_row, load_data : In, write a weight; the row is the code, above it the codebook.
    """

    codebook: Signal
    last_code: Signal
    load: Signal
    ready: Signal
    loading: Signal
    forget: Signal
    weights: Signal
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        weight = signed(params.weight_bits)
        super().__init__({
            "codebook": In(params.descriptor_addr_bits),
            "last_code": In(params.code_bits),
            "load": In(1),
            "ready": Out(1),
            "loading": Out(1),
            "forget": In(1),
            "weights": Out(params.num_codes * params.weight_bits),
            "load_en": In(1),
            "load_row": In(params.descriptor_addr_bits + params.code_bits),
            "load_data": In(weight),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        codes = range(1, p.num_codes)
        m.submodules.codebooks = rows = sram(
            signed(p.weight_bits), p.num_descriptors << p.code_bits, "codebooks", Ports.SHARED
        )
        read, write = rows.read_port(), rows.write_port()
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
        ]
        # held: the codebook that the PEs have, or will have when loading is over.
        known = Signal()
        reading = Signal()
        code = Signal(p.code_bits)
        last = Signal(p.code_bits, reset_less=True)
        held = Signal(p.descriptor_addr_bits, reset_less=True)
        wanted = Signal()
        # w_: the cycle in which a weight comes out of the memory.
        w_valid = Signal()
        w_code = Signal(p.code_bits, reset_less=True)
        m.d.comb += [
            wanted.eq(known & (held == self.codebook)),
            self.ready.eq(wanted & ~self.loading),
            read.en.eq(reading),
            read.addr.eq(Cat(code, held)),
        ]
        m.d.sync += [w_valid.eq(reading), w_code.eq(code), self.loading.eq(reading)]
        kept = [Signal(p.weight_bits, reset_less=True, name=f"weight_{k}") for k in codes]
        for k, weight_k in zip(codes, kept, strict=True):
            with m.If(w_valid & (w_code == k)):
                m.d.sync += weight_k.eq(read.data)
        m.d.comb += self.weights.eq(Cat(C(0, p.weight_bits), kept))
        with m.If(reading):
            m.d.sync += [code.eq(code + 1), reading.eq(code != last)]
        with m.Elif(self.load & ~wanted):
            m.d.sync += [
                self.loading.eq(self.last_code != 0),
                reading.eq(self.last_code != 0),
                known.eq(1),
                held.eq(self.codebook),
                last.eq(self.last_code),
                code.eq(1),
            ]
        with m.If(self.forget):
            m.d.sync += [self.loading.eq(0), reading.eq(0), known.eq(0), w_valid.eq(0)]
        return m
