"""Cell drain: at the end of a pass, turn the sums of hidden units into their states and outputs."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.control import CELL_STAGES, SLOTS, cells_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["CellDrain"]

_STATE_READ, _LSTM_WRITE = 7, 11
"""Cycles, from the first read of a unit on, in which its state is read, and an LSTM's written."""

_WEIGHT_SLOTS, _SUM_SLOTS = (0, 3), (1, 2, 4)
_LATE_WEIGHT, _LATE_SUM = 12, 13
_PEEPHOLE_READS, _PEEPHOLE_WRITE = (1, 4, 9), 13
"""With peepholes: slots in which the first two weights and the first three sums are read; cycles in
which those of the output gate are, which needs the new state; and those of the state."""


class CellDrain(wiring.Component):
    """Walk the hidden units of all PEs in step, along the stages of :class:`.Cell`.

    A unit begins in every ``SLOTS`` cycles, and ends ``CELL_STAGES`` later: ``units`` of them take
    ``5 * units + 14`` cycles, and with peepholes ``7 * units + 17``.

    Members
    -------
    start, units, bias_base, dst_base, state_base, kind : In, begin, see ``descriptor_layout``;
        all but ``start`` stay until the end.
    flush : In, abandon.
    done : Out, in the last cycle of the drain, and while there is none.
    acc_read, acc_row, bias_row : Out, read a sum and its bias, or a weight where the bias would be.
    clear, clear_row : Out, clear a sum, in the cycle after it was read.
    write, write_row : Out, write an output.
    cells : Out, to the PEs, see ``cells_layout``: kind, slot, and what is done to states.
    """

    start: Signal
    units: Signal
    bias_base: Signal
    dst_base: Signal
    state_base: Signal
    kind: Signal
    flush: Signal
    done: Signal
    acc_read: Signal
    acc_row: Signal
    bias_row: Signal
    clear: Signal
    clear_row: Signal
    write: Signal
    write_row: Signal
    cells: data.View

    def __init__(self, params: EieParams) -> None:
        self._p = params
        acc, act, bias = params.acc_addr_bits, params.act_addr_bits, params.bias_addr_bits
        layout = cells_layout(params)
        super().__init__({
            "start": In(1),
            "units": In(acc + 1),
            "bias_base": In(bias),
            "dst_base": In(act),
            "state_base": In(params.state_addr_bits),
            "kind": In(layout["kind"].shape),
            "flush": In(1),
            "done": Out(1),
            "acc_read": Out(1),
            "acc_row": Out(acc),
            "bias_row": Out(bias),
            "clear": Out(1),
            "clear_row": Out(acc),
            "write": Out(1),
            "write_row": Out(act),
            "cells": Out(layout),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the unit: longer than other functions, as its registers are used all over it."""
        p, cells = self._p, self.cells
        m = Module()
        left = Signal(p.acc_addr_bits + 1)
        slot = Signal(range(max(SLOTS.values()) if p.peepholes else SLOTS[CellKind.LSTM]))
        # Units in the stages, by how many cycles ago they began.
        stages = CELL_STAGES[CellKind.LSTM]
        flight = Signal(max(CELL_STAGES.values()) if p.peepholes else stages)
        acc_row, bias_row = Signal(p.acc_addr_bits), Signal(p.bias_addr_bits)
        # The first sum and bias of the unit after the one that is read.
        next_acc, next_bias = Signal(p.acc_addr_bits), Signal(p.bias_addr_bits)
        state_row = Signal(p.state_addr_bits)
        acc_step, bias_step, state_step, ends, busy = (
            Signal(name=name) for name in ("acc_step", "bias_step", "state_step", "ends", "busy")
        )
        reading = left != 0
        begins = reading & (slot == 0)
        m.d.comb += [
            ends.eq(slot == SLOTS[CellKind.LSTM] - 1),
            busy.eq(flight[: stages - 1].any()),
            acc_step.eq(reading & ~ends),
            bias_step.eq(acc_step),
            state_step.eq(flight[_STATE_READ - 1]),
            self.done.eq(~reading & ~busy),
            self.acc_read.eq(acc_step),
            self.acc_row.eq(acc_row),
            self.bias_row.eq(bias_row),
            self.write.eq(flight[stages - 1]),
            cells.kind.eq(self.kind),
            cells.slot.eq(slot),
            cells.state_read.eq(state_step),
            cells.state_read_row.eq(state_row),
            cells.state_write.eq(
                Mux(self.kind == CellKind.LSTM, flight[_LSTM_WRITE - 1], flight[stages - 1])
            ),
        ]
        m.d.sync += [
            flight.eq(Cat(begins, flight[:-1])),
            slot.eq(Mux(ends, 0, slot + 1)),
            self.clear.eq(self.acc_read),
            self.clear_row.eq(self.acc_row),
        ]
        if p.peepholes:
            late_acc, late_bias = Signal.like(acc_row), Signal.like(bias_row)
            late_weight, late_sum = flight[_LATE_WEIGHT - 1], flight[_LATE_SUM - 1]
            of_write = flight[_PEEPHOLE_READS[-1] - 1]
            with m.If(self.kind == CellKind.PEEPHOLE):
                m.d.comb += [
                    ends.eq(slot == SLOTS[CellKind.PEEPHOLE] - 1),
                    busy.eq(flight[:-1].any()),
                    acc_step.eq(reading & slot.matches(*_SUM_SLOTS)),
                    bias_step.eq(reading & slot.matches(*_SUM_SLOTS, *_WEIGHT_SLOTS)),
                    state_step.eq(flight[_PEEPHOLE_READS[1] - 1]),
                    self.acc_read.eq(acc_step | late_sum),
                    self.write.eq(flight[-1]),
                    cells.weight_read.eq((bias_step & ~acc_step) | late_weight),
                    cells.state_read.eq(flight[_PEEPHOLE_READS[0] - 1] | state_step | of_write),
                    cells.state_write.eq(flight[_PEEPHOLE_WRITE - 1]),
                ]
                with m.If(late_weight | late_sum):
                    m.d.comb += [self.acc_row.eq(late_acc), self.bias_row.eq(late_bias)]
                # The state that is written next is read once more, for its product.
                with m.If(of_write):
                    m.d.comb += cells.state_read_row.eq(cells.state_write_row)
            with m.Else():
                m.d.sync += flight[stages:].eq(0)
            m.d.sync += cells.weight.eq(cells.weight_read)
            with m.If(late_weight):
                m.d.sync += late_bias.eq(late_bias + self.units)
            # What is left of a unit when the next one begins.
            with m.If(reading & ends):
                m.d.sync += [late_acc.eq(acc_row), late_bias.eq(bias_row)]
        with m.If(acc_step):
            m.d.sync += acc_row.eq(acc_row + self.units)
        with m.If(bias_step):
            m.d.sync += bias_row.eq(bias_row + self.units)
        with m.If(reading & ends):
            m.d.sync += [
                left.eq(left - 1),
                acc_row.eq(next_acc),
                bias_row.eq(next_bias),
                next_acc.eq(next_acc + 1),
                next_bias.eq(next_bias + 1),
            ]
        with m.If(self.write):
            m.d.sync += self.write_row.eq(self.write_row + 1)
        with m.If(state_step):
            m.d.sync += state_row.eq(state_row + 1)
        with m.If(cells.state_write):
            m.d.sync += cells.state_write_row.eq(cells.state_write_row + 1)
        with m.If(self.start):
            m.d.sync += [
                left.eq(self.units),
                slot.eq(0),
                acc_row.eq(0),
                bias_row.eq(self.bias_base),
                next_acc.eq(1),
                next_bias.eq(self.bias_base + 1),
                self.write_row.eq(self.dst_base),
                state_row.eq(self.state_base),
                cells.state_write_row.eq(self.state_base),
            ]
        with m.If(self.flush):
            m.d.sync += [left.eq(0), flight.eq(0), self.clear.eq(0)]
        return m
