"""Choose the order of the output channels of layers: even work for streams, and full vectors.

The streams of a group wait for the one with the most vectors of weights. Which output channels are
a group's, and which stream has which of them, is free: see :func:`.permute_channels`. The network's
outputs keep their order.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import Order
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.geometry import phase_taps
from zeroskip.compiler.scnn.layer import LayerPlan, output_slices
from zeroskip.compiler.scnn.order import channel_cuts, goes_along, permute_channels
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.segments import Part, Segment
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["balance_channels", "group_vectors", "planned_groups"]

Groups = list[list[Sequence[int]]]
"""Of each group of a layer, the output channels of each stream."""

_GAIN = 0.005
"""Another order is taken if it saves more than this share of the vectors of weights that streams
take, or wait for, in all groups of a layer."""

_SWAPS = 500
"""Exchanges of two channels that are tried, times the layer's channels."""

_MOST_SWAPS = 200_000

_ELSEWHERE = 0.02
"""What a vector counts in a stream for which the others of its group do not wait: streams that have
less to do go on to the next group."""


def balance_channels(
    graph: QuantGraph,
    params: ScnnParams,
    segments: Sequence[Segment],
    densities: Mapping[str, float],
    progress: Progress | None = None,
) -> tuple[QuantGraph, dict[str, Order]]:
    """Choose the order of the output channels of each layer.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    segments : runs of this network, with the groups that channels are put into.
    densities : by layer, share of its inputs that are expected not to be 0.
    progress : step "order channels", by layers.

    Returns
    -------
    The same network with channels in other orders, and these, by layer, where they are others.
    """
    if params.num_streams < 2:
        return graph, {}
    cuts = channel_cuts(graph)
    orders: dict[str, Order] = {}
    tell = progress or silent
    for number, groups in planned_groups(graph, params, segments, densities):
        tell("order channels", number, len(graph.layers))
        conv = graph.layers[number]
        bounds = sorted(cuts[conv.name])
        if len(bounds) > conv.out_shape[0]:
            continue  # Each channel has its place.
        counts = _counts(conv)
        before = group_vectors(counts, groups, params.mult_f)
        order = _even_order(counts, groups, bounds, params.mult_f)
        if before - group_vectors(counts[order], groups, params.mult_f) > _GAIN * before:
            orders[conv.name] = order
    tell("order channels", len(graph.layers), len(graph.layers))
    return permute_channels(graph, orders), orders


