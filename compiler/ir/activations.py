"""Activation functions of recurrent cells in fixed point, bit for bit as the hardware's table."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.common.tanh import GATE_BITS, OFFSET_BITS, VALUE_FRAC, nodes

__all__ = ["sigmoid", "tanh"]

_NODES = np.array(nodes(), np.int64)
_LARGEST = (1 << (GATE_BITS - 1)) - 1


def _scaled(argument: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return tanh with ``VALUE_FRAC + OFFSET_BITS`` fraction bits, not rounded."""
    magnitude = np.minimum(np.abs(argument), _LARGEST)
    segment, offset = magnitude >> OFFSET_BITS, magnitude & ((1 << OFFSET_BITS) - 1)
    slope = _NODES[segment + 1] - _NODES[segment]
    return np.sign(argument) * ((_NODES[segment] << OFFSET_BITS) + slope * offset)


def tanh(argument: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return tanh with 15 fraction bits, of numbers of 16 bits with 12 fraction bits.

    The error is below 2**-12.
    """
    return _scaled(argument) + (1 << (OFFSET_BITS - 1)) >> OFFSET_BITS


def sigmoid(argument: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sigmoid with 15 fraction bits, of numbers of 16 bits with 11 fraction bits.

    It is ``(1 + tanh(x / 2)) / 2``, so its error is below 2**-13.
    """
    one = 1 << (VALUE_FRAC + OFFSET_BITS)
    return _scaled(argument) + one + (1 << OFFSET_BITS) >> (OFFSET_BITS + 1)
