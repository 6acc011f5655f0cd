"""Number the spaces and rows of an EIE array that a host can reach, in plain Python.

There they are part of the hardware description, which a host need not have. A test holds the two
together.
"""

import enum

from zeroskip.hw.common.control import Command, Control, StatusBit

__all__ = ["NUM_STALL_CLASSES", "Command", "Control", "Space", "StatusBit", "place_of"]

NUM_STALL_CLASSES = 8


class Space(enum.IntEnum):
    """Host address spaces."""

    CONTROL = 0
    PROGRAM = 1
    CODEBOOK = 2
    SPMAT = 3
    POINTER = 4
    BIAS = 5
    ACT = 6
    COUNTER = 7


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
