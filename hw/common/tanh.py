"""Hyperbolic tangent as straight segments: the numbers that RTL and arithmetic share.

An argument has :data:`ARGUMENT_FRAC` fraction bits and 16 bits, so it is in [-8, 8); a value has
:data:`VALUE_FRAC`. As ``sigmoid(x) = (1 + tanh(x / 2)) / 2``, the same segments serve the sigmoid
of an argument with one fraction bit fewer, in [-16, 16).
"""

import math
from enum import IntEnum

__all__ = [
    "ARGUMENT_FRAC",
    "GATE_BITS",
    "OFFSET_BITS",
    "SEGMENTS",
    "VALUE_FRAC",
    "Function",
    "nodes",
]

GATE_BITS = 16
"""Width of an argument and of a value, signed."""
ARGUMENT_FRAC = 12
"""Fraction bits of an argument of tanh; that of a sigmoid has one fewer."""
VALUE_FRAC = 15
"""Fraction bits of a value."""
SEGMENTS = 128
"""Segments of [0, 8); tanh is odd."""
OFFSET_BITS = GATE_BITS - 1 - 7
"""Bits of an argument's place inside its segment."""


class Function(IntEnum):
    """What is made of an argument."""

    TANH = 0
    SIGMOID = 1
    IDENTITY = 2
    """The argument itself, in the time that the others take."""


def nodes() -> tuple[int, ...]:
    """Return the values at the ends of the segments, in steps of ``2**-VALUE_FRAC``.

    Chords lie below a curve that bends down. So each node is moved up by half of the most that a
    chord misses there, and the error, above and below, is half as large. The first one stays 0, as
    tanh does not bend there. None is above the largest value but one: a sigmoid adds 1 to it, and
    half a step, and halves the sum.
    """
    width = 2.0 ** (OFFSET_BITS - ARGUMENT_FRAC)
    largest = (1 << VALUE_FRAC) - 2
    found: list[int] = []
    for number in range(SEGMENTS + 1):
        value = math.tanh(number * width)
        bend = 2.0 * value * (1.0 - value * value)
        found.append(min(largest, round((value + width * width / 16 * bend) * 2.0**VALUE_FRAC)))
    return tuple(found)
