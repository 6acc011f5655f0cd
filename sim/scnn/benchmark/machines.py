"""Machines beside SCNN: the dense one of as many multipliers, and the bound of all."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.sim.scnn.benchmark.layers import ConvLayer

__all__ = ["DENSE_PES_X", "DENSE_PES_Y", "DOT_WIDTH", "dense_cycles", "useful_products"]

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


def useful_products(layer: ConvLayer, acts: NDArray[np.int64], weights: NDArray[np.int64]) -> int:
    """Count the products of a non-zero activation and a non-zero weight that outputs need.

    Over all multipliers this is the bound of any machine that multiplies one by one.

    Parameters
    ----------
    layer : whose operands they are.
    acts, weights : (C, H, W) and (K, C // groups, R, S).
    """
    _, p, q = layer.out_shape
    pad, step = layer.padding, layer.stride
    there = np.pad(acts != 0, ((0, 0), (pad, pad), (pad, pad)))
    shared, per_group = layer.weight_shape[1], layer.out_channels // layer.groups
    # How many output channels each input channel's kernel positions have a weight for.
    nonzero = (
        (weights != 0).reshape(layer.groups, per_group, shared, *weights.shape[2:]).sum(axis=1)
    )
    nonzero = nonzero.reshape(layer.in_shape[0], *weights.shape[2:])
    total = 0
    for r in range(layer.kernel):
        for s in range(layer.kernel):
            window = there[:, r : r + (p - 1) * step + 1 : step, s : s + (q - 1) * step + 1 : step]
            total += int((window.sum(axis=(1, 2)) * nonzero[:, r, s]).sum())
    return total
