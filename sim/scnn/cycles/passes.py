"""Say what a pass is to the array: the stream of each PE, steps of the drain, its timeline."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ScnnDescriptor, has_halos
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.windows import OUTPUT_CYCLES

__all__ = ["PassTrace", "drain_exchanges", "pe_streams", "ppu_cycles"]

_PPU_CYCLES = 6
"""Cycles in which the PPU is at work on outputs without windows."""


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


def pe_streams(params: ScnnParams, descriptor: ScnnDescriptor) -> NDArray[np.int64]:
    """Give the number of the weight stream of each PE, (num_pes,)."""
    pe_y, pe_x = np.divmod(np.arange(params.num_pes), params.pes_x)
    across = -(-params.pes_x >> descriptor.block_x)
    return (pe_y >> descriptor.block_y) * across + (pe_x >> descriptor.block_x)


def ppu_cycles(descriptor: ScnnDescriptor) -> int:
    """Count the cycles in which the PPU is at work on outputs, behind their last step."""
    pooled = max(descriptor.pool_x, descriptor.pool_y) > 1
    return _PPU_CYCLES + pooled * OUTPUT_CYCLES


def drain_exchanges(params: ScnnParams, descriptor: ScnnDescriptor) -> NDArray[np.bool_]:
    """List the steps of the drain of an output channel, whether each fetches neighbours' sums.

    Own sums of the outputs of a step come first, then a step for each direction in which any of
    them has a part that a neighbour holds.
    """
    d = descriptor
    y = np.arange(d.ho)
    parts_y = 1 + (y < d.halo_bottom) + (y >= d.ho - d.halo_top)
    width = params.drain_width(d.out_sx, d.pool_x, halos=has_halos(d))
    found = []
    for a in range(d.out_sy):
        for b in range(d.out_sx):
            first = np.arange(b, d.wo, width)
            last = np.minimum(first + width, d.wo + b) - d.out_sx
            parts_x = 1 + (first < d.halo_right) + (last >= d.wo - d.halo_left)
            parts = parts_y[a :: d.out_sy, None] * parts_x
            # The rows of windows side by side follow each other.
            parts = parts.reshape(-1, d.pool_y, len(first)).swapaxes(1, 2)
            for number in parts.reshape(-1).tolist():
                found += [False, *[True] * (number - 1)]
    return np.array(found, np.bool_)
