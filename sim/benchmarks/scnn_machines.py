"""Machines beside SCNN: the dense one of as many multipliers, and the bound of all."""

from sim.benchmarks.scnn_layers import ConvLayer

__all__ = ["DENSE_PES_X", "DENSE_PES_Y", "DOT_WIDTH", "dense_cycles", "oracle_cycles"]

DENSE_PES_X, DENSE_PES_Y = 8, 8
DOT_WIDTH = 16
"""PEs of the dense machine across and down, and multipliers of each."""


def dense_cycles(layer: ConvLayer) -> int:
    """Count the cycles of the paper's dense machine, DCNN, 64 PEs of 16 multipliers.

    Each PE makes the outputs of its tile of the plane, ``ceil(P / 8) x ceil(Q / 8)`` of all K
    channels, one after the other. An output is a dot product of ``C / groups * R * S`` operands, of
    which 16 a cycle are multiplied. Operands come from all channels and the whole kernel, which is
    the densest packing a dot product allows (the paper does not say which it has); nothing is spent
    on anything else, and zeros of the padding are multiplied like others. What is lost is lost at
    the edge of the plane, where tiles stick out, and in the last cycle of a dot product.
    """
    outs, p, q = layer.out_shape
    _, channels, r, s = layer.weight_shape
    tile = -(-p // DENSE_PES_Y) * -(-q // DENSE_PES_X)
    return outs * tile * -(-channels * r * s // DOT_WIDTH)


def oracle_cycles(products: int, multipliers: int) -> float:
    """Return the cycles that products of non-zeros take if every multiplier is always busy."""
    return products / multipliers
