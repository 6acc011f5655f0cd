"""Count the cycles that each column takes in each PE, from the SRAMs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.streams import ColumnStream

__all__ = ["ColumnWork", "column_work"]


@dataclass(frozen=True, eq=False)
class ColumnWork:
    """Cycles of the columns of a pass, (positions, num_pes) int32 each.

    Parameters
    ----------
    issue : cycles in which an entry is issued.
    padding : those of them that issue padding.
    after : those after the last that issues a non-zero weight.
    entries : stored entries, padding included.
    words : words of the Spmat SRAM that have entries of it.
    first : the first of them.
    """

    issue: NDArray[np.int32]
    padding: NDArray[np.int32]
    after: NDArray[np.int32]
    entries: NDArray[np.int32]
    words: NDArray[np.int32]
    first: NDArray[np.int32]


def column_work(streams: Sequence[ColumnStream], params: EieParams) -> ColumnWork:
    """Count the cycles of every column of a pass.

    Parameters
    ----------
    streams : of the pass, per PE.
    params : of the array.
    """
    positions = len(streams[0].pointers) - 1
    counts = np.zeros((6, positions, params.num_pes), np.int32)
    for pe, stream in enumerate(streams):
        _count(
            stream.codes,
            stream.pointers,
            params.entries_per_word,
            params.skip_padding,
            counts[:, :, pe],
        )
    return ColumnWork(*counts)


@njit(cache=True)
def _count(
    codes: NDArray[np.uint8],
    pointers: NDArray[np.int64],
    entries_per_word: int,
    skip_padding: bool,
    counts: NDArray[np.int32],
) -> None:
    """Walk the entries as ``zeroskip.hw.eie.spmat_read`` issues them."""
    for column in range(len(pointers) - 1):
        issue = padding = after = words = 0
        entry, end = pointers[column], pointers[column + 1]
        counts[3, column] = end - entry
        if entry < end:
            words = (end - 1) // entries_per_word - entry // entries_per_word + 1
            counts[5, column] = entry // entries_per_word
        while entry < end:
            stop = min(end, (entry // entries_per_word + 1) * entries_per_word)
            if skip_padding and codes[entry] == 0 and entry + 1 < stop:
                entry += 1
            issue += 1
            if codes[entry] == 0:
                padding += 1
                after += 1
            else:
                after = 0
            entry += 1
        counts[0, column] = issue
        counts[1, column] = padding
        counts[2, column] = after
        counts[4, column] = words
