"""Zeros as runs: where the non-zero elements of a flattened tensor are, in NumPy alone.

An entry is a symbol and the number of zeros before it. A run too long for its bits is broken by
filler entries, symbol 0 after the longest run (Han et al., ICLR 2016, figure 2). Zeros at the end
are not written, unless there are very many.
"""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError

__all__ = ["MOST_TRAILING", "from_entries", "to_entries"]

MOST_TRAILING = 1 << 12
"""Zeros at the end that are not written; of more, fillers tell, so that a reader need not believe
in a tensor of any size without a byte of it."""


def to_entries(
    flat: NDArray[np.integer], run_bits: int
) -> tuple[NDArray[np.integer], NDArray[np.uint8]]:
    """Return the entries of ``flat``: symbols, and zeros before each.

    Parameters
    ----------
    flat : (n,) symbols, 0 for a zero.
    run_bits : 1 to 8.
    """
    span = 1 << run_bits
    place = np.flatnonzero(flat)
    gap = np.diff(place, prepend=-1) - 1
    ends = np.cumsum(gap // span + 1) - 1
    count = int(ends[-1]) + 1 if ends.size else 0
    trailing = flat.size - (int(place[-1]) + 1 if place.size else 0)
    if trailing > MOST_TRAILING:
        count += trailing // span
    symbols = np.zeros(count, flat.dtype)
    runs = np.full(count, span - 1, np.uint8)
    symbols[ends] = flat[place]
    runs[ends] = gap % span
    return symbols, runs


def from_entries(
    symbols: NDArray[np.integer], runs: NDArray[np.integer], size: int
) -> NDArray[np.integer]:
    """Return the (size,) symbols that the entries stand for.

    Raises
    ------
    InputError
        If the entries run past ``size``.
    """
    place = np.cumsum(runs.astype(np.int64) + 1) - 1
    if place.size and place[-1] >= size:
        raise InputError(f"runs end at element {place[-1]}, but the tensor has only {size}")
    flat = np.zeros(size, symbols.dtype)
    flat[place] = symbols
    return flat
