"""Bound the sums in accumulators, whatever the inputs and the order of additions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AccumulatorRange", "Products", "bound_sums", "largest_bias", "too_large_bias"]

_MAX_BIAS_BITS = 62
"""Biases of more bits would not survive the way through int64."""

_BLOCK = 1 << 22
"""Codes at a time, to bound memory."""


@dataclass(frozen=True)
class AccumulatorRange:
    """All that accumulators can hold.

    Parameters
    ----------
    low, high : smallest and largest partial sum.
    """

    low: int
    high: int

    @property
    def bits(self) -> int:
        """Width of a two's complement accumulator that holds the range."""
        return 1 + max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low else 0)


def largest_bias(acc_bits: int) -> float:
    """Return what a bias must be smaller than to be stored as wide as an accumulator."""
    return 2.0 ** min(_MAX_BIAS_BITS, acc_bits - 1)


def too_large_bias(bias: NDArray[np.float64], acc_bits: int) -> str:
    """Return why a layer whose biases are too large for its steps has no format."""
    return (
        f"its largest bias, {np.abs(bias).max():.3g}, is beyond accumulators of "
        f"acc_bits = {acc_bits} in steps that are as fine as its inputs and weights"
    )


class Products:
    """Which weights each output multiplies with elements of each tensor.

    Parameters
    ----------
    codes : (K, fan, R, S) whole numbers, 0 for weight 0.
    count : codes but 0.
    sources : (groups, fan), of each channel that a group reads the number of its tensor.
    tensors : how many there are.
    """

    def __init__(
        self,
        codes: NDArray[np.unsignedinteger],
        count: int,
        sources: NDArray[np.int64],
        tensors: int,
    ) -> None:
        self._codes, self._sources, self._tensors = codes, sources, tensors
        # Codebooks of large layers hold few values: how often a row has each is all that counts.
        few = tensors * count <= codes[:1].size
        self._counts = self._count(count) if few else None

    def _count(self, count: int) -> NDArray[np.int64]:
        """Return how often each output has each weight of each tensor, (K, tensors, count)."""
        depth, _, *kernel = self._codes.shape
        size = self._tensors * (count + 1)
        per_group = depth // len(self._sources)
        first = np.repeat(self._sources * (count + 1), kernel[0] * kernel[1], axis=1)
        flat = self._codes.reshape(depth, -1)
        step = max(1, _BLOCK // max(1, flat.shape[1]))
        counts = np.empty((depth, size), np.int64)
        for row in range(0, depth, step):
            block = flat[row : row + step]
            rows = np.arange(len(block))
            places = block + first[(row + rows) // per_group]
            places += rows[:, None] * size
            found = np.bincount(places.ravel(), minlength=len(block) * size)
            counts[row : row + step] = found.reshape(len(block), size)
        return counts.reshape(depth, self._tensors, count + 1)[:, :, 1:]

    def sums(self, weights: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Add up positive weights, and the magnitudes of negative ones.

        Parameters
        ----------
        weights : (count,) below 2**32 in magnitude; code ``k`` stands for ``weights[k - 1]``.

        Returns
        -------
        (K, tensors) each; fewer than 2**31 terms stay within int64.
        """
        if self._counts is not None:
            return self._counts @ np.maximum(weights, 0), self._counts @ np.maximum(-weights, 0)
        dense = np.concatenate([[0], weights])[self._codes]
        return self._by_tensor(np.maximum(dense, 0)), self._by_tensor(np.maximum(-dense, 0))

    def _by_tensor(self, dense: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up (K, fan, R, S) over the channels of each tensor."""
        groups, fan = self._sources.shape
        member = np.arange(self._tensors) == self._sources[:, :, None]
        sums = dense.sum(axis=(2, 3)).reshape(groups, -1, fan) @ member.astype(np.int64)
        return sums.reshape(len(dense), self._tensors)


def bound_sums(
    positive: NDArray[np.int64], negative: NDArray[np.int64], in_limits: NDArray[np.int64]
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return the smallest and the largest partial sum of each output, (K,) Python integers.

    A partial sum is largest with the largest input at each positive weight and the smallest at
    each negative one, and those products alone; likewise for the smallest. Inputs may be 0 as
    well: terms may be missing, and planes have zeros around them.

    Parameters
    ----------
    positive, negative : see :meth:`Products.sums`.
    in_limits : (tensors, 2), smallest and largest element of each tensor.
    """
    # int64 would not hold every sum times every activation.
    least = np.minimum(in_limits[:, 0], 0).astype(object)
    most = np.maximum(in_limits[:, 1], 0).astype(object)
    up, down = positive.astype(object), negative.astype(object)
    return up @ least - down @ most, up @ most - down @ least
