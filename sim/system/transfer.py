"""What an engine does that asks for the beats of INPUT and OUTPUT itself, as time goes."""

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COUNT_SHIFT",
    "FOREIGN",
    "MOST_UNITS",
    "ROW_FIELDS",
    "InSlot",
    "OutSlot",
    "Transfer",
    "UnitTransfer",
]

MOST_UNITS = 4
"""Units of an engine that move parts of an INPUT or OUTPUT at a time, at most."""

ROW_FIELDS = 5
"""Numbers of a row, see :class:`UnitTransfer`."""

FOREIGN = -1
"""Among the tiles of an OUTPUT, in place of the channels of a PE that another unit serves."""

COUNT_SHIFT = 4
"""From this bit of an :class:`OutSlot` up, how many values are given."""


class InSlot(enum.IntFlag):
    """A step of an INPUT; what it makes is written two steps later."""

    VALUE = 1
    """It takes values."""
    FIRST = 2
    """It makes a word."""
    SECOND = 4
    """It makes another, which waits for a step that makes none."""
    ENDS = 8
    """It makes a directory entry; if a word is written with that, it takes a cycle more."""
    PE = 16
    """It begins with the next PE."""


class OutSlot(enum.IntFlag):
    """A step of an OUTPUT."""

    GIVES = 1
    """It gives values, so the ones before must have been taken."""
    NEEDS = 2
    """A word that was asked for must have come."""
    POPS = 4
    """It is done with the word."""
    ENDS = 8
    """It is done with the channel."""


@dataclass(frozen=True, eq=False)
class UnitTransfer:
    """What a unit moves of an INPUT or OUTPUT.

    Parameters
    ----------
    rows : (n, 5) int64, for each cycle in which nothing keeps it, what is asked for: the first beat
        behind the command's address; beats, 0 for none; lane of the first value; lanes from there
        to the last beat's end of values; whether these beats are there at all.
    slots : (m,) uint8, its steps: of an INPUT :class:`InSlot`, of an OUTPUT :class:`OutSlot`.
    tiles : (k,) int64, of an OUTPUT, of each PE: its channels, and the words of each, or that it is
        :data:`FOREIGN`. Of an INPUT, of each PE, its number, and the words that there is room for;
        others are not written.
    """

    rows: NDArray[np.int64]
    slots: NDArray[np.uint8]
    tiles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Transfer:
    """An INPUT or OUTPUT.

    Parameters
    ----------
    units : of the engine, that take turns at the memory's port, a row each; they have beats waiting
        if they are several.
    step : lanes from a value to the next.
    lanes : values of a beat.
    group : values that are moved in a cycle at most.
    ahead : rows that are asked for, and not read or written yet, at most.
    beats : of each unit, that wait at most.
    pes, base, entries : of an INPUT, PEs, and the directory entries that each of them gets.
    """

    units: tuple[UnitTransfer, ...]
    step: int
    lanes: int
    group: int
    ahead: int
    beats: int
    pes: int = 0
    base: int = 0
    entries: int = 0
