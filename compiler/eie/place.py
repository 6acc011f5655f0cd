"""Choose the PE and the local row of every row of every layer."""

import heapq
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.matrices import Matrix, matrices
from zeroskip.compiler.eie.order import order_columns, order_columns_of_pes
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "Activity",
    "Placement",
    "Strategy",
    "balance_rows",
    "column_counts",
    "is_interleaved",
    "local_rows",
    "place",
]

Strategy = Literal["interleave", "balance", "schedule"]
"""``interleave``: row i on PE i mod N, as in the paper. ``balance``: equal work per PE.
``schedule``: ``balance``, and activations in an order that keeps the PEs abreast."""

Activity = Sequence[NDArray[np.float64]]
"""Per layer (cols,): how often each input of the layer is not 0, from 0 to 1."""

Placement = tuple[NDArray[np.int64], ...]
"""Positions of the input's elements, then of each layer's rows.

A position is ``local_row * num_pes + pe``. The outputs of a layer are the columns of the next,
so column j of layer l stands at position ``placement[l][j]``, its row i at
``placement[l + 1][i]``.
"""


def place(
    network: QuantGraph,
    params: EieParams,
    strategy: Strategy,
    activity: Activity | None = None,
) -> Placement:
    """Place the input and the rows of every layer on the PEs.

    Which PE an activation comes from costs the hardware nothing, so only ``schedule`` moves the
    network's input.

    Parameters
    ----------
    network : layers to place.
    params : only ``num_pes`` matters.
    strategy : see :data:`Strategy`.
    activity : see :data:`Activity`; a column that is often 0 counts for little in the work of a
        PE. None: all count the same.

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
    layers = network.layers
    if strategy == "interleave":
        sizes = [math.prod(layers[0].in_shape), *(layer.out_shape[0] for layer in layers)]
        return tuple(np.arange(size, dtype=np.int64) for size in sizes)
    num_pes = params.num_pes
    of_layers = [matrices(layer, number) for number, layer in enumerate(layers)]
    often = [np.ones(math.prod(layer.in_shape)) for layer in layers]
    if activity is not None:
        often = list(activity)
    # Outputs of a recurrent layer that is the last are read by itself alone.
    often.append(np.ones(layers[-1].out_shape[0]))
    positions = [np.arange(len(often[0]), dtype=np.int64)]
    for number, layer in enumerate(layers):
        positions.append(balance_rows(of_layers[number], layer.out_shape[0], often, num_pes))
    if strategy == "schedule":
        for vector in range(len(positions)):
            readers = [one for found in of_layers for one in found if one.vector == vector]
            if not readers:
                continue
            work = np.zeros((len(often[vector]), num_pes), np.float32)
            for one in readers:
                work += column_counts(
                    one, often[vector], positions[one.layer + 1] % num_pes, num_pes
                )
            if vector == 0:
                positions[0][order_columns(work)] = np.arange(len(often[0]))
            else:
                pes = positions[vector] % num_pes
                positions[vector] = order_columns_of_pes(work, pes) * num_pes + pes
    return tuple(positions)


def is_interleaved(placement: Placement) -> bool:
    """Return whether every element's position is its index."""
    return all(np.array_equal(p, np.arange(len(p))) for p in placement)


def local_rows(positions: NDArray[np.int64], params: EieParams) -> int:
    """Count the rows of an activation file that the positions reach."""
    return int(positions.max()) // params.num_pes + 1


def column_counts(
    matrix: Matrix, often: NDArray[np.float64], pes: NDArray[np.int64], num_pes: int
) -> NDArray[np.float32]:
    """Count the entries of each column in each PE, times how often it is broadcast.

    Parameters
    ----------
    matrix : its columns are broadcast.
    often : (columns,) from 0 to 1.
    pes : of each output.
    num_pes : PEs.
    """
    counts = np.zeros((len(often), num_pes), np.int64)
    _count(matrix.codes.indptr, matrix.codes.indices, pes, counts)
    return (counts * often[:, None]).astype(np.float32)


@njit(cache=True)
def _count(
    ends: NDArray[np.integer[Any]],
    rows: NDArray[np.integer[Any]],
    pes: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Add up the weights of each column in each PE, (columns, num_pes), into an array of 0.

    All rows of a recurrent layer's hidden unit are on one PE, so row r is on that of r modulo the
    number of units.
    """
    for column in range(len(counts)):
        for weight in range(ends[column], ends[column + 1]):
            counts[column, pes[rows[weight] % len(pes)]] += 1


def balance_rows(
    found: Sequence[Matrix], rows: int, often: Activity, num_pes: int
) -> NDArray[np.int64]:
    """Give each output, the most work first, to the PE with the least work that has room.

    Room is ``ceil(rows / num_pes)`` rows, so that balance never costs accumulators or
    activation registers.
    """
    room = -(-rows // num_pes)
    counts = np.zeros((rows, len(found)))
    for place, matrix in enumerate(found):
        weights = np.repeat(often[matrix.vector], np.diff(matrix.codes.indptr))
        # All sums of a hidden unit are on its PE.
        counts[:, place] = np.bincount(matrix.codes.indices % rows, weights, minlength=rows)
    entries = counts.sum(axis=1)
    order = np.argsort(-entries, kind="stable").tolist()
    pe_of_row = np.empty(rows, np.int64)
    taken = [0] * num_pes
    if len(found) > 1:
        pe_of_row[:] = _evenly(counts, order, room, num_pes)
        taken = np.bincount(pe_of_row, minlength=num_pes).tolist()
        order = []
    lengths = entries.tolist()
    heap = [(0, pe) for pe in range(num_pes)]
    for row in order:
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


def _evenly(
    counts: NDArray[np.float64], order: Sequence[int], room: int, num_pes: int
) -> NDArray[np.int64]:
    """Give each hidden unit a PE so that all PEs have equal work in each of several passes.

    Between passes PEs wait for one another. Where weights were pruned evenly already, interleaved
    units stay.

    Parameters
    ----------
    counts : (units, passes) work.
    order : of the units, the most work first.
    room : units of a PE, at most.
    num_pes : PEs.
    """

    def slowest(pes: NDArray[np.int64]) -> float:
        return sum(np.bincount(pes, work, minlength=num_pes).max(initial=0.0) for work in counts.T)

    shares = counts / np.maximum(counts.sum(axis=0), 1)
    loads, taken = np.zeros((num_pes, counts.shape[1])), np.zeros(num_pes, np.int64)
    chosen = np.empty(len(counts), np.int64)
    for unit in order:
        # Of PEs whose fullest pass would be the same, that which has least in all.
        after = loads + shares[unit]
        cost = after.max(axis=1) + 1e-3 * after.sum(axis=1) + 1e9 * (taken >= room)
        pe = int(cost.argmin())
        chosen[unit] = pe
        loads[pe] = after[pe]
        taken[pe] += 1
    interleaved = np.arange(len(counts)) % num_pes
    return interleaved if slowest(interleaved) <= slowest(chosen) else chosen
