"""Lay layers on the array so that it does them one after the other without the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.collect import collect
from zeroskip.compiler.scnn.fields import stored_fields
from zeroskip.compiler.scnn.geometry import least_tile, whole_plane
from zeroskip.compiler.scnn.layer import LayerPlan
from zeroskip.compiler.scnn.levels import Level
from zeroskip.compiler.scnn.mapping import Room
from zeroskip.compiler.scnn.passes import Encoder, Pass, Share
from zeroskip.compiler.scnn.plan import plan_tile
from zeroskip.compiler.scnn.run import ActLoad, ActStore, Channels, ScnnRun
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["fused_run"]


def fused_run(
    graph: QuantGraph,
    levels: Sequence[Level],
    params: ScnnParams,
    densities: Mapping[str, float],
) -> ScnnRun | None:
    """Build one run of some levels: a pass for each layer.

    Tensors of every other level lie at the begin of the activation RAM, the others at its end.

    All PEs are one block, since a block sees only the channels that it made itself. Strides within
    the run are what descriptors have bits for.

    Parameters
    ----------
    graph : the network.
    levels : from :func:`levels_from`.
    params : of the array.
    densities : by layer, share of its inputs that are expected not to be 0.

    Returns
    -------
    None if the memories do not hold all of it.
    """
    places = _place(graph, levels, params, densities)
    if places is None:
        return None
    passes: list[Pass] = []
    for number, (level, place) in enumerate(zip(levels, places, strict=True)):
        stride = graph.layers[level.layers[0]].stride
        source = places[number - 1].target[0] if number else 0
        bases = _bases(graph, level.source, stride[0] * stride[1])
        then = places[number + 1] if number + 1 < len(levels) else None
        entry, word = place.target
        for index, (layer, plan) in enumerate(zip(level.layers, place.plans, strict=True)):
            conv = graph.layers[layer]
            numbers = [
                source + bases[name] + channel * stride[0] * stride[1]
                for name in conv.inputs
                for channel in range(graph.shape(name)[0])
            ]
            made = Encoder(conv, stored_fields(conv, params), plan.mapping, params).make(
                _whole(conv),
                layer=layer,
                out_stride=then.stride if then else (1, 1),
                out_y_stride=then.y_stride if then else None,
                out_dense=then is not None and then.dense,
                numbers=np.array(numbers, np.int64),
            )
            passes.append(made.writing_to(entry, word, append=index > 0))
            entry += conv.out_shape[0] * (then.stride[0] * then.stride[1] if then else 1)
    try:
        program, srams = collect(passes, params)
    except ValueError:
        return None
    return ScnnRun(
        program=program,
        passes=tuple(made.layer for made in passes),
        outputs=tuple(made.output for made in passes),
        srams=srams,
        loads=_loads(graph, levels[0], places[0]),
        stores=_stores(graph, levels[-1], places[-1]),
    )


@dataclass(frozen=True)
class _Place:
    """How the layers of a level lie on the array: they have tile, stride and source in common.

    ``target``: directory entry and row from which on they write.
    """

    tile: tuple[int, int]
    stride: tuple[int, int]
    y_stride: int
    dense: bool
    plans: tuple[LayerPlan, ...]
    target: tuple[int, int] = (0, 0)


def _place(
    graph: QuantGraph,
    levels: Sequence[Level],
    params: ScnnParams,
    densities: Mapping[str, float],
) -> list[_Place] | None:
    """Find tiles that pass from level to level, and mappings for them; None if there are none."""
    if sum(len(level.layers) for level in levels) > params.num_descriptors:
        return None
    tiles = _tiles(graph, levels, params)
    places: list[_Place] = []
    strides = [graph.layers[level.layers[0]].stride[1] for level in levels]
    for level, tile, out_stride in zip(levels, tiles, [*strides[1:], 1], strict=True):
        convs = [graph.layers[layer] for layer in level.layers]
        if any(conv.out_shape[1:] != convs[0].out_shape[1:] for conv in convs):
            return None
        rooms = [Room.of(conv, whole_plane(conv).padding) for conv in convs]
        y_stride = tile[1] + max(room.left + room.right for room in rooms)
        plans: list[LayerPlan] = []
        for conv in convs:
            plan = plan_tile(conv, params, densities[conv.name], tile, y_stride, out_stride)
            if plan is None or (plan.mapping.ho, plan.mapping.wo) != tile:
                return None
            plans.append(plan)
        dense = any(conv.op == "max" and conv.signed_input for conv in convs)
        place = _Place(tile, convs[0].stride, plans[0].mapping.y_stride, dense, tuple(plans))
        if any(plan.mapping.y_stride != place.y_stride for plan in plans):
            return None
        places.append(place)
    targets = _targets(graph, levels, places, params)
    if targets is None:
        return None
    return [replace(place, target=at) for place, at in zip(places, targets, strict=True)]


def _targets(
    graph: QuantGraph, levels: Sequence[Level], places: Sequence[_Place], params: ScnnParams
) -> list[tuple[int, int]] | None:
    """Choose where the outputs of each level begin in directory and activation RAM.

    There is room for them even if no activation is 0.

    A level reads at one end of the activation RAM and writes to the other.
    """
    room = np.array([params.num_channels, params.act_words])
    sizes: list[NDArray[np.int64]] = []
    for level, place in zip(levels, places, strict=True):
        channels = sum(graph.shape(name)[0] for name in level.source)
        entries = channels * place.stride[0] * place.stride[1]
        sizes.append(entries * np.array([1, place.plans[0].mapping.words(params)]))
    made = sum(graph.layers[layer].out_shape[0] for layer in levels[-1].layers)
    sizes.append(made * np.array([1, places[-1].plans[0].mapping.words(params)]))
    if any((read + written > room).any() for read, written in pairwise(sizes)):
        return None
    ends = [room - size if number % 2 else 0 * size for number, size in enumerate(sizes)]
    return [(int(entry), int(word)) for entry, word in ends[1:]]


def _tiles(graph: QuantGraph, levels: Sequence[Level], params: ScnnParams) -> list[tuple[int, int]]:
    """Find the smallest output tile of each level: the input tile of the next."""
    least: list[tuple[int, int]] = []
    for level in levels:
        sizes = [
            least_tile(conv, [whole_plane(conv)], (params.pes_y, params.pes_x))
            for conv in (graph.layers[layer] for layer in level.layers)
        ]
        least.append((max(rows for rows, _ in sizes), max(columns for _, columns in sizes)))
    factors = [(1, 1)]
    for level in reversed(levels[1:]):
        (sy, sx), (fy, fx) = graph.layers[level.layers[0]].stride, factors[0]
        factors.insert(0, (fy * sy, fx * sx))
    last = [
        max(-(-sizes[axis] // factor[axis]) for sizes, factor in zip(least, factors, strict=True))
        for axis in (0, 1)
    ]
    return [(last[0] * fy, last[1] * fx) for fy, fx in factors]


def _whole(conv: QuantConv) -> Share:
    """Take all of a layer."""
    return Share(
        region=whole_plane(conv),
        outputs=range(conv.out_shape[0]),
        channels=range(conv.in_shape[0]),
    )


def _bases(graph: QuantGraph, tensors: Sequence[str], phases: int) -> dict[str, int]:
    """Find the first directory number of each tensor."""
    bases: dict[str, int] = {}
    entry = 0
    for name in tensors:
        bases[name] = entry
        entry += graph.shape(name)[0] * phases
    return bases


def _loads(graph: QuantGraph, level: Level, place: _Place) -> tuple[ActLoad, ...]:
    """Have the host load the tensors of the first level, all of their planes."""
    rows, columns = graph.shape(level.source[0])[1:]
    needed = place.plans[0].mapping.layout(
        whole_plane(graph.layers[level.layers[0]]), place.stride, dense=place.dense
    )
    layout = replace(needed, y0=0, x0=0, height=rows, width=columns)
    channels = tuple(
        Channels(tensor=name, start=0, stop=graph.shape(name)[0]) for name in level.source
    )
    return (ActLoad(channels=channels, base=0, word=0, dealt=False, layout=layout),)


def _stores(graph: QuantGraph, level: Level, place: _Place) -> tuple[ActStore, ...]:
    """Have the host store what the last level makes."""
    stores: list[ActStore] = []
    entry = place.target[0]
    for layer in level.layers:
        conv = graph.layers[layer]
        layout = place.plans[0].mapping.out_layout(whole_plane(conv))
        whole = Channels(tensor=conv.name, start=0, stop=conv.out_shape[0])
        stores.append(ActStore(blocks=(whole,), base=entry, layout=layout))
        entry += conv.out_shape[0]
    return tuple(stores)
