"""Count the cycles that the host takes between EIE's segments."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.engine import EiePart
from zeroskip.sim.reload import READ_CYCLES, sram_reloads

__all__ = ["reload_cycles"]


def reload_cycles(part: EiePart, samples: int) -> NDArray[np.int64]:
    """Return, per input, the cycles of the host's commands between segments: (n,).

    Before the second segment and each later one, the host loads SRAMs and activations; after
    each but the last, it may store activations.
    """
    rows = sum(segment.load[1] for segment in part.segments[1:] if segment.load)
    rows += READ_CYCLES * sum(segment.store[1] for segment in part.segments[:-1] if segment.store)
    return sram_reloads(part.loads, samples) + rows * part.params.num_pes
