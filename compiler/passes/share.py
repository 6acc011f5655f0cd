"""Weight sharing: read it off a layer's weights, or make it by clustering."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic

__all__ = ["SharedWeights", "bits_for", "cluster", "distinct_values", "share_layer"]

_SAMPLE = 4096
"""Weights looked at first for distinct values; layers without sharing show in them."""

_MAX_STEPS = 300
"""Most steps of k-means, which nearly always stops by itself long before."""


@dataclass(frozen=True, eq=False)
class SharedWeights:
    """Weights as codes of shared values.

    Parameters
    ----------
    codes : whole numbers of the weights' shape, as narrow as they can be; 0 is weight 0.
    values : (count,) float64, ascending; code ``k`` stands for ``values[k - 1]``.
    clustered : the values are centroids, not the layer's own.
    distinct : how many values the layer had.
    snr_db : how far its weights are above what clustering changed; None if nothing.
    """

    codes: NDArray[np.unsignedinteger]
    values: NDArray[np.float64]
    clustered: bool = False
    distinct: int = 1
    snr_db: float | None = None

    @property
    def weight(self) -> NDArray[np.float64]:
        """The weights that the codes stand for."""
        return np.concatenate([[0.0], self.values])[self.codes]

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest weight, 0 among them."""
        return float(self.values.min(initial=0.0)), float(self.values.max(initial=0.0))


def bits_for(values: int) -> int:
    """Return the width of codes for ``values`` values besides 0."""
    return max(1, values.bit_length())


def distinct_values(weight: NDArray[np.float64], limit: int) -> int:
    """Count the distinct values of weights that are not 0; ``limit + 1`` if there are more."""
    flat = np.ravel(weight)
    # Often a few weights have more values already.
    for some in (flat[:_SAMPLE], flat):
        values = _few_values(some[some != 0], limit)
        if values is None:
            return limit + 1
    return values.size


def share_layer(
    layer: FloatConv | FloatLinear,
    arithmetic: Arithmetic,
    *,
    share: bool = False,
    reserved: int = 0,
) -> SharedWeights:
    """Return the weights of ``layer`` as codes of shared values.

    Zeros stay zeros. A layer that has as few values as a codebook holds keeps them exactly;
    another is clustered if ``share``. Otherwise it keeps all its values, to be stored plain.

    Parameters
    ----------
    layer : the layer.
    arithmetic : of the array that computes it.
    share : cluster the weights of a layer that has too many values.
    reserved : entries of the codebook to leave when clustering.

    Raises
    ------
    CompileError
        If the layer has more values, is not to be clustered, and the array has no plain weights.
    """
    limit = arithmetic.max_values
    # Without codebooks, all weights are plain.
    share = share and limit > 0
    few = max(1, limit - reserved) if share else limit
    weight = np.ascontiguousarray(layer.weight, np.float64).ravel()
    position = np.flatnonzero(weight)
    nonzero = weight[position]
    values, ordered = _few_values(nonzero, few), nonzero
    clustered = values is None and (share or not arithmetic.plain_bits)
    snr_db: float | None = None
    if values is None:
        ordered = np.sort(nonzero)
        values = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    distinct = values.size
    if clustered:
        values = cluster(ordered, few)
    # Own values are looked up as they are: a midpoint of two neighbours may round to either.
    index = np.searchsorted(_midpoints(values) if clustered else values, nonzero)
    if clustered:
        snr_db = _snr_db(nonzero, values[index])
        if not share:
            raise CompileError(_too_many(layer, distinct, snr_db, arithmetic))
    codes = np.zeros(weight.size, np.min_scalar_type(values.size))
    codes[position] = index + 1
    return SharedWeights(codes.reshape(layer.weight.shape), values, clustered, distinct, snr_db)


