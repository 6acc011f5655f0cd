"""Choose which layers of a network one run computes, for the least total time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.cost import (
    LOAD_WORDS,
    load_cycles,
    plane_cycles,
    weight_cycles,
    word_cycles,
)
from zeroskip.compiler.scnn.cuts import best_cuts, joints
from zeroskip.compiler.scnn.fill import Fill
from zeroskip.compiler.scnn.geometry import whole_plane
from zeroskip.compiler.scnn.order import goes_along
from zeroskip.compiler.scnn.place import Placed, Placer
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import Channels, TileLayout
from zeroskip.compiler.scnn.schedule import Schedule, schedule
from zeroskip.compiler.scnn.strips import (
    Strip,
    cut_strip,
    cut_strips,
    strip_rows,
    whole_strip,
)
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Part", "Segment", "Segments"]

_RUN_CYCLES = 200.0
"""Cycles of a run in which nothing overlaps: commands, tables, the first weights."""

_SHARES = (1, 2, 4, 8, 16)
"""Of the activation RAMs, what a piece of a tensor that need not be there as a whole may take."""


_AGAIN = 1.5
"""Strips may have this many times the products of the layers; what is above each is made twice."""

_STRIPS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
"""Parts that planes are cut into."""

_HIGHER = 2
"""Rows that a strip may have more than each has if all are equally high."""

_WORTH = 0.995
"""Strips of unequal heights are taken if they need less than this share of the cycles."""


def _even(rows: int, count: int) -> list[int]:
    """Divide rows among at most so many strips, the last of which may have fewer."""
    each = -(-rows // count)
    return [min(each, rows - first) for first in range(0, rows, max(each, 1))]


@dataclass(frozen=True)
class Part:
    """Some rows of what layers of one run make.

    Parameters
    ----------
    strip : the layers, of these rows.
    placed, schedule : how they lie on the array.
    """

    strip: Strip
    placed: Placed
    schedule: Schedule


@dataclass(frozen=True)
class Segment:
    """Layers that are computed together, or one layer that is alone.

    Parameters
    ----------
    layers : their numbers.
    parts : a run of each; none: the layer is cut into runs of its own.
    cycles : estimated, with the tensors' way through memory.
    """

    layers: range
    parts: tuple[Part, ...]
    cycles: float


class Segments:
    """Chooses runs of a network.

    Parameters
    ----------
    graph : the network.
    params : of the array.
    densities : by layer, share of its inputs that are expected not to be 0.
    fill : of the activation RAMs.
    """

    def __init__(
        self,
        graph: QuantGraph,
        params: ScnnParams,
        densities: Mapping[str, float],
        fill: Fill,
    ) -> None:
        self._graph, self._params, self._densities = graph, params, densities
        self._fill = fill
        self._whole = Placer(graph, params, densities, fill)
        self._known: dict[tuple[int, int], Segment | None] = {}

    def choose(self, progress: Progress | None = None) -> list[Segment]:
        """Choose the runs.

        Parameters
        ----------
        progress : step "choose runs", by layers at which a run may begin.

        Raises
        ------
        CompileError
            If a layer cannot be computed on the array at all; what is too small is named.
        """
        tell = progress or silent
        ends = joints(self._graph)
        points = {*ends}
        for first, last in pairwise(ends):
            if self._segment(first, last) is None:
                points |= set(range(first, last))
        ordered = sorted(points)

        def cost(first: int, last: int) -> float | None:
            tell("choose runs", ordered.index(first), len(ordered) - 1)
            segment = self._segment(first, last)
            return None if segment is None else segment.cycles

        cuts = best_cuts(ordered, cost)
        tell("choose runs", len(ordered) - 1, len(ordered) - 1)
        found = (self._segment(*cut) for cut in cuts)
        return [self._settled(segment) for segment in found if segment is not None]

    def choose_again(self, segments: Sequence[Segment]) -> list[Segment] | None:
        """Place the same layers in the same strips as in runs that were chosen before.

        Parameters
        ----------
        segments : runs of this network with its channels in another order.

        Returns
        -------
        None if some no longer have room.
        """
        found: list[Segment] = []
        for segment in segments:
            layers = segment.layers
            if not segment.parts:
                found.append(self._alone(layers.start))
                continue
            strips: Sequence[Strip] = (whole_strip(self._graph),)
            if len(segment.parts) > 1:
                heights = [strip_rows(part.strip.graph, layers) for part in segment.parts]
                strips = cut_strips(self._graph, layers, heights)
            parts = self._strips(layers, strips)
            if not parts:
                return None
            found.append(self._sum(layers, parts))
        return found

    def _segment(self, first: int, last: int) -> Segment | None:
        """Place some layers; None if they cannot be in one run."""
        if (first, last) not in self._known:
            layers = range(first, last)
            found = self._together(layers)
            if len(layers) == 1 and (found is None or len(found.parts) > 1):
                alone = self._alone(first)
                if found is None or alone.cycles < found.cycles:
                    found = alone
            self._known[first, last] = found
        return self._known[first, last]

    def _together(self, layers: range) -> Segment | None:
        """Place some layers in as few strips as possible."""
        if any(self._graph.layers[layer].areas for layer in layers):
            return None  # Areas are put together in memory.
        whole = self._part(layers, (whole_strip(self._graph),), self._whole)
        if whole is not None:
            return self._sum(layers, (whole,))
        rows = strip_rows(self._graph, layers)
        for count in _STRIPS:
            strips = cut_strips(self._graph, layers, _even(rows, count))
            made = sum(strip.macs(layers) for strip in strips)
            if len(strips) < 2 or made > _AGAIN * whole_strip(self._graph).macs(layers):
                return None
            parts = self._strips(layers, strips)
            if parts:
                return self._sum(layers, parts)
        return None

    def _settled(self, segment: Segment) -> Segment:
        """Choose the rows of each strip of a segment, for the fewest cycles of all together.

        Strips at the edges need fewer rows of the tensors in between, and not every number of rows
        fills tiles.
        """
        if len(segment.parts) < 2:
            return segment
        graph, layers = self._graph, segment.layers
        rows = strip_rows(graph, layers)
        even = -(-rows // len(segment.parts))
        known: dict[tuple[object, ...], float] = {}

        def cost(first: int, stop: int) -> float | None:
            if stop - first > even + _HIGHER:
                return None
            if stop - first < even // 2 and stop < rows:
                return math.inf
            strip = cut_strip(graph, layers, (first, stop))
            if strip is None:
                return math.inf
            key = strip.key(layers)
            if key not in known:
                parts = self._strips(layers, (strip,))
                known[key] = self._sum(layers, parts).cycles if parts else math.inf
            return known[key]

        cuts = best_cuts(range(rows + 1), cost)
        strips = cut_strips(graph, layers, [stop - first for first, stop in cuts])
        parts = self._strips(layers, strips)
        if not parts:
            return segment
        found = self._sum(layers, parts)
        return found if found.cycles < _WORTH * segment.cycles else segment

    def _strips(self, layers: range, strips: Sequence[Strip]) -> tuple[Part, ...]:
        """Place layers in strips; none if these are too large."""
        alike: dict[tuple[object, ...], list[Strip]] = {}
        # The one in the middle needs the most rows.
        for strip in sorted(strips, key=lambda strip: -strip.macs(layers)):
            alike.setdefault(strip.key(layers), []).append(strip)
        found: dict[tuple[object, ...], Part] = {}
        for key, some in alike.items():
            placer = Placer(some[0].graph, self._params, self._densities, self._fill)
            part = self._part(layers, some, placer)
            if part is None:
                return ()
            found[key] = part
        return tuple(replace(found[strip.key(layers)], strip=strip) for strip in strips)

    def _part(self, layers: range, strips: Sequence[Strip], placer: Placer) -> Part | None:
        """Place layers of strips that are alike so that the memories hold what each makes."""
        p, strip = self._params, strips[0]

        def rows(layout: TileLayout, channels: Channels, each: int) -> int:
            return max(
                self._fill.rows(strip.layout(layout, [channels]), channels, each)
                for strip in strips
            )

        if self._most(layers, strip.graph) > p.act_words * p.mult_i * p.num_pes:
            return None
        size = p.act_words * p.mult_i * p.num_pes
        # At first as if all poolings that can be fused were; then others have room, too.
        for share, fuses in ((1, True), *((share, False) for share in _SHARES)):
            placed = placer.place(layers, size / share, fuses=fuses)
            if placed is None and not fuses:
                return None
            if placed is None:
                continue
            order = schedule(strip.graph, placed, p, rows)
            if order is not None:
                return Part(strip, placed, order)
        return None

    def _most(self, layers: range, graph: QuantGraph) -> float:
        """Count the activations that a layer stores and reads, at least, of the one with the most.

        What only poolings read need not be there as a whole.
        """
        convs = [graph.layers[layer] for layer in layers]
        outside = {name for conv in graph.layers[layers.stop :] for name in conv.inputs}
        outside |= set(graph.outputs)
        outside |= {name for conv in convs if not goes_along(conv) for name in conv.inputs}
        outside |= {conv.name for conv in convs if goes_along(conv)}
        sizes = {
            name: float(np.prod(graph.shape(name))) * self._fill.share(name)
            for conv in convs
            for name in (*conv.inputs, conv.name)
            if name in outside
        }
        return max(sum(sizes.get(name, 0) for name in {*conv.inputs, conv.name}) for conv in convs)

    def _sum(self, layers: range, parts: tuple[Part, ...]) -> Segment:
        """Add up the cycles of all parts, and of what goes through memory for them."""
        cycles = 0.0
        for part in parts:
            p, placed, graph = self._params, part.placed, part.strip.graph
            moved = 0.0
            for number, tensor in enumerate(placed.holding.tensors):
                layout, (channels, _, _) = placed.layout(graph, number), graph.shape(tensor.name)
                density = self._fill.share(tensor.name)
                if tensor.maker < 0:
                    copies = placed.place(number).blocks(p) // placed.owners(number, p)
                    moved += copies * plane_cycles(layout, channels, p, density, out=False)
                if tensor.leaves:
                    moved += plane_cycles(layout, channels, p, density, out=True)
            cycles += part.placed.cycles + _RUN_CYCLES + moved
        return Segment(layers, parts, cycles)

    def _alone(self, layer: int) -> Segment:
        """Plan a layer that has the array for itself, cut into runs as need be."""
        conv, p = self._graph.layers[layer], self._params
        plan = plan_layer(conv, p, self._densities[conv.name])
        layout = plan.mapping.out_layout(whole_plane(conv))
        cycles = max(plan.cycles, weight_cycles(conv, plan, p)) + _RUN_CYCLES
        cycles += load_cycles(conv, plan, p) * LOAD_WORDS * word_cycles(plan.mapping, p)
        density = self._fill.share(conv.name)
        cycles += plane_cycles(layout, conv.out_shape[0], p, density, out=True)
        return Segment(range(layer, layer + 1), (), cycles)
