"""Cell: from the four sums of a hidden unit to its new state and its output."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.common.multiply import Multiply
from zeroskip.hw.common.requantize import saturate
from zeroskip.hw.common.sram import Ports, sram
from zeroskip.hw.common.table import Table
from zeroskip.hw.common.tanh import ARGUMENT_FRAC, GATE_BITS, VALUE_FRAC, Function
from zeroskip.hw.eie.control import SLOTS, cells_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["Cell"]

_STATE_SHIFT = 2 * VALUE_FRAC - ARGUMENT_FRAC
"""From a product of two values to a state of an LSTM, or an argument of a function."""
_TO_VALUE = VALUE_FRAC - ARGUMENT_FRAC


class _Slots:
    """Number of a slot in its unit, and the kind of the unit: what signals of a cell depend on.

    Parameters
    ----------
    m : module that gets the logic.
    cells : see :class:`Cell`.
    peepholes : the array has them.
    """

    def __init__(self, m: Module, cells: data.View, peepholes: bool) -> None:
        self._peepholes = peepholes
        self.is_lstm = Signal()
        slots = max(SLOTS.values()) if peepholes else SLOTS[CellKind.LSTM]
        self.at = [Signal(name=f"slot_{slot}") for slot in range(slots)]
        self.is_peephole = cells.kind == CellKind.PEEPHOLE
        m.d.comb += self.is_lstm.eq(
            cells.kind != CellKind.GRU if peepholes else cells.kind == CellKind.LSTM
        )
        m.d.comb += [here.eq(cells.slot == slot) for slot, here in enumerate(self.at)]

    def either(self, number: int, with_peepholes: int) -> Value:
        """Return whether it is a slot, which is another one of a unit with peepholes."""
        plain = self.at[number]
        return Mux(self.is_peephole, self.at[with_peepholes], plain) if self._peepholes else plain


class Cell(wiring.Component):
    """Element-wise work of LSTM and GRU (ESE's ElemMul and its functions, one set in each PE).

    LSTM, of the sums of input gate, candidate, forget gate and output gate::

        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)        h = sigmoid(o) * tanh(c')

    GRU, of the sums of reset gate, hidden part of the candidate, update gate and other part::

        n = tanh(x + sigmoid(r) * y)                      h = n + sigmoid(z) * (h - n)

    One table and one multiplier do it in ``SLOTS`` cycles a unit: four functions of sums and that
    of the state go into the table one behind the other, and three products are made in the slots
    in which their factors come out. Slots count from the read of a unit's first sum. Nothing here
    waits, and only writes of states and outputs are told from what is made where no unit is.

    With peepholes, gates see the state: ``i + p * c``, ``f + q * c``, and ``o + r * c'``. That is
    three products more, of weights that come where sums do, and slots of their own; the sum of a
    gate comes in the cycle in which its product is there.

    States have 16 bits: of an LSTM with 12 fraction bits, of a GRU, whose state is its output, 15.
    Sums become arguments of 16 bits; beyond them a function is as good as constant.

    Members
    -------
    total : In, sum and bias, in the second cycle after its read.
    shift : In, from a sum to an argument of tanh; to one of a sigmoid it is one more.
    cells : In, see ``cells_layout``.
    output : Out, in the cycle in which it is to be written.
    saturated : Out, the state that is written was beyond its range.
    """

    total: Signal
    shift: Signal
    cells: data.View
    output: Signal
    saturated: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "total": In(signed(params.acc_bits)),
            "shift": In(6),
            "cells": In(cells_layout(params)),
            "output": Out(signed(params.act_bits)),
            "saturated": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p, cells, word = self._p, self.cells, signed(GATE_BITS)
        m = Module()
        m.submodules.table = table = Table()
        m.submodules.multiply = multiply = Multiply(GATE_BITS, GATE_BITS)
        m.submodules.state = states = sram(word, p.num_states, "state", Ports.SHARED)
        read, write = states.read_port(), states.write_port()
        slots = _Slots(m, cells, p.peepholes)
        candidate = Signal(word, reset_less=True)
        self._choose_argument(m, slots, table, multiply, candidate)
        last = self._choose_factors(m, slots, table, multiply, candidate, read.data)
        inner, outer = _add_products(m, slots, table, multiply, last)

        hidden, clipped = Signal(word, reset_less=True), Signal(reset_less=True)
        made = Signal(signed(len(inner) - _STATE_SHIFT))
        m.d.comb += made.eq(inner >> _STATE_SHIFT)
        with m.If(slots.either(0, 5)):
            m.d.sync += [
                candidate.eq(saturate(made, GATE_BITS)),
                clipped.eq((made >> (GATE_BITS - 1)) != made[-1].replicate(2).as_signed()),
            ]
        with m.If(slots.either(2, 1)):
            m.d.sync += hidden.eq(saturate(outer >> VALUE_FRAC, GATE_BITS))
        m.d.comb += [
            read.en.eq(cells.state_read),
            read.addr.eq(cells.state_read_row),
            write.en.eq(cells.state_write),
            write.addr.eq(cells.state_write_row),
            write.data.eq(Mux(slots.is_lstm, candidate, hidden)),
            self.saturated.eq(cells.state_write & slots.is_lstm & clipped),
            self.output.eq(_narrowed(hidden, p.act_bits)),
        ]
        return m

    def _choose_argument(
        self, m: Module, slots: _Slots, table: Table, multiply: Multiply, candidate: Signal
    ) -> None:
        """Give the table an argument: in slots 2, 3, 4 and 0 of a sum, in slot 1 a candidate."""
        p, word, at = self._p, signed(GATE_BITS), slots.at
        is_lstm, is_peephole = slots.is_lstm, slots.is_peephole
        shifted = Signal(signed(p.acc_bits))
        twice = Signal(signed(max(p.acc_bits, 2 * GATE_BITS - ARGUMENT_FRAC) + 1))
        of_sum = Signal(word)
        of_state = slots.either(1, 2)
        is_sigmoid = at[2] | at[4] | (at[0] & is_lstm)
        m.d.comb += [shifted.eq(self.total >> self.shift), twice.eq(shifted)]
        if p.peepholes:
            is_sigmoid = Mux(is_peephole, at[3] | at[6] | at[1], is_sigmoid)
            seen = multiply.product >> ARGUMENT_FRAC
            with m.If(is_peephole):
                m.d.comb += twice.eq(shifted + seen + multiply.product[ARGUMENT_FRAC - 1])
        m.d.comb += [
            of_sum.eq(saturate(Mux(is_sigmoid, twice >> 1, shifted), GATE_BITS)),
            table.argument.eq(Mux(of_state, candidate, of_sum)),
            table.function.eq(
                Mux(
                    is_sigmoid,
                    Function.SIGMOID,
                    Mux(of_state | is_lstm, Function.TANH, Function.IDENTITY),
                )
            ),
        ]

    def _choose_factors(
        self,
        m: Module,
        slots: _Slots,
        table: Table,
        multiply: Multiply,
        candidate: Signal,
        state: Value,
    ) -> Value:
        """Give the multiplier its factors; return the value of the table that is kept longest.

        The last product of a unit comes when the next one's gates are there already.
        """
        p, word, at = self._p, signed(GATE_BITS), slots.at
        is_lstm, is_peephole = slots.is_lstm, slots.is_peephole
        first, gate, kept_gate, last = (
            Signal(word, reset_less=True, name=name)
            for name in ("first", "gate", "kept_gate", "last")
        )
        before = Signal(word)
        m.d.comb += [
            before.eq(Mux(self.cells.begin, 0, state)),
            multiply.a.eq(Mux(slots.either(2, 1), first, Mux(at[3], before, kept_gate))),
            multiply.b.eq(table.value),
        ]
        # The gate of the output: of an LSTM it comes last, of a GRU it is the update gate.
        takes_gate = Mux(is_lstm, at[4], at[3])
        if p.peepholes:
            takes_gate = Mux(is_peephole, at[5], takes_gate)
            with m.If(is_peephole & at[6]):
                m.d.comb += multiply.a.eq(gate)
            with m.Elif(is_peephole & (at[0] | at[2] | at[5])):
                m.d.comb += [
                    multiply.a.eq(self.total[:GATE_BITS].as_signed()),
                    multiply.b.eq(Mux(at[0], candidate, before)),
                ]
        with m.If(slots.either(1, 0)):
            m.d.sync += first.eq(table.value)
        with m.If(takes_gate):
            m.d.sync += [gate.eq(table.value), kept_gate.eq(gate)]
        with m.If(at[0]):
            m.d.sync += last.eq(table.value)
        return last


def _add_products(
    m: Module, slots: _Slots, table: Table, multiply: Multiply, last: Value
) -> tuple[Signal, Signal]:
    """Return sums of products with half a step: of a new state, or argument; and of an output."""
    at, is_lstm = slots.at, slots.is_lstm
    product = multiply.product
    kept, old, kept_old = (
        Signal.like(product, reset_less=True, name=name) for name in ("kept", "old", "kept_old")
    )
    with m.If(slots.either(3, 2)):
        m.d.sync += kept.eq(product)
    with m.If(at[4]):
        m.d.sync += [old.eq(product), kept_old.eq(old)]
    total_bits = signed(2 * GATE_BITS + _TO_VALUE + 1)
    inner = Signal(total_bits, reset_less=True)
    outer = Signal(total_bits, reset_less=True)
    half_state, half_value = 1 << (_STATE_SHIFT - 1), 1 << (VALUE_FRAC - 1)
    with m.If(at[4]):
        m.d.sync += inner.eq(
            Mux(
                is_lstm,
                _scaled(product, _TO_VALUE) + kept,
                _scaled(table.value, _STATE_SHIFT) + _scaled(kept, _TO_VALUE),
            )
            + half_state
        )
    with m.If(slots.either(1, 0)):
        m.d.sync += outer.eq(
            Mux(is_lstm, product, _scaled(last, VALUE_FRAC) + kept_old - product) + half_value
        )
    return inner, outer


def _scaled(value: Value, bits: int) -> Value:
    """Return ``value * 2**bits``, signed."""
    return Cat(C(0, bits), value).as_signed()


def _narrowed(hidden: Value, bits: int) -> Value:
    """Round an output to ``bits``, half up."""
    fewer = GATE_BITS - bits
    return saturate(hidden + (1 << fewer >> 1) >> fewer, bits) if fewer else hidden
