"""Keep the timeline of a pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PassTrace"]


@dataclass(frozen=True, eq=False)
class PassTrace:
    """Timeline of a pass, in cycles from the start of the run.

    Parameters
    ----------
    start : the sequencer begins with the pass: its descriptor, and wiping.
    run : the first weights are asked for.
    end : the pass is done.
    channel : (blocks,) directory entry of each block of weights.
    pairs : (num_pes, blocks) vectors of weights times vectors of activations that a PE multiplies
        of a block, each in a cycle.
    issued : (2, num_pes, blocks) the cycles of the first and the last of these; -1 if there are
        none.
    drained : (2, groups) the cycles of the first and the last step of the drain of each group; -1
        if it is not drained.
    """

    start: int
    run: int
    end: int
    channel: NDArray[np.int64]
    pairs: NDArray[np.int64]
    issued: NDArray[np.int64]
    drained: NDArray[np.int64]
