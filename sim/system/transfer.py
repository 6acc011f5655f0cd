"""What an engine does that asks for the beats of INPUT and OUTPUT itself, as time goes."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROW_FIELDS", "Slot", "Transfer"]

ROW_FIELDS = 5
"""Numbers of a row, see :class:`Transfer`."""


class Slot(enum.IntEnum):
    """What the engine waits for in a cycle before it goes on; ``ASKS`` is added to others."""

    GO = 0
    """Nothing."""
    VALUE = 1
    """A value of an INPUT is there; or of an OUTPUT, the one before has been taken."""
    ANSWER = 2
    """What it asked its array for has come."""
    END = 3
    """The last value of an OUTPUT has been taken."""
    ASKS = 4
    """It asks its array for something when it goes on."""
    WRITES = 8
    """Of an INPUT: when what it goes on with is written, two steps later, that takes a cycle more.
    """


@dataclass(frozen=True, eq=False)
class Transfer:
    """An INPUT or OUTPUT.

    Parameters
    ----------
    rows : (n, 5) int64, for each cycle in which nothing keeps it, what is asked for: the first beat
        behind the command's address; beats, 0 for none; lane of the first value; lanes from there
        to the last beat's end of values; whether these beats are there at all.
    slots : (m,) uint8, what is done with values, a :class:`Slot` a cycle.
    step : lanes from a value to the next.
    lanes : values of a beat.
    """

    rows: NDArray[np.int64]
    slots: NDArray[np.uint8]
    step: int
    lanes: int
