"""Prove that no sum in an accumulator can overflow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.passes.share import SharedWeights

__all__ = [
    "AccumulatorRange",
    "accumulator_range",
    "count_values",
    "largest_bias",
    "too_large_bias",
]

_MAX_BIAS_BITS = 62
"""Biases of more bits would not survive the way through int64."""


@dataclass(frozen=True)
class AccumulatorRange:
    """All that accumulators can hold, whatever the input and the order of additions.

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


def count_values(shared: SharedWeights, rows: int) -> NDArray[np.int64]:
    """Return how often each of ``rows`` rows has each value, (rows, len(values))."""
    count = shared.values.size
    place = shared.codes.indices.astype(np.int64)
    place *= count
    place += shared.codes.data
    # Codes start at 1.
    counts = np.bincount(place - 1, minlength=rows * count) if count else np.zeros(0, np.int64)
    return counts.reshape(rows, count)


def accumulator_range(
    counts: NDArray[np.int64],
    weights: NDArray[np.int64],
    bias: NDArray[np.int64],
    half: int,
    act_limits: tuple[int, int],
) -> AccumulatorRange:
    """Bound every partial sum of ``sum(weight * activation)``, then ``+ bias + half``.

    A partial sum is largest with the largest activation at each positive weight and the smallest
    at each negative one, and those products alone; likewise for the smallest.

    Parameters
    ----------
    counts : (rows, n) how often row has each weight.
    weights : (n,) below 2**32 in magnitude.
    bias : (rows,).
    half : what is added to round.
    act_limits : smallest, at most 0, and largest, at least 0, activation.
    """
    # At most 2**31 columns of weights below 2**32 stay within int64; times an activation they
    # need not, hence Python integers (dtype object).
    positive = (counts @ np.maximum(weights, 0)).astype(object)
    negative = (counts @ np.maximum(-weights, 0)).astype(object)
    least, most = act_limits
    high = positive * most - negative * least
    low = positive * least - negative * most
    added = bias.astype(object) + half
    return AccumulatorRange(
        low=int(min(low.min(), (low + added).min())),
        high=int(max(high.max(), (high + added).max())),
    )
