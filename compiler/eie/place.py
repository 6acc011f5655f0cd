"""Choose the PE and the local row of every row of every layer."""

import heapq
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.network import QuantLayer, QuantNetwork
from hw.eie.params import EieParams

__all__ = ["Placement", "Strategy", "is_interleaved", "local_rows", "place"]

Strategy = Literal["interleave", "balance"]
"""``interleave``: row i on PE i mod N, as in the paper. ``balance``: equal entries per PE."""

Placement = tuple[NDArray[np.int64], ...]
"""Positions of the input's elements, then of each layer's rows.

A position is ``local_row * num_pes + pe``. The outputs of a layer are the columns of the next,
so column j of layer l stands at position ``placement[l][j]``, its row i at
``placement[l + 1][i]``.
"""


def place(network: QuantNetwork, params: EieParams, strategy: Strategy) -> Placement:
    """Place the input and the rows of every layer on the PEs.

    The input is always interleaved: where an activation comes from costs the hardware nothing,
    only where its products go does.

    Parameters
    ----------
    network : layers to place.
    params : only ``num_pes`` matters.
    strategy : see :data:`Strategy`.

    Returns
    -------
    ``len(network.layers) + 1`` arrays of positions.

    Raises
    ------
    CompileError
        If the strategy is unknown.
    """
    if strategy not in get_args(Strategy):
        raise CompileError(
            f"placement must be one of {', '.join(get_args(Strategy))}, not {strategy!r}"
        )
    positions = [np.arange(network.layers[0].shape[1], dtype=np.int64)]
    for layer in network.layers:
        if strategy == "balance":
            positions.append(_balance(layer, params.num_pes))
        else:
            positions.append(np.arange(layer.shape[0], dtype=np.int64))
    return tuple(positions)


def is_interleaved(placement: Placement) -> bool:
    """Whether every element's position is its index."""
    return all(np.array_equal(p, np.arange(len(p))) for p in placement)


def local_rows(positions: NDArray[np.int64], params: EieParams) -> int:
    """Rows of an activation file that the positions reach."""
    return int(positions.max()) // params.num_pes + 1


def _balance(layer: QuantLayer, num_pes: int) -> NDArray[np.int64]:
    """Give each row, the longest first, to the PE with the fewest entries that has room.

    Room is ``ceil(rows / num_pes)`` rows, so that balance never costs accumulators or
    activation registers.
    """
    rows = layer.shape[0]
    room = -(-rows // num_pes)
    entries = np.bincount(layer.codes.indices, minlength=rows)
    lengths = entries.tolist()

    pe_of_row = np.empty(rows, np.int64)
    taken = [0] * num_pes
    heap = [(0, pe) for pe in range(num_pes)]
    for row in np.argsort(-entries, kind="stable").tolist():
        load, pe = heapq.heappop(heap)
        pe_of_row[row] = pe
        taken[pe] += 1
        if taken[pe] < room:
            heapq.heappush(heap, (load + lengths[row], pe))

    # Rows keep their order inside a PE: neighbours in the matrix, which are often pruned
    # alike, stay neighbours, and clustered entries need less padding than spread ones.
    by_pe = np.argsort(pe_of_row, kind="stable")
    first = np.cumsum([0, *taken[:-1]])
    local = np.empty(rows, np.int64)
    local[by_pe] = np.arange(rows) - np.repeat(first, taken)
    return local * num_pes + pe_of_row
