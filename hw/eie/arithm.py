"""Arithmetic unit: codebook, multiplier, accumulators with bypass."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.common.accum_ram import AccumRam
from hw.eie.params import EieParams

__all__ = ["Arithm"]


class Arithm(wiring.Component):
    """b_x = b_x + S[code] * a (EIE, section IV, "Arithmetic Unit"), one entry per cycle.

    Four stages: codebook lookup, multiply and accumulator read, add, write. Never stalls.
    Accumulators wrap, so the order of entries cannot change a bit.

    Members
    -------
    valid, code, row, value : In, an entry: its weight code, PE-local row and activation.
    codebook_en, codebook_code, codebook_weight : In, write a weight to the codebook.
    read, read_row : In, read an accumulator; only while not ``busy``.
    read_data : Out, the accumulator that was read in the cycle before.
    clear, clear_row : In, set an accumulator to 0; only while not ``busy``.
    busy : Out, entries are in the pipeline.
    """

    valid: Signal
    code: Signal
    row: Signal
    value: Signal
    codebook_en: Signal
    codebook_code: Signal
    codebook_weight: Signal
    read: Signal
    read_row: Signal
    read_data: Signal
    clear: Signal
    clear_row: Signal
    busy: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        row = params.acc_addr_bits
        super().__init__({
            "valid": In(1),
            "code": In(params.code_bits),
            "row": In(row),
            "value": In(signed(params.act_bits)),
            "codebook_en": In(1),
            "codebook_code": In(params.code_bits),
            "codebook_weight": In(signed(params.weight_bits)),
            "read": In(1),
            "read_row": In(row),
            "read_data": Out(signed(params.acc_bits)),
            "clear": In(1),
            "clear_row": In(row),
            "busy": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        m.submodules.codebook = codebook = Memory(
            shape=signed(p.weight_bits), depth=p.num_codes, init=[]
        )
        m.submodules.accs = accs = AccumRam(signed(p.acc_bits), p.num_accs, p.acc_addr_bits)
        weight, load = codebook.read_port(domain="comb"), codebook.write_port()

        c_valid, c_code = Signal(), Signal(p.code_bits, reset_less=True)
        c_row = Signal(p.acc_addr_bits, reset_less=True)
        c_value = Signal(signed(p.act_bits), reset_less=True)
        m_valid, m_row = Signal(), Signal(p.acc_addr_bits, reset_less=True)
        m_weight = Signal(signed(p.weight_bits), reset_less=True)
        m_value = Signal(signed(p.act_bits), reset_less=True)
        a_product = Signal(signed(p.weight_bits + p.act_bits), reset_less=True)
        m.d.comb += [
            load.en.eq(self.codebook_en),
            load.addr.eq(self.codebook_code),
            load.data.eq(self.codebook_weight),
            weight.addr.eq(c_code),
        ]
        m.d.sync += [
            c_valid.eq(self.valid),
            c_code.eq(self.code),
            c_row.eq(self.row),
            c_value.eq(self.value),
            m_valid.eq(c_valid),
            m_row.eq(c_row),
            m_weight.eq(weight.data),
            m_value.eq(c_value),
            a_product.eq(m_weight * m_value),
        ]
        m.d.comb += [
            accs.add.eq(m_valid),
            accs.add_row.eq(m_row),
            accs.addend.eq(a_product),
            accs.read.eq(self.read),
            accs.read_row.eq(self.read_row),
            self.read_data.eq(accs.read_data),
            accs.clear.eq(self.clear),
            accs.clear_row.eq(self.clear_row),
            self.busy.eq(c_valid | m_valid | accs.busy),
        ]
        return m
