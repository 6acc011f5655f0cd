"""Arithmetic unit: lookup, multiplier, accumulators with bypass."""

from amaranth.hdl import Array, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.accum_ram import AccumRam
from zeroskip.hw.common.multiply import Multiply, has_multipliers
from zeroskip.hw.eie.params import EieParams

__all__ = ["Arithm"]


class Arithm(wiring.Component):
    """b_x = b_x + S[code] * a (EIE, section IV, "Arithmetic Unit"), one entry per cycle.

    Four stages: codebook lookup; multiply; end of the product and accumulator read; add and
    write. Never stalls. Accumulators wrap, so the order of entries cannot change a bit. A plain
    weight is looked up nowhere: it is its code. The code comes late, out of a memory: on FPGAs,
    whose multipliers need one cycle of the product's two, the lookup is in the other.

    All PEs work with one codebook, so it is held once for all of them (:class:`CodebookLoad`).

    Members
    -------
    valid, code, row, value : In, an entry: its weight code, not 0, PE-local row and activation.
    codebook : In, the weights, code 0's in the lowest bits, unless weights are plain.
    read, read_row : In, read an accumulator; only while not ``busy``.
    read_data : Out, the accumulator that was read in the cycle before.
    clear, clear_row : In, set an accumulator to 0; only while not ``busy``.
    busy : Out, entries are in the pipeline.
    """

    valid: Signal
    code: Signal
    row: Signal
    value: Signal
    codebook: Signal
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
            "code": In(params.stored_bits),
            "row": In(row),
            "value": In(signed(params.value_bits)),
            **({} if params.plain else {"codebook": In(params.codebook_bits)}),
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
        m.submodules.multiply = multiply = Multiply(p.value_bits, p.weight_bits)
        m.submodules.accs = accs = AccumRam(signed(p.acc_bits), p.num_accs, p.acc_addr_bits)

        # m_, a_: the two cycles of the product.
        m_valid = Signal()
        m_row = Signal(p.acc_addr_bits, reset_less=True)
        m_code = Signal(p.stored_bits, reset_less=True)
        m_weight = Signal(signed(p.weight_bits), reset_less=True)
        m_value = Signal(signed(p.value_bits), reset_less=True)
        a_valid = Signal()
        a_row = Signal(p.acc_addr_bits, reset_less=True)
        w_product = Signal(signed(p.weight_bits + p.value_bits), reset_less=True)
        if has_multipliers(platform):
            kept = m_code.eq(self.code)
            m.d.comb += m_weight.eq(self._weight_of(m_code, platform))
        else:
            kept = m_weight.eq(self._weight_of(self.code, platform))
        m.d.sync += [m_valid.eq(self.valid), a_valid.eq(m_valid)]
        # Without an entry, operands stay, so that the multiplier has nothing to do.
        with m.If(self.valid):
            m.d.sync += [m_row.eq(self.row), kept, m_value.eq(self.value)]
        with m.If(m_valid):
            m.d.sync += a_row.eq(m_row)
        m.d.sync += w_product.eq(multiply.product)
        m.d.comb += [
            multiply.a.eq(m_value),
            multiply.b.eq(m_weight),
            accs.add.eq(a_valid),
            accs.add_row.eq(a_row),
            accs.addend.eq(w_product),
            accs.read.eq(self.read),
            accs.read_row.eq(self.read_row),
            self.read_data.eq(accs.read_data),
            accs.clear.eq(self.clear),
            accs.clear_row.eq(self.clear_row),
            self.busy.eq(m_valid | a_valid | accs.busy),
        ]
        return m

    def _weight_of(self, code: Value, platform: object) -> Value:
        """Return the weight of a code."""
        p = self._p
        if p.plain:
            return code.as_signed()
        # Weight 0 is 0, and is never looked up: its place gives what is least work.
        weights = [self.codebook.word_select(row, p.weight_bits) for row in range(p.num_codes)]
        weights[0] = weights[1]
        # On FPGAs, the shortest path through LUTs is a tree of two-to-one multiplexers.
        return _pick(weights, code) if has_multipliers(platform) else Array(weights)[code]


def _pick(words: list[Value], index: Value) -> Value:
    """Return the word at an index by choosing between two words, bit after bit of the index."""
    for bit in index:
        words = [Mux(bit, odd, even) for even, odd in zip(words[::2], words[1::2], strict=True)]
    return words[0]
