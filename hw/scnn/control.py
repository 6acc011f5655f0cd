"""Signals with which the sequencer controls the PEs and the units around them."""

from amaranth.lib import data, enum

from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.scnn.formats import StallClass, descriptor_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Phase", "control_layout"]


class Phase(enum.Enum, shape=2):
    """Phase of a run; cycles of PEs are counted unless it is idle."""

    IDLE = 0
    """No run."""
    SETUP = 1
    """A descriptor is read, or accumulators are wiped: all cycles count as SETUP."""
    RUN = 2
    """A pass is at work."""


def control_layout(p: ScnnParams) -> data.StructLayout:
    """Lay out signals from the sequencer to all PEs.

    Fields
    ------
    flush : empty queues and pipelines; memories keep their contents.
    start : the pass begins with the next cycle.
    descriptor : of the pass at work, from the cycle of ``start`` until the next ``start``.
    number : of the descriptor, for the counters.
    phase : for the counters.
    wipe, wipe_entry : set an entry of all banks to its initial value; a cycle later it is.
    counter_clear, counter_row : clear a counter.
    """
    return data.StructLayout({
        "flush": 1,
        "start": 1,
        "descriptor": descriptor_layout(p),
        "number": p.descriptor_addr_bits,
        "phase": Phase,
        "wipe": 1,
        "wipe_entry": p.entry_addr_bits,
        "counter_clear": 1,
        "counter_row": counter_addr_bits(p, StallClass),
    })
