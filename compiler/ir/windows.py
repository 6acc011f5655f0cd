"""Sums and maxima over the windows of planes, in float64 or in integers modulo ``2**64``."""

from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import FloatPool, Pair

__all__ = ["convolve", "divisors", "elements", "maxima"]


_Number = TypeVar("_Number", np.float64, np.int64, np.uint64)

_BLOCK = 1 << 22
"""Elements of unfolded windows at a time, to bound memory."""


def convolve(
    x: NDArray[_Number],
    weight: NDArray[_Number],
    stride: Pair,
    padding: Pair,
    out_size: Pair,
    groups: int,
) -> NDArray[_Number]:
    """Return the sums of a convolution.

    Parameters
    ----------
    x : (samples, C, H, W).
    weight : (K, C // groups, R, S), of the type of ``x``.
    stride, padding : down and across; padding above and to the left.
    out_size : rows and columns of the output, which may need zeros below and to the right.
    groups : as in ``torch.nn.Conv2d``.

    Returns
    -------
    (samples, K, *out_size).
    """
    depth, fan, *kernel = weight.shape
    taps = fan * kernel[0] * kernel[1]
    windows = _windows(x, (kernel[0], kernel[1]), stride, padding, out_size, 0)
    matrix = weight.reshape(groups, depth // groups, taps)
    y = np.empty((len(x), depth, *out_size), x.dtype)
    samples = max(1, _BLOCK // (groups * taps * out_size[0] * out_size[1]))
    lines = max(1, _BLOCK // (groups * taps * out_size[1]))
    for first in range(0, len(x), samples):
        for top in range(0, out_size[0], lines):
            block = windows[first : first + samples, :, top : top + lines]
            unfolded = block.transpose(0, 1, 4, 5, 2, 3).reshape(len(block), groups, taps, -1)
            sums = (matrix @ unfolded).reshape(len(block), depth, -1, out_size[1])
            y[first : first + samples, :, top : top + lines] = sums
    return y


def maxima(
    x: NDArray[_Number], kernel: Pair, stride: Pair, padding: Pair, out_size: Pair
) -> NDArray[_Number]:
    """Return the largest element inside the plane of each window; sizes as in :func:`convolve`.

    A window that lies outside the plane gives the lowest number that ``x`` can hold.
    """
    kind: Any = x.dtype
    lowest: Any = -np.inf if kind.kind == "f" else np.iinfo(kind).min
    windows = _windows(x, kernel, stride, padding, out_size, lowest)
    y = np.full(windows.shape[:4], lowest, x.dtype)
    for r, s in np.ndindex(*kernel):
        np.maximum(y, windows[..., r, s], out=y)
    return y


def _windows(
    x: NDArray[_Number], kernel: Pair, stride: Pair, padding: Pair, out_size: Pair, fill: float
) -> NDArray[_Number]:
    """Return a view (samples, C, P, Q, R, S), with ``fill`` outside the plane."""
    need = [(n - 1) * s + k for n, s, k in zip(out_size, stride, kernel, strict=True)]
    after = [
        max(0, n - size - pad) for n, size, pad in zip(need, x.shape[2:], padding, strict=True)
    ]
    sides = ((0, 0), (0, 0), (padding[0], after[0]), (padding[1], after[1]))
    padded = np.pad(x, sides, constant_values=fill)[:, :, : need[0], : need[1]]
    return sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]


def divisors(pool: FloatPool, plane: Pair) -> NDArray[np.int64]:
    """Return what torch divides each window of an average by, (P, Q)."""
    if pool.divisor is not None:
        return np.full(pool.out_size, pool.divisor)
    return _elements(pool, plane, padding=pool.count_include_pad)


def elements(pool: FloatPool, plane: Pair) -> NDArray[np.int64]:
    """Return how many elements of each window are inside the plane, (P, Q)."""
    return _elements(pool, plane, padding=False)


def _elements(pool: FloatPool, plane: Pair, *, padding: bool) -> NDArray[np.int64]:
    """Count elements of windows, with those on padding or without."""
    sides = []
    for size, k, s, pad, n in zip(
        plane, pool.kernel, pool.stride, pool.padding, pool.out_size, strict=True
    ):
        first = np.arange(n) * s - pad
        last = np.minimum(first + k, size + pad)
        if not padding:
            first, last = np.maximum(first, 0), np.minimum(last, size)
        sides.append(last - first)
    return np.outer(*sides)
