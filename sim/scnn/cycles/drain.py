"""Find the stream of each PE, and the steps of the drain for an output channel."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["drain_exchanges", "pe_streams"]


def pe_streams(params: ScnnParams, descriptor: ScnnDescriptor) -> NDArray[np.int64]:
    """Give the number of the weight stream of each PE, (num_pes,)."""
    pe_y, pe_x = np.divmod(np.arange(params.num_pes), params.pes_x)
    across = -(-params.pes_x >> descriptor.block_x)
    return (pe_y >> descriptor.block_y) * across + (pe_x >> descriptor.block_x)


def drain_exchanges(descriptor: ScnnDescriptor) -> NDArray[np.bool_]:
    """List the steps of the drain of an output channel, whether each fetches a neighbour's sum.

    An output's own sum comes first, then the parts of it that its neighbours hold.
    """
    d = descriptor
    x, y = np.arange(d.wo), np.arange(d.ho)
    parts_x = 1 + (x < d.halo_right) + (x >= d.wo - d.halo_left)
    parts_y = 1 + (y < d.halo_bottom) + (y >= d.ho - d.halo_top)
    found = []
    for a in range(d.out_sy):
        for b in range(d.out_sx):
            parts = parts_y[a :: d.out_sy, None] * parts_x[None, b :: d.out_sx]
            for number in parts.reshape(-1).tolist():
                found += [False, *[True] * (number - 1)]
    return np.array(found, np.bool_)
