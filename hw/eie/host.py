"""What a host of an EIE array knows of it: spaces, rows, stall classes.

Plain Python: a host that drives a board needs no hardware description for them.
"""

import enum

from zeroskip.hw.eie.params import EieParams

__all__ = [
    "BOARD_KIND",
    "Space",
    "StallClass",
    "counter_row",
    "place_of",
    "stall_classes",
]


BOARD_KIND = 1
"""Kind of array that a board with an EIE array says it has."""


class Space(enum.IntEnum):
    """Host address spaces. Memories of PEs take the PE's number from the command."""

    CONTROL = 0
    PROGRAM = 1
    CODEBOOK = 2
    SPMAT = 3
    POINTER = 4
    BIAS = 5
    ACT = 6
    COUNTER = 7


class StallClass(enum.IntEnum):
    """What a PE did in a cycle of a run; every cycle of every PE is exactly one of these."""

    USEFUL = 0
    """Issued an entry with a non-zero weight."""
    PADDING = 1
    """Issued a padding entry."""
    FETCH = 2
    """Had work, but waited for its pointers or Spmat word, or met an empty column."""
    BLOCKED = 3
    """Had no work, while another PE's full queue held the broadcast back."""
    STARVED = 4
    """Had no work, and no activation was there to be broadcast."""
    TAIL = 5
    """Had finished the layer, while other PEs or the pipeline had not."""
    DRAIN = 6
    """Wrote outputs: bias, shift, ReLU."""
    SETUP = 7
    """Waited for the descriptor and the codebook of the layer."""
    MEMORY = 8
    """Had no work, and the scan waited for a row that was still streaming in."""
    SATURATED = 9
    """Drained a cell, and a state of it was beyond its range."""


def stall_classes(p: EieParams) -> tuple[StallClass, ...]:
    """Give the stall classes that an array counts: what it does not have, it need not count."""
    last = StallClass.SETUP
    if p.streams:
        last = StallClass.MEMORY
    if p.cells:
        last = StallClass.SATURATED
    return tuple(StallClass)[: last + 1]


def counter_row(p: EieParams, descriptor: int, stall: int) -> int:
    """Give the row of a counter in space COUNTER."""
    return descriptor << (len(stall_classes(p)) - 1).bit_length() | stall


# Space, first row, and rows from one word to the next, of an image's SRAMs.
_PLACES = {
    "program": (Space.PROGRAM, 0, 1),
    "codebook": (Space.CODEBOOK, 0, 1),
    "spmat": (Space.SPMAT, 0, 1),
    "ptr_even": (Space.POINTER, 0, 2),
    "ptr_odd": (Space.POINTER, 1, 2),
    "bias": (Space.BIAS, 0, 1),
}


def place_of(name: str) -> tuple[Space, int, int, int]:
    """Return space, PE, first row and step of an image's SRAM, for instance ``pe_3/spmat``."""
    *prefix, memory = name.split("/")
    space, first, step = _PLACES[memory]
    return space, int(prefix[0].removeprefix("pe_")) if prefix else 0, first, step
