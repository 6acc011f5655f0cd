"""Signals from the central control unit to the PEs."""

from amaranth.lib import data, enum

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams

__all__ = ["Phase", "control_layout"]


class Phase(enum.Enum, shape=2):
    """Phase of a run; decides the stall class of a PE that issues nothing."""

    IDLE = 0
    SETUP = 1
    COMPUTE = 2
    DRAIN = 3


def control_layout(p: EieParams) -> data.StructLayout:
    """Signals from the CCU to all PEs.

    Fields
    ------
    flush : empty queues and pipelines.
    source : which activation file is the source.
    hold : the codebook is not complete; issue nothing.
    acc_read, acc_row : read an accumulator to drain it.
    bias_row : the bias that belongs to it.
    clear, clear_row : clear an accumulator.
    counter_clear, counter_row : clear a counter.
    act_write, act_row : write the output that is at the end of the drain pipeline.
    shift, activation : output arithmetic.
    phase, descriptor : for the cycle counters.
    """
    return data.StructLayout({
        "flush": 1,
        "source": 1,
        "hold": 1,
        "acc_read": 1,
        "acc_row": p.acc_addr_bits,
        "bias_row": p.bias_addr_bits,
        "clear": 1,
        "clear_row": p.acc_addr_bits,
        "counter_clear": 1,
        "counter_row": counter_addr_bits(p, StallClass),
        "act_write": 1,
        "act_row": p.act_addr_bits,
        "shift": 6,
        "activation": Activation,
        "phase": Phase,
        "descriptor": p.descriptor_addr_bits,
    })
