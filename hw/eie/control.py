"""Signals from the central control unit to the PEs."""

from amaranth.lib import data, enum

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import Activation, CellKind, NumberShape
from zeroskip.hw.eie.host import stall_classes
from zeroskip.hw.eie.params import EieParams

__all__ = ["CELL_STAGES", "SLOTS", "Phase", "cells_layout", "control_layout", "rows_layout"]


SLOTS = {CellKind.LSTM: 5, CellKind.GRU: 5, CellKind.PEEPHOLE: 7}
"""Cycles from a hidden unit to the next: its four sums, and the function of its state; or its sums
and the weights of its peepholes."""

CELL_STAGES = {CellKind.LSTM: 18, CellKind.GRU: 18, CellKind.PEEPHOLE: 23}
"""Cycles from the first read of a unit to the write of its output."""


class Phase(enum.Enum, shape=2):
    """Phase of a run; decides the stall class of a PE that issues nothing."""

    IDLE = 0
    SETUP = 1
    COMPUTE = 2
    DRAIN = 3


def control_layout(p: EieParams) -> data.StructLayout:
    """Return the layout of signals from the CCU to all PEs.

    Fields
    ------
    flush : empty queues and pipelines.
    source, destination : which activation file is the source, and, where it need not be the only
        other one, the destination.
    acc_read, acc_row : read an accumulator to drain it.
    bias_row : the bias that belongs to it.
    clear, clear_row : clear an accumulator.
    counter_clear, counter_row : clear a counter.
    act_write, act_row : write the output that is at the end of the drain pipeline.
    shift, activation : output arithmetic.
    phase, descriptor : for the cycle counters.
    cells : in arrays with cells, see ``cells_layout``.
    """
    destination = {"destination": p.file_bits} if p.streams else {}
    return data.StructLayout({
        "flush": 1,
        "source": p.file_bits,
        **destination,
        "acc_read": 1,
        "acc_row": p.acc_addr_bits,
        "bias_row": p.bias_addr_bits,
        "clear": 1,
        "clear_row": p.acc_addr_bits,
        "counter_clear": 1,
        "counter_row": counter_addr_bits(p, stall_classes(p)),
        "act_write": 1,
        "act_row": p.act_addr_bits,
        "shift": 6,
        "activation": Activation,
        "phase": Phase,
        "descriptor": p.descriptor_addr_bits,
        **({"cells": cells_layout(p)} if p.cells else {}),
    })


def cells_layout(p: EieParams) -> data.StructLayout:
    """Return the layout of signals about cells, to all PEs.

    Fields
    ------
    recur : the scan is of the destination file.
    blank : what is scanned is of before the sequence: zeros.
    kind, slot : which cell is drained, and the cycle of its :data:`.SLOTS`.
    begin : states are those before a sequence: zeros.
    weight_read : in arrays with peepholes: read a weight of them, from the biases.
    weight : what was read in the cycle before is such a weight.
    delta, threshold : in arrays with delta: the pass scans changes, and its sums are kept.
    state_read, state_read_row : read a state.
    state_write, state_write_row : write a state.
    """
    weights = {"weight_read": 1, "weight": 1}
    changes = {"delta": 1, "threshold": p.act_bits - 1}
    return data.StructLayout({
        **(weights if p.peepholes else {}),
        **(changes if p.delta else {}),
        "recur": 1,
        "blank": 1,
        "kind": NumberShape(CellKind, 2),
        "slot": 3,
        "begin": 1,
        "state_read": 1,
        "state_read_row": p.state_addr_bits,
        "state_write": 1,
        "state_write_row": p.state_addr_bits,
    })


def rows_layout(p: EieParams) -> data.StructLayout:
    """Return the layout of signals about rows that stream in and out, to all PEs.

    Fields
    ------
    in_en, in_file, in_row : write the activation that streams in.
    out_en, out_file, out_row : read the one that streams out; the file stays until it has left.
    waiting : for the cycle counters: the scan waits for a row.
    """
    return data.StructLayout({
        "in_en": 1,
        "in_file": p.file_bits,
        "in_row": p.act_addr_bits,
        "out_en": 1,
        "out_file": p.file_bits,
        "out_row": p.act_addr_bits,
        "waiting": 1,
    })
