"""What the multipliers and the adders of an SCNN array are given, pair of vectors by pair."""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import PassOutput, ScnnDescriptor
from zeroskip.sim.energy.activity import Operands
from zeroskip.sim.machine import Tensors

__all__ = ["MOST_PRODUCTS", "scnn_operands"]

MOST_PRODUCTS = 4000
"""Multipliers times pairs of vectors that are listed at most."""

_Vectors = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Values, (vectors, lanes), 0 where a lane has none; and their accumulators' addresses."""


def scnn_operands(part: ScnnPart, tensors: Tensors) -> Operands | None:
    """Return factors and addends of convolutions in PE 0, in the first inference.

    Each multiplier's factors follow one another, as an activation stays while a block's weights
    pass; so do what each bank of accumulators adds up, in the order in which pairs are issued.
    Zeros are where a vector is not full.

    Parameters
    ----------
    part : of an image.
    tensors : (n, C, H, W) by name.

    Returns
    -------
    None where no layer adds products up.
    """
    p = part.params
    pairs = list(islice(_pairs(part, tensors), MOST_PRODUCTS // p.mults))
    if not pairs:
        return None
    # (pairs, I, F): activations come before weights in factors.
    values = [np.broadcast_arrays(acts[0][:, None], weights[0]) for _, acts, weights in pairs]
    by_multiplier = np.stack(values).transpose(2, 3, 0, 1).reshape(-1, 2)
    sums: dict[tuple[int, int], int] = {}
    of_bank: list[list[tuple[int, int]]] = [[] for _ in range(p.banks)]
    for group, acts, weights in pairs:
        products = np.outer(acts[0], weights[0])
        addresses = acts[1][:, None] + weights[1]
        for place in np.argwhere(products):
            address, product = int(addresses[tuple(place)]), int(products[tuple(place)])
            old = sums.get((group, address), 0)
            of_bank[address % p.banks].append((product, old))
            sums[group, address] = old + product
    added = [row for rows in of_bank for row in rows]
    return Operands(by_multiplier, np.array(added).reshape(-1, 2))


def _pairs(part: ScnnPart, tensors: Tensors) -> Iterator[tuple[int, _Vectors, _Vectors]]:
    """Give pairs of a vector of activations and one of weights as PE 0 issues them.

    Before them stands the number of their group, whose sums begin with 0.
    """
    p, groups = part.params, count()
    for run in part.runs:
        for d, number, output in zip(run.program, run.passes, run.outputs, strict=True):
            layer = part.layers[number]
            if output is None or layer.op != "add" or not (block := output.blocks[0]).stop:
                continue
            x = concatenate(tensors, layer.inputs)[0]
            for first in range(block.start, block.stop, d.kc):
                group, outputs = next(groups), range(first, min(first + d.kc, block.stop))
                for acts, weights in _blocks(layer, x, d, output, outputs):
                    for act in _vectors(*acts, p.mult_i):
                        for weight in _vectors(*weights, p.mult_f):
                            yield group, act, weight


def _blocks(
    layer: QuantConv,
    x: NDArray[np.int64],
    d: ScnnDescriptor,
    output: PassOutput,
    outputs: range,
) -> Iterator[tuple[_Vectors, _Vectors]]:
    """Give, of each channel and phase, the activations of PE 0 and weights that are not 0."""
    fan = layer.weight.shape[1]
    depth = layer.weight.shape[0] // layer.groups
    down, across = layer.stride
    top, left = output.y0 * d.pool_y * down, output.x0 * d.pool_x * across
    tile = x[:, top : top + d.ho * down, left : left + d.wo * across]
    for channel in range(len(x)):
        of_channel = [k for k in outputs if k // depth == channel // fan]
        if not of_channel:
            continue
        # Taps first, then output channels.
        weight = layer.weight[of_channel, channel % fan].transpose(1, 2, 0)
        for a, b in np.ndindex(down, across):
            # Taps that meet the phase, from the first on, and rows that they move it by.
            row, column = (a + layer.padding[0]) % down, (b + layer.padding[1]) % across
            acts, taps = tile[channel, a::down, b::across], weight[row::down, column::across]
            y, u = np.nonzero(acts)
            r, s, k = np.nonzero(taps)
            if len(y) and len(r):
                above = (a + layer.padding[0] - row) // down - r
                before = (b + layer.padding[1] - column) // across - s
                offsets = d.origin + above * d.y_stride + before
                offsets += (np.array(of_channel)[k] - outputs.start) * d.k_stride
                yield (acts[y, u], y * d.y_stride + u), (taps[r, s, k], offsets)


def _vectors(
    values: NDArray[np.int64], addresses: NDArray[np.int64], lanes: int
) -> Iterator[_Vectors]:
    """Cut values and their addresses into vectors; the last is filled up with zeros."""
    for begin in range(0, len(values), lanes):
        found = np.zeros((2, lanes), np.int64)
        here = slice(begin, begin + lanes)
        used = len(values[here])
        found[0, :used], found[1, :used] = values[here], addresses[here]
        yield found[0], found[1]