def cluster(
    weights: NDArray[np.float64], count: int, start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return at most ``count`` centroids of k-means in one dimension, ascending.

    Centroids start evenly spaced from the smallest to the largest weight, which keeps the few
    large weights that matter most (Han et al., "Deep Compression", ICLR 2016, section 3.2).
    Deterministic; exact, in that each step assigns every weight.

    Parameters
    ----------
    weights : (n,) any order.
    count : centroids, at least 1.
    start : (at most count,) centroids to start from instead.
    """
    if not weights.size:
        return np.zeros(0)
    ordered = weights if (weights[1:] >= weights[:-1]).all() else np.sort(weights)
    # A cluster is a range of the ordered weights, so its mean is a difference of running sums.
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centroids = np.linspace(ordered[0], ordered[-1], count) if count > 1 else ordered[:1]
    if start is not None:
        centroids = np.unique(start)
    for _ in range(_MAX_STEPS):
        inner = np.searchsorted(ordered, _midpoints(centroids), side="right")
        bounds = np.concatenate([[0], inner, [ordered.size]])
        sizes = np.diff(bounds)
        kept = sizes > 0
        means = np.diff(sums[bounds])[kept] / sizes[kept]
        # An empty cluster is given half of the one that spreads most.
        while means.size < count:
            split = _split(ordered, means)
            if split is None:
                break
            means = split
        if np.array_equal(means, centroids):
            break
        centroids = means
    # Differences of running sums lose digits beside far larger weights; the result need not.
    bounds = [0, *np.searchsorted(ordered, _midpoints(centroids), side="right"), ordered.size]
    parts = [ordered[a:b] for a, b in itertools.pairwise(bounds) if a < b]
    return np.array([np.clip(part.mean(), part[0], part[-1]) for part in parts])


def _split(ordered: NDArray[np.float64], centroids: NDArray[np.float64]) -> NDArray | None:
    """Return one centroid more, by halving the widest cluster, or None if all are points."""
    inner = np.searchsorted(ordered, _midpoints(centroids), side="right")
    first = np.concatenate([[0], inner])
    last = np.concatenate([inner, [ordered.size]]) - 1
    width = np.where(last >= first, ordered[last] - ordered[np.minimum(first, last)], 0.0)
    widest = int(np.argmax(width))
    if width[widest] <= 0.0:
        return None
    low, high = ordered[first[widest]], ordered[last[widest]]
    rest = np.delete(centroids, widest)
    return np.sort(np.concatenate([rest, [low + 0.25 * (high - low), low + 0.75 * (high - low)]]))


def _midpoints(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the borders between ascending ``values``; a weight on a border takes the lower."""
    return values[:-1] + (values[1:] - values[:-1]) / 2


def _few_values(nonzero: NDArray[np.float64], limit: int) -> NDArray[np.float64] | None:
    """Return the distinct values, ascending, or None if there are more than ``limit``."""
    values = np.unique(nonzero[:_SAMPLE])
    # Sorting millions of weights to find 15 values takes seconds; looking each up takes less.
    while values.size <= limit:
        if not values.size:
            return values
        index = np.minimum(np.searchsorted(values, nonzero), values.size - 1)
        new = nonzero[values[index] != nonzero]
        if not new.size:
            return values
        values = np.union1d(values, new[:_SAMPLE])
    return None


def _snr_db(exact: NDArray[np.float64], changed: NDArray[np.float64]) -> float:
    """Return how far ``exact`` is above its difference from ``changed``, which is not all 0."""
    scale = np.abs(exact).max()  # squares of very small and very large weights stay finite
    signal, error = np.sum((exact / scale) ** 2), np.sum(((exact - changed) / scale) ** 2)
    return float(10 * np.log10(signal / max(error, np.finfo(float).tiny)))


def _too_many(
    layer: FloatConv | FloatLinear, count: int, snr_db: float, arithmetic: Arithmetic
) -> str:
    """Return the sentence that refuses a layer of ``count`` distinct values."""
    why = ""
    if layer.folded:
        why = (
            f"; {', '.join(layer.folded)} was folded into them, which gives rows or columns values "
            "of their own, so share weights after folding"
        )
    cluster = (
        f"cluster them (share), which leaves weights {snr_db:.1f} dB above their error, or "
        "with zeroskip compress, which also prunes and fine-tunes"
    )
    bits = bits_for(count)
    if bits <= arithmetic.code_bits_limit:
        cluster = f"give code_bits = {bits}, which holds all of them without error, or {cluster}"
    return (
        f"layer {layer.name!r} has {count} distinct non-zero weights, but a codebook holds "
        f"{arithmetic.max_values}{why}; {cluster}"
    )
