"""Activation functions of recurrent cells: tanh and sigmoid from one table of segments."""

from itertools import pairwise

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import NumberShape
from zeroskip.hw.common.multiply import Multiply
from zeroskip.hw.common.tanh import GATE_BITS, OFFSET_BITS, SEGMENTS, VALUE_FRAC, Function, nodes

__all__ = ["FUNCTION", "TABLE_STAGES", "Table"]

TABLE_STAGES = 4
"""Cycles from an argument to its value."""

FUNCTION = NumberShape(Function, 2)
"""Shape of the choice of a function."""


class Table(wiring.Component):
    """Evaluate a function in every cycle (ESE, FPGA 2017, has 2,048 points of each instead).

    Four stages: magnitude; segment's node and slope; product; sum. The sign is put to offset and
    node, beside the lookup and the product. A value is rounded half up.

    Members
    -------
    argument, function : In, see :mod:`zeroskip.hw.common.tanh`.
    value : Out, of the argument of :data:`TABLE_STAGES` cycles ago.
    """

    argument: Signal
    function: Signal
    value: Signal

    def __init__(self) -> None:
        super().__init__({
            "argument": In(signed(GATE_BITS)),
            "function": In(FUNCTION),
            "value": Out(signed(GATE_BITS)),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the pipeline, stage by stage: longer than others, to be read in this order."""
        m = Module()
        ends = nodes()
        slopes = [after - before for before, after in pairwise(ends)]
        slope_bits = max(slopes).bit_length()
        magnitude_bits = GATE_BITS - 1
        m.submodules.multiply = multiply = Multiply(slope_bits + 1, OFFSET_BITS + 1)

        # s_, l_, p_: the stages behind the magnitude, the lookup and the product.
        s_sign, s_plain, s_sigmoid = (
            Signal(reset_less=True, name=f"s_{name}") for name in ("sign", "plain", "sigmoid")
        )
        s_argument = Signal(signed(GATE_BITS), reset_less=True)
        s_magnitude = Signal(magnitude_bits, reset_less=True)
        negated = Signal(GATE_BITS)
        m.d.comb += negated.eq(-self.argument)
        # The magnitude of the smallest argument is one too many.
        limited = negated[:-1] | negated[-1].replicate(magnitude_bits)
        m.d.sync += [
            s_sign.eq(self.argument[-1]),
            s_plain.eq(self.function == Function.IDENTITY),
            s_sigmoid.eq(self.function == Function.SIGMOID),
            s_argument.eq(self.argument),
            s_magnitude.eq(Mux(self.argument[-1], limited, self.argument[:-1])),
        ]

        l_sign, l_plain, l_sigmoid = (
            Signal(reset_less=True, name=f"l_{name}") for name in ("sign", "plain", "sigmoid")
        )
        l_argument = Signal(signed(GATE_BITS), reset_less=True)
        l_node = Signal(VALUE_FRAC, reset_less=True)
        l_slope = Signal(slope_bits, reset_less=True)
        l_offset = Signal(signed(OFFSET_BITS + 1), reset_less=True)
        # One memory of constants, so that synthesis shares what nodes and slopes have in common.
        rows = Array(
            C(node | slope << VALUE_FRAC, VALUE_FRAC + slope_bits)
            for node, slope in zip(ends[:SEGMENTS], slopes, strict=True)
        )
        row = Signal(VALUE_FRAC + slope_bits)
        place = s_magnitude[:OFFSET_BITS]
        m.d.comb += row.eq(rows[s_magnitude[OFFSET_BITS:]])
        m.d.sync += [
            l_sign.eq(s_sign),
            l_plain.eq(s_plain),
            l_sigmoid.eq(s_sigmoid),
            l_argument.eq(s_argument),
            l_node.eq(row[:VALUE_FRAC]),
            l_slope.eq(row[VALUE_FRAC:]),
            l_offset.eq(Mux(s_plain, 0, Mux(s_sign, -place, place))),
        ]

        # What the product is added to: the node, the 1 of a sigmoid, and half a step of the value,
        # which of a sigmoid is one of tanh's.
        p_sigmoid = Signal(reset_less=True)
        p_base = Signal(signed(GATE_BITS + 2), reset_less=True)
        node = Signal(signed(GATE_BITS))
        m.d.comb += [
            multiply.a.eq(l_slope),
            multiply.b.eq(l_offset),
            node.eq(Mux(l_plain, l_argument, Mux(l_sign, -l_node, l_node))),
        ]
        m.d.sync += [
            p_sigmoid.eq(l_sigmoid),
            p_base.eq(node + Cat(l_sigmoid, C(0, VALUE_FRAC - 1), l_sigmoid)),
        ]
        half = Cat(C(0, OFFSET_BITS - 1), ~p_sigmoid)
        total = Signal(signed(GATE_BITS + 2 + OFFSET_BITS))
        m.d.comb += total.eq(Cat(half, p_base).as_signed() + multiply.product)
        m.d.sync += self.value.eq(Mux(p_sigmoid, total >> (OFFSET_BITS + 1), total >> OFFSET_BITS))
        return m
