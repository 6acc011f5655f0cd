"""Choose blocks and tiles of a run's layers, for the fewest cycles of all layers together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroskip.compiler.ir.graph import Pair, QuantConv, QuantGraph
from zeroskip.compiler.scnn.cost import Expected, bus_words, estimate, row_steps, weight_cycles
from zeroskip.compiler.scnn.eliminate import cheapest
from zeroskip.compiler.scnn.fill import Fill
from zeroskip.compiler.scnn.fuse import fused_windows, pooling_behind
from zeroskip.compiler.scnn.geometry import axis_needs, spilled
from zeroskip.compiler.scnn.held import (
    Holding,
    Piece,
    by_groups,
    hold_tensors,
    tensor_pieces,
    without_fused,
)
from zeroskip.compiler.scnn.layer import LayerPlan
from zeroskip.compiler.scnn.mapping import Mapping as LayerMapping
from zeroskip.compiler.scnn.order import goes_along
from zeroskip.compiler.scnn.placement import Link, Placement, axis_places, block_sizes, placements
from zeroskip.compiler.scnn.plan import pass_plans
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Bound", "Placed", "Placer"]

_COPIED = 4
"""What is loaded may take this share of a RAM and of its directory in all blocks, the inverse."""

_ALIKE = 8.0
"""Plans whose estimates differ by no more cycles count as equally fast: of these, the one with the
smallest groups of output channels is taken."""

_NEAR = 2.0
"""Plans are estimated with care up to this many times the cycles of the best."""


@dataclass(frozen=True)
class Bound:
    """What a layer takes: cycles of the array, of the busiest position of the bus, of the port."""

    compute: float
    bus: float = 0.0
    weights: float = 0.0

    @property
    def cycles(self) -> float:
        """Cycles of the layer: computing, bus and weights go on at once, so the slowest decides."""
        return max(self.compute, self.bus, self.weights)


@dataclass(frozen=True)
class Placed:
    """Layers of a run, where their tensors lie, and how each layer is computed.

    Parameters
    ----------
    layers : in order, without poolings that the passes of the layers before make.
    holding, pieces : the tensors.
    places : of each cluster of tensors.
    y_strides : of positions, of each cluster; None where no layer reads it.
    copied : clusters that are loaded to all blocks, so that the bus does not have to send them.
    plans : of each layer.
    buses : whether the layer reads what owners send over the bus.
    bounds : of each layer, in cycles.
    """

    layers: tuple[int, ...]
    holding: Holding
    pieces: tuple[tuple[Piece, ...], ...]
    places: tuple[Placement, ...]
    y_strides: tuple[int | None, ...]
    copied: frozenset[int]
    plans: dict[int, LayerPlan]
    buses: dict[int, bool]
    bounds: dict[int, Bound]

    @property
    def cycles(self) -> float:
        """Of all layers."""
        return sum(bound.cycles for bound in self.bounds.values())

    def layout(self, graph: QuantGraph, number: int) -> TileLayout:
        """Return how the tiles of a tensor lie on a block of the PEs that own it."""
        tensor, place = self.holding.tensors[number], self.place(number)
        _, rows, columns = graph.shape(tensor.name)
        y_stride = self.y_strides[self.holding.of_tensor[number]]
        return TileLayout(
            block_x=place.block_x,
            block_y=place.block_y,
            tile_h=place.tile_h,
            tile_w=place.tile_w,
            sy=tensor.stride[0],
            sx=tensor.stride[1],
            y_stride=place.tile_w // tensor.stride[1] if y_stride is None else y_stride,
            y0=0,
            x0=0,
            height=rows,
            width=columns,
            dense=tensor.dense,
        )

    def place(self, tensor: int) -> Placement:
        """Return where a tensor lies."""
        return self.places[self.holding.of_tensor[tensor]]

    def owners(self, tensor: int, params: ScnnParams) -> int:
        """Count the blocks that share the channels of a tensor."""
        if self.holding.of_tensor[tensor] in self.copied:
            return 1
        return self.place(tensor).blocks(params)


class Placer:
    """Places runs of a network's layers; what it has found of a layer it knows in later runs.

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
        self._plans: dict[tuple[object, ...], list[LayerPlan]] = {}
        self._cycles: dict[tuple[object, ...], float] = {}
        self._weights: dict[tuple[int, int], float] = {}
        self._tables: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray]] = {}

    def place(self, layers: range, most: float = math.inf, *, fuses: bool = False) -> Placed | None:
        """Place the tensors of some layers so that the layers take the fewest cycles together.

        Parameters
        ----------
        layers : their numbers.
        most : activations that a piece stores, see :func:`.tensor_pieces`.
        fuses : tensors before poolings that can be fused are not cut into pieces.

        Returns
        -------
        None if tensors cannot stay on the array from layer to layer.
        """
        graph = self._graph
        holding = hold_tensors(graph, layers)
        if holding is None:
            return None
        # Of a tensor before a fused pooling, nothing is in the RAMs.
        passed = frozenset(
            holding.reads[layer][0] for layer in layers if self._windows(layer, layers, holding)
        )
        pieces = tensor_pieces(graph, holding, self._fill, most, passed if fuses else ())
        domains = self._domains(layers, holding, pieces, passed)
        costs: dict[tuple[int, ...], np.ndarray] = {}
        fusing: dict[int, np.ndarray] = {}
        for layer in layers:
            source = holding.of_tensor[holding.reads[layer][0]]
            target = holding.of_tensor[holding.makes[layer]]
            table, fusing[layer] = self._table(
                layer, domains[source], domains[target], layers, pieces, holding
            )
            if source == target:
                key, table = (source,), np.diagonal(table)
            elif source < target:
                key = source, target
            else:
                key, table = (target, source), table.T
            costs[key] = costs.get(key, 0) + table
        chosen = cheapest([len(domain) for domain in domains], costs)
        if chosen is None:
            return None
        places = tuple(domain[at] for domain, at in zip(domains, chosen, strict=True))
        outputs = {layer: places[holding.of_tensor[at]] for layer, at in holding.makes.items()}
        makers = {self._graph.layers[layer].name: layer for layer in layers}
        fused = {
            layer: makers[self._graph.layers[layer].inputs[0]]
            for layer, table in fusing.items()
            if table[
                chosen[holding.of_tensor[holding.reads[layer][0]]],
                chosen[holding.of_tensor[holding.makes[layer]]],
            ]
        }
        if fused:
            holding, tensors, clusters = without_fused(holding, fused)
            pieces = tuple(pieces[at] for at in tensors)
            places = tuple(places[number] for number in clusters)
        rest = tuple(layer for layer in layers if layer not in fused)
        return self._settle(rest, holding, pieces, places, outputs)

    def _domains(
        self,
        layers: range,
        holding: Holding,
        pieces: Sequence[Sequence[Piece]],
        passed: frozenset[int],
    ) -> list[list[Placement]]:
        """List where each cluster may lie: what a PE's RAM and directory hold.

        ``passed``: tensors that need not be there, as poolings behind them can be fused.
        """
        graph, p = self._graph, self._params
        axes: list[list[set[Pair]]] = []
        for axis, pes in ((0, p.pes_y), (1, p.pes_x)):
            planes = [
                graph.shape(holding.tensors[cluster[0]].name)[1 + axis]
                for cluster in holding.clusters
            ]
            links = [
                Link(
                    holding.of_tensor[holding.reads[layer][0]],
                    holding.of_tensor[holding.makes[layer]],
                    graph.layers[layer].stride[axis],
                    _least(graph.layers[layer], axis, pes),
                )
                for layer in layers
            ]
            loaded = [holding.tensors[cluster[0]].maker < 0 for cluster in holding.clusters]
            axes.append(axis_places(planes, links, pes, loaded))
        found: list[list[Placement]] = []
        for number, cluster in enumerate(holding.clusters):
            stride = holding.tensors[cluster[0]].stride
            some = [
                place
                for place in placements(axes[0][number], axes[1][number], p)
                if place.tile_h % stride[0] == 0
                and place.tile_w % stride[1] == 0
                and (passed.issuperset(cluster) or self._holds(place, holding, pieces, number))
            ]
            found.append(some)
        return found

    def _holds(
        self,
        place: Placement,
        holding: Holding,
        pieces: Sequence[Sequence[Piece]],
        cluster: int,
    ) -> bool:
        """Tell if a directory has entries for a cluster, and a RAM has rows for each tensor."""
        p, owners = self._params, place.blocks(self._params)
        entries = 0
        for at in holding.clusters[cluster]:
            tensor, shares = holding.tensors[at], [piece.each(owners) for piece in pieces[at]]
            entries += sum(shares) * tensor.phases
            rows = place.words(tensor.stride, p) * tensor.phases * self._fill.share(tensor.name)
            if max(shares) * rows > p.act_words:
                return False
        return entries <= p.num_channels

    def _around(self, holding: Holding, cluster: int, layers: Sequence[int], to: Placement) -> int:
        """Count the columns beside a tile that any layer reaches that reads a cluster."""
        pes = block_sizes(self._params.pes_x)[to.block_x]
        reached: list[int] = []
        for layer in layers:
            if holding.of_tensor[holding.reads[layer][0]] == cluster:
                _, *both, columns = _axis_needs(self._graph.layers[layer], 1, pes)
                # Sums that nobody reads may lie on top of each other.
                beside = sum(both) if pes > 1 else max(both)
                reached.append(beside + spilled(columns, to.tile_w, pes))
        return max(reached)

    def _apart(self, stride: int) -> int:
        """Return a row stride with which sums above one another are in different banks."""
        return stride + (stride % self._params.banks == 0)

    def _table(
        self,
        layer: int,
        sources: Sequence[Placement],
        targets: Sequence[Placement],
        layers: range,
        pieces: Sequence[tuple[Piece, ...]],
        holding: Holding,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Estimate the cycles of a layer for each place of its inputs and of its outputs.

        Returns
        -------
        Two of (places of inputs, places of outputs): the cycles, and whether they are those of a
        fused pooling.
        """
        conv = self._graph.layers[layer]
        made = pieces[holding.makes[layer]]
        cluster = holding.of_tensor[holding.reads[layer][0]]
        out_stride = holding.tensors[holding.makes[layer]].stride[1]
        strides = tuple(
            self._apart(to.tile_w + self._around(holding, cluster, layers, to)) for to in targets
        )
        copied = tuple(self._copies(holding, layer, source) for source in sources)
        windows = self._windows(layer, layers, holding)
        key = layer, made, tuple(sources), tuple(targets), strides, copied, out_stride, windows
        if key in self._tables:
            return self._tables[key]
        table = np.full((len(sources), len(targets)), np.inf)
        every = [
            self._options(layer, to, stride, made)
            for to, stride in zip(targets, strides, strict=True)
        ]
        least = min((plans[0].cycles for plans in every if plans), default=0.0)
        for column, (to, plans) in enumerate(zip(targets, every, strict=True)):
            if not plans:
                continue
            y_stride = plans[0].mapping.y_stride
            for row, source in enumerate(sources):
                columns = source.tile_w // conv.stride[1]
                if y_stride - columns > self._params.max_run:
                    continue
                if to.reads(source, conv.stride, self._params):
                    if y_stride < columns * to.parts(source)[1]:
                        continue
                    whole = to.parts(source) == (1, 1) and copied[row]
                    bus = not whole and needs_bus(conv, source, to, self._params)
                    compute = plans[0].cycles
                    if compute <= _NEAR * least:
                        compute = self._estimate(layer, plans[0], out_stride)
                    bound = self._bound(layer, plans[0], compute, source, to, bus=bus)
                    if bound is not None:
                        table[row, column] = bound.cycles
        along = np.full_like(table, np.inf)
        if windows:
            for row, source in enumerate(sources):
                if not self._holds(source, holding, pieces, cluster):
                    table[row] = np.inf
                for column, to in enumerate(targets):
                    along[row, column] = self._fused_cycles(source, to, windows, made)
        fused = np.isfinite(along) & (along <= table)
        self._tables[key] = np.where(fused, along, table), fused
        return self._tables[key]

    def _windows(self, layer: int, layers: range, holding: Holding) -> Pair | None:
        """Return the rows and columns of a pooling's windows if it can be fused, else None."""
        graph = self._graph
        read = holding.tensors[holding.reads[layer][0]]
        stride = holding.tensors[holding.makes[layer]].stride
        if read.maker not in layers or read.leaves or stride != (1, 1):
            return None
        if pooling_behind(graph, read.maker) != layer:
            return None
        return fused_windows(graph.layers[layer], self._params)

    def _fused_cycles(
        self, source: Placement, to: Placement, windows: Pair | None, made: tuple[Piece, ...]
    ) -> float:
        """Estimate the cycles of a fused pooling: what a drain of fewer lanes takes longer.

        Infinite if the tiles of its outputs are not those of its inputs, in windows.
        """
        if windows is None or to != source.pooled(windows):
            return math.inf
        p, width = self._params, source.tile_w
        # Most layers whose blocks have several PEs have halos.
        fused = p.drain_width(1, windows[1], halos=source.block_x + source.block_y > 0)
        apart = p.drain_width(windows[1])
        steps = row_steps(fused, width, (0, 0)) - row_steps(apart, width, (0, 0), windows[1])
        each = max(piece.each(to.blocks(p)) for piece in made)
        return float(max(0, steps) * source.tile_h * each)

    def _options(
        self, layer: int, to: Placement, y_stride: int, made: tuple[Piece, ...]
    ) -> list[LayerPlan]:
        """List plans of a layer whose outputs lie somewhere, the fastest first."""
        key = layer, to, y_stride, made
        if key not in self._plans:
            p, conv = self._params, self._graph.layers[layer]
            start = LayerMapping(
                block_x=to.block_x,
                block_y=to.block_y,
                wo=to.tile_w,
                ho=to.tile_h,
                kc=1,
                k_stride=1,
                y_stride=y_stride,
            )
            each = max(piece.each(to.blocks(p)) for piece in made)
            plans = pass_plans(conv, p, self._densities[conv.name], start, each)
            # Of the fastest: the slower of array and port decides.
            slower = {plan: max(plan.cycles, self._port(layer, plan)) for plan in plans}
            self._plans[key] = sorted(plans, key=slower.__getitem__)
        return self._plans[key]

    def _port(self, layer: int, plan: LayerPlan) -> float:
        """Count the cycles in which the weights of a layer arrive."""
        key = layer, plan.mapping.kc
        if key not in self._weights:
            self._weights[key] = weight_cycles(self._graph.layers[layer], plan, self._params)
        return self._weights[key]

    def _estimate(self, layer: int, plan: LayerPlan, out_stride: int, pool_x: int = 1) -> float:
        """Estimate the cycles of a layer with care."""
        conv, key = self._graph.layers[layer], (layer, plan, out_stride, pool_x)
        if key not in self._cycles:
            expected = Expected.of(conv, self._densities[conv.name])
            self._cycles[key] = estimate(conv, plan, self._params, expected, out_stride, pool_x)
        return self._cycles[key]

    def _bound(
        self,
        layer: int,
        plan: LayerPlan,
        compute: float,
        source: Placement,
        to: Placement,
        *,
        bus: bool,
    ) -> Bound | None:
        """Say what a layer takes; None if the bus cannot bring it what it reads."""
        conv, p = self._graph.layers[layer], self._params
        density = self._densities[conv.name]
        weights = self._port(layer, plan)
        if not bus:
            return Bound(compute, 0.0, weights)
        # The bus sends the inputs of one group of the convolution after those of another, and a
        # block of PEs works only while those of its own group come: the groups take turns.
        if not by_groups(conv) and not goes_along(conv):
            compute *= min(conv.groups, to.blocks(p))
        parts = to.parts(source)
        signed_max = conv.op == "max" and conv.signed_input and parts != (1, 1)
        if not p.act_fifo_words or signed_max or len(set(conv.inputs)) < len(conv.inputs):
            return None
        tile = source.tile_h, source.tile_w
        return Bound(compute, bus_words(conv, plan, p, density, tile, parts), weights)

    def _copies(self, holding: Holding, layer: int, place: Placement) -> bool:
        """Tell if all blocks get what a layer reads: it is loaded, and does not take much."""
        p = self._params
        cluster = holding.clusters[holding.of_tensor[holding.reads[layer][0]]]
        some = [holding.tensors[at] for at in cluster]
        if any(tensor.maker >= 0 for tensor in some):
            return False
        if goes_along(self._graph.layers[layer]):
            return False
        entries = sum(self._graph.shape(tensor.name)[0] * tensor.phases for tensor in some)
        rows = entries * place.words(some[0].stride, p)
        return rows <= p.act_words // _COPIED and entries <= p.num_channels // _COPIED

    def _settle(
        self,
        layers: tuple[int, ...],
        holding: Holding,
        pieces: tuple[tuple[Piece, ...], ...],
        places: tuple[Placement, ...],
        outputs: Mapping[int, Placement],
    ) -> Placed | None:
        """Plan layers with the row stride that all those have that read the same tensors.

        Parameters
        ----------
        layers, holding, pieces, places : see :class:`Placed`.
        outputs : where each layer's own outputs lie, of which windows may be written.
        """
        graph, p = self._graph, self._params
        sources = {layer: holding.of_tensor[holding.reads[layer][0]] for layer in layers}
        y_strides: list[int | None] = [None] * len(places)
        for cluster in sorted(set(sources.values())):
            targets = [outputs[layer] for layer in layers if sources[layer] == cluster]
            widths = [to.tile_w for to in targets]
            stride = self._apart(
                max(widths) + max(self._around(holding, cluster, layers, to) for to in targets)
            )
            first = next(layer for layer in layers if sources[layer] == cluster)
            columns = places[cluster].tile_w // graph.layers[first].stride[1]
            most = columns * max(to.parts(places[cluster])[1] for to in targets)
            if stride < most or stride - min(columns, *widths) > p.max_run:
                return None
            y_strides[cluster] = stride
        copied = frozenset(
            sources[layer]
            for layer in layers
            if self._copies(holding, layer, places[sources[layer]])
        ) - {
            sources[layer]
            for layer in layers
            if outputs[layer].parts(places[sources[layer]]) != (1, 1)
        }
        plans: dict[int, LayerPlan] = {}
        buses: dict[int, bool] = {}
        bounds: dict[int, Bound] = {}
        for layer in layers:
            source, to, made = sources[layer], outputs[layer], holding.makes[layer]
            stride = y_strides[source]
            options = [] if stride is None else self._options(layer, to, stride, pieces[made])
            pool_x = to.tile_w // places[holding.of_tensor[made]].tile_w
            phases = holding.tensors[made].stride[1], pool_x
            bus = source not in copied and needs_bus(graph.layers[layer], places[source], to, p)
            rated = [
                (plan, bound)
                for plan in options
                if plan.mapping.y_stride == stride
                and (
                    bound := self._bound(
                        layer,
                        plan,
                        self._estimate(layer, plan, *phases),
                        places[source],
                        to,
                        bus=bus,
                    )
                )
            ]
            if not rated:
                return None
            # Of what takes about the same, the smallest groups: the least of the drain is exposed.
            least = min(bound.cycles for _, bound in rated) + _ALIKE
            alike = [one for one in rated if one[1].cycles <= least]
            plan, bounds[layer] = min(alike, key=lambda one: one[0].mapping.kc)
            plans[layer] = replace(plan, cycles=bounds[layer].compute)
            buses[layer] = bus
        return Placed(
            layers, holding, pieces, places, tuple(y_strides), copied, plans, buses, bounds
        )


def needs_bus(conv: QuantConv, source: Placement, to: Placement, params: ScnnParams) -> bool:
    """Return whether PEs read channels that other PEs own."""
    if to.parts(source) != (1, 1):
        return True
    return source.blocks(params) > 1 and not goes_along(conv)


def _axis_needs(conv: QuantConv, axis: int, pes: int) -> tuple[int, int, int, int]:
    """Find what a layer needs in one direction, see :func:`.axis_needs`."""
    return axis_needs(
        conv.weight.shape[2 + axis],
        conv.weight.shape[2 + axis],
        stride=conv.stride[axis],
        padding=conv.padding[axis],
        inputs=conv.in_shape[1 + axis],
        outputs=conv.out_shape[1 + axis],
        region=conv.out_shape[1 + axis],
        pes=pes,
        spills=True,
    )


def _least(conv: QuantConv, axis: int, pes: int) -> dict[int, int]:
    """Find the fewest outputs of a PE in one direction, by block size in log2."""
    return {block: _axis_needs(conv, axis, count)[0] for block, count in block_sizes(pes).items()}
