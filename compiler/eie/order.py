"""Choose the order in which columns are broadcast, so that the PEs stay abreast of each other."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit

__all__ = ["order_columns", "order_columns_of_pes"]

_WINDOW = 256
"""Columns that are compared for each place in the order: keeps the time linear in columns."""


def order_columns(work: NDArray[np.float32]) -> NDArray[np.int64]:
    """Order columns so that at any time every PE has had about the same work.

    A PE that is ahead of the others starves once its lead is longer than their queues. So each
    next column is the one, of a window, that leaves the smallest sum of squares of what PEs are
    ahead or behind.

    Parameters
    ----------
    work : (cols, num_pes) entries of each column in each PE, times how often it is broadcast.

    Returns
    -------
    (cols,) the columns in their order.
    """
    cols = len(work)
    return _order(work, np.arange(cols), np.array([0, cols]), np.zeros(cols, np.int64))


def order_columns_of_pes(
    work: NDArray[np.float32], pe_of_column: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Order columns whose activations have their PEs already: only rows inside a PE may change.

    Parameters
    ----------
    work : as for :func:`order_columns`.
    pe_of_column : (cols,) the PE that holds the activation.

    Returns
    -------
    (cols,) the local row of each column's activation.
    """
    cols, num_pes = work.shape
    by_pe = np.argsort(pe_of_column, kind="stable")
    bounds = np.searchsorted(pe_of_column[by_pe], np.arange(num_pes + 1))
    # The scan goes through the PEs within a row of the activation files.
    sizes = np.diff(bounds)
    rows = np.arange(sizes.max(initial=0))
    turns = np.broadcast_to(np.arange(num_pes), (len(rows), num_pes))[rows[:, None] < sizes]
    order = _order(work, by_pe, bounds, turns.astype(np.int64))
    local = np.empty(cols, np.int64)
    local[order] = np.broadcast_to(rows[:, None], (len(rows), num_pes))[rows[:, None] < sizes]
    return local


@njit(cache=True)
def _order(
    work: NDArray[np.float32],
    waiting: NDArray[np.int64],
    bounds: NDArray[np.int64],
    turns: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Take columns group by group in ``turns``; group g waits in waiting[bounds[g]:bounds[g+1]]."""
    cols, num_pes = work.shape
    waiting, head = waiting.copy(), bounds[:-1].copy()
    own = np.empty(cols, np.float32)
    for column in range(cols):
        mean = work[column].sum() / num_pes
        own[column] = (work[column] ** 2).sum() - num_pes * mean * mean
    ahead = np.zeros(num_pes, np.float32)
    order = np.empty(cols, np.int64)
    for place in range(cols):
        group = turns[place]
        first = head[group]
        best, least = first, np.float32(np.inf)
        for turn in range(first, min(first + _WINDOW, bounds[group + 1])):
            column = waiting[turn]
            cost = own[column]
            for pe in range(num_pes):
                cost += 2 * ahead[pe] * work[column, pe]
            if cost < least:
                best, least = turn, cost
        column = waiting[best]
        waiting[best] = waiting[first]
        head[group] = first + 1
        order[place] = column
        ahead += work[column] - work[column].sum() / num_pes
    return order
