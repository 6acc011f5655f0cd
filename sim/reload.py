"""Count the cycles that the host takes to reload SRAMs between the runs of an input."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData

__all__ = ["READ_CYCLES", "sram_reloads"]

# A read takes four cycles, a write one: the command enters the port, the memory is read, the answer
# enters a register, and the host takes it.
READ_CYCLES = 4
"""Cycles of a read through a host port."""


def sram_reloads(loads: Sequence[Mapping[str, SramData]], samples: int) -> NDArray[np.int64]:
    """Return, per input, the cycles of the host's writes to SRAMs: (n,).

    Each run but the first loads its own. From the second input on, the host also puts back what
    the first run has in SRAMs that later ones loaded.

    Parameters
    ----------
    loads : what each run loads, by name.
    samples : how many inputs, n.
    """
    first, *later = loads
    replaced = {name for srams in later for name in srams}
    again = _rows({name: sram for name, sram in first.items() if name in replaced})
    cycles = np.full(samples, sum(map(_rows, later)) + again, np.int64)
    cycles[0] -= again
    return cycles


def _rows(srams: Mapping[str, SramData]) -> int:
    return sum(len(sram.words) for sram in srams.values())
