"""Order of the output channels of layers, so that weight streams have about the same work.

The blocks of PEs of a pass wait for the one with the most weights. Which output channel goes to
which block is free: the channels of a tensor are renumbered, and whoever reads it has the columns
of its weights in the same order. The network's outputs keep theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import Order
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.cost import input_densities
from zeroskip.compiler.scnn.geometry import phase_taps
from zeroskip.compiler.scnn.layer import LayerPlan, output_slices
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "balance_channels",
    "channel_cuts",
    "goes_along",
    "order_cycles",
    "permute_channels",
    "tensor_orders",
]

_GAIN = 0.02
_CYCLES = 1000.0
"""Share of a layer's cycles, and cycles, that another order must save to be worth it."""


def balance_channels(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> tuple[QuantGraph, dict[str, Order]]:
    """Choose the order of the output channels of each layer.

    Channels stay as they are, or are dealt out by their weights, whichever takes fewer cycles as
    estimated; the former unless the latter saves more than 2 % of them and 1,000.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : see :func:`.input_densities`.
    progress : step "order channels", by layers.

    Returns
    -------
    The same network with channels in other orders, and these, by layer, where they are others.
    """
    if params.num_streams < 2:
        return graph, {}
    cuts, known = channel_cuts(graph), input_densities(graph, densities)
    orders: dict[str, Order] = {}
    tell = progress or silent
    for number, conv in enumerate(graph.layers):
        tell("order channels", number, len(graph.layers))
        bounds = sorted(cuts[conv.name])
        if goes_along(conv) or len(bounds) > conv.out_shape[0]:
            continue
        density = known[conv.name]
        try:
            plan = plan_layer(conv, params, density)
        except CompileError:
            continue  # It is told where the layer is laid out.
        dealt = _deal(conv, plan, params, bounds)
        before = order_cycles(conv, plan, params, density)
        after = order_cycles(conv, plan, params, density, dealt)
        if before - after > max(_CYCLES, _GAIN * before):
            orders[conv.name] = dealt
    tell("order channels", len(graph.layers), len(graph.layers))
    return permute_channels(graph, orders), orders


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


def order_cycles(
    conv: QuantConv,
    plan: LayerPlan,
    params: ScnnParams,
    act_density: float,
    order: Order | None = None,
) -> float:
    """Estimate the cycles of a layer by the weights that each stream has in each group.

    Parameters
    ----------
    conv, plan, params : the layer, how it is computed, and the array.
    act_density : share of its inputs that are expected not to be 0.
    order : of its output channels.
    """
    counts = _counts(conv)
    counts = counts if order is None else counts[order]
    mapping = plan.mapping
    vectors = max(1.0, mapping.wo * mapping.ho * act_density / params.mult_i)
    _, rows, columns = conv.out_shape
    regions = -(-rows // plan.region_h) * -(-columns // plan.region_w)
    total = 0
    for streams in _groups(conv, plan, params):
        total += max(int((-(-counts[ks].sum(axis=0) // params.mult_f)).sum()) for ks in streams)
    return float(total) * vectors * regions


def _deal(conv: QuantConv, plan: LayerPlan, params: ScnnParams, bounds: list[int]) -> Order:
    """Deal the channels between bounds to groups, most weights first, and there to streams."""
    work = _counts(conv).sum(axis=(1, 2))
    order = np.empty(len(work), np.int64)
    waiting = {
        low: sorted(range(low, high), key=lambda k: (-work[k], k)) for low, high in pairwise(bounds)
    }
    part = np.searchsorted(bounds, np.arange(len(work)), side="right") - 1
    for streams in _groups(conv, plan, params):
        for low in sorted({bounds[part[k]] for ks in streams for k in ks}):
            places = [[k for k in ks if bounds[part[k]] == low] for ks in streams]
            sums = [0] * len(places)
            for channel in [waiting[low].pop(0) for _ in range(sum(map(len, places)))]:
                free = [stream for stream, left in enumerate(places) if left]
                least = min(free, key=lambda stream: (sums[stream], stream))
                order[places[least].pop(0)] = channel
                sums[least] += int(work[channel])
    return order


def _groups(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> Iterator[list[list[int]]]:
    """Yield for each group of a pass the output channels of each stream."""
    streams, kc = len(plan.mapping.streams(params)), plan.mapping.kc
    for outputs in output_slices(conv, plan.k_step):
        each = -(-len(outputs) // streams)
        parts = [list(outputs[n * each : (n + 1) * each]) for n in range(streams)]
        for first in range(0, each, kc):
            yield [part[first : first + kc] for part in parts]


def _counts(conv: QuantConv) -> NDArray[np.int64]:
    """Count the weights of each output channel, input channel of its group and phase."""
    there = conv.weight != 0
    phases = phase_taps(conv.weight.shape[2:], conv.stride, conv.padding)
    found = [
        there[:, :, [tap.r for tap in taps], [tap.s for tap in taps]].sum(axis=2)
        for taps in phases
        if taps
    ]
    return np.stack(found, axis=2)


def goes_along(conv: QuantConv) -> bool:
    """Whether each output channel is made from the input channel of the same number."""
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
