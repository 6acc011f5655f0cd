"""Cell drain: at the end of a pass, turn the sums of hidden units into their states and outputs."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.control import SLOTS, cells_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["CELL_STAGES", "CellDrain"]

CELL_STAGES = 18
"""Cycles from the read of a unit's first sum to the write of its output."""

_STATE_READ = 7
_LSTM_WRITE = 11
"""Cycles, counted likewise, in which a state is read, and an LSTM's is written."""


class CellDrain(wiring.Component):
    """Walk the hidden units of all PEs in step, along the stages of :class:`.Cell`.

    A unit begins in every ``SLOTS`` cycles, and ends ``CELL_STAGES`` later: ``units`` of them take
    ``SLOTS * units + 14`` cycles.

    Members
    -------
    start, units, bias_base, dst_base, state_base, kind : In, begin, see ``descriptor_layout``;
        all but ``start`` stay until the end.
    flush : In, abandon.
    done : Out, in the last cycle of the drain, and while there is none.
    acc_read, acc_row, bias_row : Out, read a sum and its bias.
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
        p, cells = self._p, self.cells
        m = Module()
        left = Signal(p.acc_addr_bits + 1)
        slot = Signal(range(SLOTS))
        # Units in the stages, by how many cycles ago they began.
        flight = Signal(CELL_STAGES)
        # The first sum and bias of the unit after the one that is read.
        next_acc, next_bias = Signal(p.acc_addr_bits), Signal(p.bias_addr_bits)
        reading, ends = left != 0, slot == SLOTS - 1
        begins = reading & (slot == 0)
        m.d.comb += [
            self.done.eq(~reading & ~flight[:-1].any()),
            self.acc_read.eq(reading & ~ends),
            self.write.eq(flight[-1]),
            cells.kind.eq(self.kind),
            cells.slot.eq(slot),
            cells.state_read.eq(flight[_STATE_READ - 1]),
            cells.state_write.eq(
                Mux(self.kind == CellKind.LSTM, flight[_LSTM_WRITE - 1], flight[-1])
            ),
        ]
        m.d.sync += [
            flight.eq(Cat(begins, flight[:-1])),
            slot.eq(Mux(ends, 0, slot + 1)),
            self.clear.eq(self.acc_read),
            self.clear_row.eq(self.acc_row),
        ]
        with m.If(self.acc_read):
            m.d.sync += [
                self.acc_row.eq(self.acc_row + self.units),
                self.bias_row.eq(self.bias_row + self.units),
            ]
        with m.If(reading & ends):
            m.d.sync += [
                left.eq(left - 1),
                self.acc_row.eq(next_acc),
                self.bias_row.eq(next_bias),
                next_acc.eq(next_acc + 1),
                next_bias.eq(next_bias + 1),
            ]
        with m.If(self.write):
            m.d.sync += self.write_row.eq(self.write_row + 1)
        with m.If(cells.state_read):
            m.d.sync += cells.state_read_row.eq(cells.state_read_row + 1)
        with m.If(cells.state_write):
            m.d.sync += cells.state_write_row.eq(cells.state_write_row + 1)
        with m.If(self.start):
            m.d.sync += [
                left.eq(self.units),
                slot.eq(0),
                self.acc_row.eq(0),
                self.bias_row.eq(self.bias_base),
                next_acc.eq(1),
                next_bias.eq(self.bias_base + 1),
                self.write_row.eq(self.dst_base),
                cells.state_read_row.eq(self.state_base),
                cells.state_write_row.eq(self.state_base),
            ]
        with m.If(self.flush):
            m.d.sync += [left.eq(0), flight.eq(0), self.clear.eq(0)]
        return m
