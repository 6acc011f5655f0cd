"""Codebook load: a layer's shared weights, from the central memory to every PE."""

from amaranth.hdl import C, Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.eie.params import EieParams

__all__ = ["CodebookLoad"]


class CodebookLoad(wiring.Component):
    """Load the next pass's codebook while the PEs look weights up in that of the one at work.

    Weights go from the memory into a row of registers, one a cycle, the highest code's first: each
    moves those before it on by a place. ``turn`` copies them all to the PEs' registers. Only
    weights that the layer has are loaded: codes after them are in no entry.

    Every PE of the paper holds the codebook. The copies never differ, and would take more room
    in a PE than its multiplier.

    Members
    -------
    codebook, last_code : In, the codebook of the next pass, and its last weight's code.
    valid : In, they are known; the codebook is loaded then, unless it is there or on its way.
    ready : Out, it is there; only while ``valid``.
    turn : In, give it to the PEs, from the next cycle on; only while ``ready``.
    weights : Out, to the PEs, code 0's in the lowest bits. It is 0: code 0 is no weight.
    forget : In, load anew, from the next cycle on; with every ``load_en``.
    load_en, load_row, load_data : In, write a weight; the row is the code, above it the codebook.
    """

    codebook: Signal
    last_code: Signal
    valid: Signal
    ready: Signal
    turn: Signal
    weights: Signal
    forget: Signal
    load_en: Signal
    load_row: Signal
    load_data: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "codebook": In(params.descriptor_addr_bits),
            "last_code": In(params.code_bits),
            "valid": In(1),
            "ready": Out(1),
            "turn": In(1),
            "weights": Out(params.num_codes * params.weight_bits),
            "forget": In(1),
            "load_en": In(1),
            "load_row": In(params.descriptor_addr_bits + params.code_bits),
            "load_data": In(signed(params.weight_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.codebooks = rows = sram(
            signed(p.weight_bits), p.num_descriptors << p.code_bits, "codebooks", Ports.SHARED
        )
        read, write = rows.read_port(), rows.write_port()
        # known: the codebook that is held is what the memory has, or will be when all is read.
        known = Signal()
        held = Signal(p.descriptor_addr_bits, reset_less=True)
        wanted = Signal()
        # The weight that is read; 0: none.
        code = Signal(p.code_bits)
        # w_: the cycle in which a weight comes out of the memory.
        w_valid = Signal()
        loading = Signal()
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_row),
            write.data.eq(self.load_data),
            read.en.eq((code != 0) & ~self.forget),
            read.addr.eq(Cat(code, held)),
            wanted.eq(known & (held == self.codebook)),
            loading.eq((code != 0) | w_valid),
            self.ready.eq(self.valid & wanted & ~loading),
        ]
        m.d.sync += w_valid.eq(read.en)
        with m.If(code != 0):
            m.d.sync += code.eq(code - 1)
        with m.Elif(self.valid & ~wanted & ~loading):
            m.d.sync += [known.eq(1), held.eq(self.codebook), code.eq(self.last_code)]
        with m.If(self.forget):
            m.d.sync += [known.eq(0), code.eq(0)]
        ahead = Signal((p.num_codes - 1) * p.weight_bits, reset_less=True)
        weights = Signal.like(ahead, reset_less=True)
        with m.If(w_valid):
            m.d.sync += ahead.eq(Cat(read.data, ahead))
        with m.If(self.turn):
            m.d.sync += weights.eq(ahead)
        m.d.comb += self.weights.eq(Cat(C(0, p.weight_bits), weights))
        return m
