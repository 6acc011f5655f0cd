"""What a layer of EIE computes, for errors of rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.passes.fixed_point import requantize

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
    """Compute a layer, with sums that wrap at ``acc_bits`` as the hardware's do.

    Quantization has proven that none does, but a report that took this for granted could not
    show a proof that is wrong. The golden model is the law and says the same (a test compares
    them), but belongs to ``sim``, which the compiler does not import.
    """
    stored: Any = codes
    values = codebook.astype(np.int64).view(np.uint64)[stored.data]
    weights = csc_array((values, stored.indices, stored.indptr), shape=stored.shape)
    sums = weights @ np.ascontiguousarray(x, np.int64).view(np.uint64)
    y, clipped = requantize(
        sums.view(np.int64), bias[:, None], shift, relu, act_bits=act_bits, acc_bits=acc_bits
    )
    return y, np.count_nonzero(clipped, axis=0)
