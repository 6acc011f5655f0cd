"""Orders of the output channels of layers: which may be others, and a network with others.

The channels of a tensor are renumbered, and whoever reads it has the columns of its weights in the
same order. The network's outputs keep theirs.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from zeroskip.compiler.engine import Order
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph

__all__ = [
    "channel_cuts",
    "goes_along",
    "permute_channels",
    "tensor_orders",
]


def permute_channels(graph: QuantGraph, orders: Mapping[str, Order]) -> QuantGraph:
    """Renumber channels.

    Parameters
    ----------
    graph : layers in fixed point.
    orders : by layer; channels keep to groups of convolutions that read them, and outputs of the
        graph to their order. Layers with a channel an output follow what they read.
    """
    known = tensor_orders(graph, orders)
    layers: list[QuantConv] = []
    for conv in graph.layers:
        old, rows = _read_order(conv, known), known[conv.name]
        weight, fan = conv.weight, conv.weight.shape[1]
        if not goes_along(conv):
            of_group = conv.out_shape[0] // conv.groups
            weight = np.concatenate([
                weight[g * of_group : (g + 1) * of_group, old[g * fan : (g + 1) * fan] - g * fan]
                for g in range(conv.groups)
            ])
        layers.append(replace(conv, weight=weight[rows], bias=conv.bias[rows]))
    return replace(graph, layers=tuple(layers))


def tensor_orders(graph: QuantGraph, orders: Mapping[str, Order]) -> dict[str, Order]:
    """Find of each channel of each tensor which it was, or is in the network.

    Parameters
    ----------
    graph : before, or after, :func:`permute_channels`.
    orders : by layer, as there; layers with a channel an output follow what they read.
    """
    known: dict[str, Order] = {
        name: np.arange(channels) for name, (channels, _, _) in graph.given.items()
    }
    for conv in graph.layers:
        known[conv.name] = (
            _read_order(conv, known)
            if goes_along(conv)
            else orders.get(conv.name, np.arange(conv.out_shape[0]))
        )
    return known


def _read_order(conv: QuantConv, known: Mapping[str, Order]) -> Order:
    """Put the orders of what a layer reads side by side."""
    columns, base = list[Order](), 0
    for name in conv.inputs:
        columns.append(base + known[name])
        base += len(known[name])
    return np.concatenate(columns)


def goes_along(conv: QuantConv) -> bool:
    """Return whether each output channel is made from the input channel of the same number."""
    return conv.groups == conv.in_shape[0] == conv.out_shape[0]


def channel_cuts(graph: QuantGraph) -> dict[str, set[int]]:
    """Find, for each tensor, the numbers between which its channels may change places."""
    cuts = {
        conv.name: set(range(0, conv.out_shape[0] + 1, conv.out_shape[0] // conv.groups))
        if not goes_along(conv)
        else {0, conv.out_shape[0]}
        for conv in graph.layers
    }
    cuts |= {name: set(range(shape[0] + 1)) for name, shape in graph.given.items()}
    for name in graph.outputs:
        cuts[name] = set(range(graph.shape(name)[0] + 1))
    for conv in reversed(graph.layers):
        inner = range(0, conv.in_shape[0] + 1, conv.weight.shape[1])
        # Where a channel of the input is one of the output, what holds for that holds for it.
        wanted = cuts[conv.name] if goes_along(conv) else set(inner)
        base = 0
        for name in conv.inputs:
            size = graph.shape(name)[0]
            cuts[name] |= {bound - base for bound in wanted if base <= bound <= base + size}
            base += size
    return cuts