def planned_groups(
    graph: QuantGraph,
    params: ScnnParams,
    segments: Sequence[Segment],
    densities: Mapping[str, float],
) -> Iterator[tuple[int, Groups]]:
    """Give the number of each layer whose channels are put into groups, and these.

    Of strips, those of the one in the middle, which most others are like.
    """
    for segment in segments:
        if segment.parts:
            yield from _placed_groups(graph, params, segment.parts[len(segment.parts) // 2])
            continue
        number = segment.layers[0]
        conv = graph.layers[number]
        if not goes_along(conv):
            plan = plan_layer(conv, params, densities[conv.name])
            yield number, _plan_groups(conv, plan, params)


def _placed_groups(
    graph: QuantGraph, params: ScnnParams, part: Part
) -> Iterator[tuple[int, Groups]]:
    """Yield each layer's number, and the output channels of its groups, stream by stream."""
    placed = part.placed
    found: dict[int, Groups] = {}
    for step in part.schedule.passes:
        if goes_along(graph.layers[step.layer]):
            continue
        piece, each = step.target.piece, step.target.each
        groups, kc = step.groups(placed.plans[step.layer].mapping.kc)
        owners = placed.place(placed.holding.makes[step.layer]).blocks(params)
        firsts = [piece.start + owner * each for owner in range(owners)]
        for group in range(groups):
            start, stop = group * kc, min((group + 1) * kc, each)
            found.setdefault(step.layer, []).append([
                range(min(first + start, piece.stop), min(first + stop, piece.stop))
                for first in firsts
            ])
    yield from found.items()


def _plan_groups(conv: QuantConv, plan: LayerPlan, params: ScnnParams) -> Groups:
    """Return the output channels of each group and stream, of a layer that is alone in a run."""
    streams, kc = len(plan.mapping.streams(params)), plan.mapping.kc
    found: Groups = []
    for outputs in output_slices(conv, plan.k_step):
        each = -(-len(outputs) // streams)
        parts = [outputs[n * each : (n + 1) * each] for n in range(streams)]
        for first in range(0, each, kc):
            found.append([part[first : first + kc] for part in parts])
    return found


def _counts(conv: QuantConv) -> NDArray[np.int64]:
    """Count the weights of each output channel in each input channel of its group and phase."""
    there = conv.weight != 0
    phases = phase_taps(conv.weight.shape[2:], conv.stride, conv.padding)
    found = [
        there[:, :, [tap.r for tap in taps], [tap.s for tap in taps]].sum(axis=2)
        for taps in phases
        if taps
    ]
    return np.concatenate(found, axis=1)


def group_vectors(counts: NDArray[np.int64], groups: Groups, mult_f: int) -> int:
    """Count the vectors of weights of all groups, of each those of the stream with the most.

    Parameters
    ----------
    counts : (K, channels) weights of each output channel.
    groups, mult_f : of the layer; weights of a vector.
    """
    total = 0
    for streams in groups:
        total += max(int((-(-counts[list(ks)].sum(axis=0) // mult_f)).sum()) for ks in streams)
    return total


def _even_order(
    counts: NDArray[np.int64], groups: Groups, bounds: Sequence[int], mult_f: int
) -> Order:
    """Exchange channels between bounds as long as it makes groups shorter.

    Returns
    -------
    (K,) of each channel, which it was.
    """
    channels = len(counts)
    streams = max(map(len, groups))
    cell = np.zeros(channels, np.int64)
    for number, group in enumerate(groups):
        for stream, ks in enumerate(group):
            cell[list(ks)] = number * streams + stream
    part = np.searchsorted(bounds, np.arange(channels), side="right")
    count = min(_MOST_SWAPS, _SWAPS * channels)
    swaps = np.random.default_rng(0).integers(channels, size=(count, 2))
    swaps = swaps[part[swaps[:, 0]] == part[swaps[:, 1]]]
    return _exchange(counts, cell, (len(groups), streams), mult_f, swaps, _ELSEWHERE)


@njit(cache=True)
def _exchange(
    counts: NDArray[np.int64],
    cell: NDArray[np.int64],
    shape: tuple[int, int],
    mult_f: int,
    swaps: NDArray[np.int64],
    elsewhere: float,
) -> NDArray[np.int64]:
    """Exchange the channels at two places, one pair after the other, where that saves vectors.

    Parameters
    ----------
    counts : (K, channels) weights of each output channel.
    cell : (K,) group times streams, plus stream, of each place.
    shape : groups and streams.
    mult_f : weights of a vector.
    swaps : (n, 2) the places.
    """
    groups, streams = shape
    order = np.arange(len(counts))
    weights = np.zeros((groups * streams, counts.shape[1]), np.int64)
    for place in range(len(counts)):
        weights[cell[place]] += counts[place]
    vectors = np.zeros((groups, streams), np.int64)
    for number in range(groups * streams):
        for at in range(counts.shape[1]):
            vectors[number // streams, number % streams] += -(-weights[number, at] // mult_f)
    after = np.zeros((2, streams), np.int64)
    for n in range(len(swaps)):
        one, other = cell[swaps[n, 0]], cell[swaps[n, 1]]
        if one == other:
            continue
        moved = counts[order[swaps[n, 1]]] - counts[order[swaps[n, 0]]]
        made = made_other = 0
        for at in range(len(moved)):
            made += -(-(weights[one, at] + moved[at]) // mult_f)
            made_other += -(-(weights[other, at] - moved[at]) // mult_f)
        first, second = one // streams, other // streams
        before = vectors[first].max() + (vectors[second].max() if second != first else 0)
        sum_before = vectors[first, one % streams] + vectors[second, other % streams]
        after[0], after[1] = vectors[first], vectors[second]
        after[0, one % streams], after[1, other % streams] = made, made_other
        if second == first:
            after[0, other % streams] = made_other
        longest = after[0].max() + (after[1].max() if second != first else 0)
        if longest + elsewhere * (made + made_other) <= before + elsewhere * sum_before:
            weights[one] += moved
            weights[other] -= moved
            vectors[first, one % streams] = made
            vectors[second, other % streams] = made_other
            place, with_place = swaps[n, 0], swaps[n, 1]
            order[place], order[with_place] = order[with_place], order[place]
    return order
