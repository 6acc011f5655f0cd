"""Cut the planes of some layers into strips, each of which is a smaller network of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, dense_macs
from zeroskip.compiler.scnn.geometry import cut_axis
from zeroskip.compiler.scnn.run import Channels, ScnnRun, TileLayout

__all__ = ["Rows", "Strip", "cut_strip", "cut_strips", "strip_rows", "whole_strip"]

Rows = tuple[int, int]
"""First row, and the one behind the last."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Layers as they are where they make some rows only.

    Parameters
    ----------
    graph : the network; of the layers and of what they read there are the rows that are needed.
    firsts : by tensor, the row of its plane that is the first; 0 unless given.
    """

    graph: QuantGraph
    firsts: Mapping[str, int]

    def moved(self, run: ScnnRun) -> ScnnRun:
        """Put what a run of the strip reads and makes to its place in the whole planes."""
        return replace(
            run,
            outputs=tuple(
                output and replace(output, y0=output.y0 + self._first(output.blocks))
                for output in run.outputs
            ),
            loads=tuple(
                replace(load, layout=self.layout(load.layout, load.channels)) for load in run.loads
            ),
            stores=tuple(
                replace(store, layout=self.layout(store.layout, store.blocks))
                for store in run.stores
            ),
        )

    def layout(self, layout: TileLayout, channels: Sequence[Channels]) -> TileLayout:
        """Shift the layout of a tensor in a strip to where its rows are in the whole plane."""
        return replace(layout, y0=layout.y0 + self._first(channels))

    def _first(self, channels: Sequence[Channels]) -> int:
        return self.firsts.get(channels[0].tensor, 0)

    def macs(self, layers: range) -> int:
        """Count the products of layers, zeros included."""
        return sum(dense_macs(self.graph.layers[layer]) for layer in layers)

    def key(self, layers: range) -> tuple[object, ...]:
        """Return what strips have in common that are laid on the array in the same way."""
        convs = (self.graph.layers[layer] for layer in layers)
        return tuple((conv.in_shape, conv.out_shape, conv.padding) for conv in convs)


def whole_strip(graph: QuantGraph) -> Strip:
    """Return all rows of all planes."""
    return Strip(graph, {})


def strip_rows(graph: QuantGraph, layers: range) -> int:
    """Count the rows of the planes that some layers make, which strips are cut from.

    Parameters
    ----------
    graph : the network.
    layers : their numbers.

    Returns
    -------
    0 if there are no strips: tensors that others read have different heights, or are read here,
    too.
    """
    convs = [graph.layers[layer] for layer in layers]
    leaving = _leaving(graph, layers)
    heights = set(leaving.values())
    inside = {name for conv in convs for name in conv.inputs}
    if len(heights) != 1 or inside & set(leaving) or any(conv.areas for conv in convs):
        return 0
    return heights.pop()


def cut_strip(graph: QuantGraph, layers: range, rows: Rows) -> Strip | None:
    """Cut layers to what makes certain rows of their outputs, padding and heights adjusted.

    Parameters
    ----------
    graph, layers : as for :func:`strip_rows`, which is not 0.
    rows : of the tensors that leave.

    Returns
    -------
    None if layers that read a tensor do not begin with the same row.
    """
    return _strip(graph, layers, dict.fromkeys(_leaving(graph, layers), rows))


def cut_strips(graph: QuantGraph, layers: range, heights: Sequence[int]) -> tuple[Strip, ...]:
    """Cut the outputs of layers into strips, each of so many rows.

    Rows of tensors in between that two strips need are made for each of them.

    Parameters
    ----------
    graph, layers : as for :func:`strip_rows`.
    heights : rows of each strip, all of which are those of :func:`strip_rows`.

    Returns
    -------
    In order; none if one cannot be cut, see :func:`cut_strip`, or if rows are needed by none.
    """
    found: list[Strip] = []
    for rows in pairwise([0, *accumulate(heights)]):
        strip = cut_strip(graph, layers, rows)
        if strip is None:
            return ()
        found.append(strip)
    for layer in layers:
        ends = [
            (strip.firsts[graph.layers[layer].name], strip.graph.layers[layer].out_shape[1])
            for strip in found
        ]
        stops = [0, *(first + rows for first, rows in ends)]
        # Rows that no strip needs would never be made.
        if any(first > stop for (first, _), stop in zip(ends, stops, strict=False)):
            return ()
        if stops[-1] < graph.layers[layer].out_shape[1]:
            return ()
    return tuple(found)


def _leaving(graph: QuantGraph, layers: range) -> dict[str, int]:
    """Return the heights of the tensors that leave some layers."""
    outside = set(graph.outputs) | {
        name for conv in graph.layers[layers.stop :] for name in conv.inputs
    }
    convs = (graph.layers[layer] for layer in layers)
    return {conv.name: conv.out_shape[1] for conv in convs if conv.name in outside}


def _strip(graph: QuantGraph, layers: range, rows: dict[str, Rows]) -> Strip | None:
    """Find the rows that are needed for some of the tensors that leave."""
    for layer in reversed(layers):
        conv = graph.layers[layer]
        if conv.name not in rows:
            return None
        for name, needed in _needed(conv, rows[conv.name]):
            there = rows.get(name, needed)
            rows[name] = min(there[0], needed[0]), max(there[1], needed[1])
    changed = list(graph.layers)
    for number, conv in enumerate(graph.layers):
        if conv.name in rows:
            first, stop = rows[conv.name]
            changed[number] = replace(
                conv, out_shape=(conv.out_shape[0], stop - first, conv.out_shape[2])
            )
    for layer in layers:
        conv = changed[layer]
        reads = {rows[name] for name in conv.inputs}
        if len(reads) > 1:
            return None
        (first, stop), (begin, _) = reads.pop(), rows[conv.name]
        above = first - begin * conv.stride[0] + conv.padding[0]
        # A layer reads the first row of a tensor, or what is above it.
        if first == stop or above < 0:
            return None
        changed[layer] = replace(
            conv,
            in_shape=(conv.in_shape[0], stop - first, conv.in_shape[2]),
            padding=(above, conv.padding[1]),
        )
    shape = graph.input_shape
    if INPUT in rows:
        shape = shape[0], rows[INPUT][1] - rows[INPUT][0], shape[2]
    strip = replace(graph, input_shape=shape, layers=tuple(changed))
    return Strip(strip, {name: first for name, (first, _) in rows.items()})


def _needed(conv: QuantConv, rows: Rows) -> Iterator[tuple[str, Rows]]:
    """Give of each input the rows from which some rows of the output are made."""
    first, count, _ = cut_axis(
        rows[0],
        rows[1] - rows[0],
        conv.weight.shape[2],
        conv.stride[0],
        conv.padding[0],
        conv.in_shape[1],
    )
    for name in conv.inputs:
        yield name, (first, first + count)
