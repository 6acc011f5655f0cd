"""A network between the passes of the compiler: in float, then in fixed point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

__all__ = ["FloatLayer", "FloatNetwork", "QuantLayer", "QuantNetwork"]


@dataclass(frozen=True)
class FloatLayer:
    """``y = W x + b``, then ReLU if ``relu``.

    Parameters
    ----------
    name : the module's path in the network, for messages and tables.
    weight : (rows, cols) float64, zeros are pruned weights.
    bias : (rows,) float64.
    relu : clip negative outputs to 0.
    folded : names of the BatchNorm and other scaling steps that were folded into the weights,
        which may have given every row or column values of its own.
    values : different weights but 0 that there were before that, if a codebook could hold them.
    """

    name: str
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool
    folded: tuple[str, ...] = ()
    values: int | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.weight.shape[0], self.weight.shape[1]


@dataclass(frozen=True)
class FloatNetwork:
    """A chain of layers.

    Parameters
    ----------
    input_shape : shape of one sample, without the batch; its elements in C order are the
        first layer's columns.
    layers : at least one.
    """

    input_shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]


@dataclass(frozen=True)
class QuantLayer:
    """A layer in the arithmetic of the hardware (``value = integer * 2**-frac``).

    ``y = saturate((W[codes] x + bias + half) >> shift)``, then ReLU; accumulators wrap at
    ``acc_bits``.

    Parameters
    ----------
    name : as in :class:`FloatLayer`.
    codes : (rows, cols) uint8, compressed columns with sorted rows; only non-zero codes stored.
    codebook : (2**code_bits,) int64 weights, entry 0 is 0, unused entries are 0.
    bias : (rows,) int64, with ``in_frac + weight_frac`` fraction bits.
    relu : as in :class:`FloatLayer`.
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
