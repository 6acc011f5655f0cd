"""Biases and scales with which a drawn network computes tensors of the published densities."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import concatenate, run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.sim.scnn.benchmark.wiring import MAX_ACT, DrawnNetwork

__all__ = ["settle"]

_WIDE = 64
"""Bits of sums, and of outputs as long as nothing is shifted: none saturates."""


def settle(network: DrawnNetwork) -> DrawnNetwork:
    """Choose biases and shifts by the network's own input, see :meth:`.DrawnNetwork.draw`.

    Each output channel of a convolution gets the bias that leaves as many of its outputs above 0
    as the network's densities say, and each layer the shift that makes its largest output one of
    8 bits.
    """
    tensors = {INPUT: network.draw()[INPUT][None]}
    layers: list[QuantConv] = []
    for layer in network.graph.layers:
        x = concatenate(tensors, layer.inputs)
        settled = _settle_layer(layer, x, network.densities[layer.name])
        tensors[layer.name], _ = run_layer(settled, x, acc_bits=_WIDE, act_bits=_WIDE)
        layers.append(settled)
    return replace(network, graph=replace(network.graph, layers=tuple(layers)))


def _settle_layer(layer: QuantConv, x: NDArray[np.int64], density: float) -> QuantConv:
    """Choose a convolution's biases and its shift; of a maximum there is nothing to choose."""
    if layer.kind == "max":
        return layer
    plain = replace(layer, weight_frac=0, relu=False)
    sums, _ = run_layer(plain, x, acc_bits=_WIDE, act_bits=_WIDE)
    sums = np.sort(sums[0].reshape(sums.shape[1], -1), axis=1)
    size = sums.shape[1]
    # The smallest sum of a channel that is to become an output above 0.
    least = sums[:, min(size - 1, round((1 - density) * size))]
    shift = max(0, int((sums[:, -1] - least).max()).bit_length() - MAX_ACT.bit_length())
    # Of a sum that much above the bias, half an output step is rounded up to one.
    half = (1 << shift) >> 1
    return replace(layer, weight_frac=shift, bias=max(half, 1) - least)
