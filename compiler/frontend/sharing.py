"""What folding a scaling into a layer's weights did to their sharing."""

from zeroskip.compiler.ir.graph import FloatConv, FloatLinear
from zeroskip.compiler.passes.share import distinct_values

__all__ = ["MOST_VALUES", "values_before"]

MOST_VALUES = 255
"""Different weights but 0 that a codebook holds at most."""


def values_before(layer: FloatConv | FloatLinear) -> int | None:
    """Return how many different weights a layer has, or had before something was folded in.

    None if there were more than a codebook holds.
    """
    if layer.folded:
        return layer.values
    count = distinct_values(layer.weight, MOST_VALUES)
    return count if count <= MOST_VALUES else None
