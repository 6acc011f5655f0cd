"""Cut the outputs of an average into rectangles that are divided by the same number.

Windows that hang over the plane (``ceil_mode``), or over padding that does not count, have fewer
elements than the others. Arrays multiply instead of dividing, so their weights are larger.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["Divided", "divided_areas"]


@dataclass(frozen=True)
class Divided:
    """Outputs of an average that are divided by the same number.

    Parameters
    ----------
    y0, x0, height, width : the rectangle of the output plane.
    divisor : what they are divided by.
    elements : at most so many elements of a window are inside the plane.
    """

    y0: int
    x0: int
    height: int
    width: int
    divisor: int
    elements: int


def divided_areas(divisors: NDArray[np.int64], elements: NDArray[np.int64]) -> tuple[Divided, ...]:
    """Cut an output plane where the divisor changes.

    Parameters
    ----------
    divisors : (P, Q), of each output; a product of one number for its row and one for its column.
    elements : (P, Q), how many elements of each window are inside the plane.

    Returns
    -------
    Rectangles that cover the plane, row-major.
    """
    rows, columns = _changes(divisors[:, 0]), _changes(divisors[0])
    found: list[Divided] = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            inside = elements[top:bottom, left:right]
            size = bottom - top, right - left
            found.append(Divided(top, left, *size, int(divisors[top, left]), int(inside.max())))
    return tuple(found)


def _changes(numbers: NDArray[np.int64]) -> list[int]:
    """Return where each run of equal numbers begins, and the end."""
    return [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
