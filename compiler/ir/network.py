"""A chain of Linear layers in fixed point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

__all__ = ["QuantLayer", "QuantNetwork"]


@dataclass(frozen=True)
class QuantLayer:
    """A layer in the arithmetic of the hardware (``value = integer * 2**-frac``).

    ``y = saturate((W[codes] x + bias + half) >> shift)``, then ReLU; accumulators wrap at
    ``acc_bits``.

    Parameters
    ----------
    name : the module's path in the network, for messages and tables.
    codes : (rows, cols) uint8, compressed columns with sorted rows; only non-zero codes stored.
    codebook : (2**code_bits,) int64 weights, entry 0 is 0, unused entries are 0.
    bias : (rows,) int64, with ``in_frac + weight_frac`` fraction bits.
    relu : clip negative outputs to 0.
    in_frac, weight_frac, out_frac : fraction bits of input, weights and output; may be negative.
    """

    name: str
    codes: csc_array
    codebook: NDArray[np.int64]
    bias: NDArray[np.int64]
    relu: bool
    in_frac: int
    weight_frac: int
    out_frac: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bias.size, self.codes.indptr.size - 1

    @property
    def shift(self) -> int:
        """Right shift from accumulator to output."""
        return self.in_frac + self.weight_frac - self.out_frac


@dataclass(frozen=True)
class QuantNetwork:
    """A chain of layers in fixed point.

    Each layer's ``in_frac`` is its predecessor's ``out_frac``.
    """

    input_shape: tuple[int, ...]
    layers: tuple[QuantLayer, ...]
