"""What a layer of EIE computes, for errors of rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from compiler.fixed_point import limits

__all__ = ["run_layer"]


def run_layer(
    codes: csc_array,
    codebook: NDArray[np.int64],
    bias: NDArray[np.int64],
    shift: int,
    relu: bool,
    x: NDArray[np.int64],
    *,
    act_bits: int,
    acc_bits: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute a layer whose sums cannot wrap, which quantization has proven of this one.

    The golden model is the law and says the same (a test compares them), but belongs to ``sim``,
    which the compiler does not import.
    """
    del acc_bits
    stored: Any = codes
    values = codebook[stored.data], stored.indices, stored.indptr
    weights = csc_array(values, shape=stored.shape)
    low, high = limits(act_bits)
    y = (weights @ x + bias[:, None] + ((1 << shift) >> 1)) >> shift
    clipped = y > high if relu else (y > high) | (y < low)
    return np.clip(y, 0 if relu else low, high), np.count_nonzero(clipped, axis=0)
