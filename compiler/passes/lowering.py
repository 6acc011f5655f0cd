"""From a network's nodes to the layers that arrays compute one after the other, still in float.

Concatenations go: whoever reads one reads its parts. Pooling becomes a convolution. A residual
addition becomes part of a convolution before it where that can be, else a layer of its own.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCell,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatPool,
    Pair,
    Shape,
)
from zeroskip.compiler.ir.sequences import Sweep
from zeroskip.compiler.ir.windows import divisors, elements
from zeroskip.compiler.passes.areas import Divided, divided_areas
from zeroskip.compiler.passes.overflow import Products
from zeroskip.compiler.passes.share import SharedWeights

__all__ = ["Lowered", "LoweredLayer", "lower"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LoweredLayer:
    """A layer of :class:`.QuantGraph` before its numbers are rounded.

    Parameters
    ----------
    name, kind, inputs, in_shape, out_shape, stride, padding, groups, relu, op, dilation : as
        there.
    node : name of the float node whose output this is.
    depths : channels of each of ``inputs``.
    weights : (K, C // groups, R, S), or (rows, columns) of a Linear; of an average, each is
        1 / elements.
    bias : (K,) float64.
    identity : the last K inputs are added to the outputs as they are; ``weights`` has the others.
    areas : of an average that divides by different numbers; ``weights`` is of the largest.
    recurrent : of a recurrent layer, the weights of its outputs of the step before.
    steps, projection, sweep, peepholes, delta : of a recurrent layer, as in :class:`.FloatCell`.
    """

    name: str
    node: str
    kind: Literal["conv", "linear", "max", "avg", "add", "lstm", "gru"]
    inputs: tuple[str, ...]
    depths: tuple[int, ...]
    in_shape: Shape
    out_shape: Shape
    weights: SharedWeights
    bias: NDArray[np.float64]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    relu: bool = False
    op: Literal["add", "max"] = "add"
    identity: bool = False
    areas: tuple[Divided, ...] = ()
    dilation: Pair = (1, 1)
    recurrent: SharedWeights | None = None
    steps: int = 1
    projection: str | None = None
    sweep: Sweep = "forward"
    peepholes: NDArray[np.float64] | None = None
    delta: float | None = None

    @property
    def sources(self) -> NDArray[np.int64]:
        """(C,) of each input channel the number of its tensor among ``inputs``."""
        return np.repeat(np.arange(len(self.depths)), self.depths)

    @cached_property
    def products(self) -> Products:
        """What each output adds up, besides an identity; a Linear's kernel is its whole input."""
        codes = self.weights.codes
        is_matrix = self.kind in ("linear", "lstm", "gru")
        kernel = self.in_shape if is_matrix else codes.shape[1:]
        own = self.sources[: kernel[0] * self.groups].reshape(self.groups, -1)
        return Products(
            codes.reshape(len(codes), *kernel), self.weights.values.size, own, len(self.depths)
        )


@dataclass(frozen=True, eq=False)
class Lowered:
    """All layers in order; ``outputs`` are tensors, which side by side are the output."""

    input_shape: Shape
    layers: tuple[LoweredLayer, ...]
    outputs: tuple[str, ...]


def lower(
    graph: FloatGraph, weights: Mapping[str, SharedWeights], fusible: Collection[tuple[str, str]]
) -> Lowered:
    """Return what arrays have to compute.

    Parameters
    ----------
    graph : the network.
    weights : of each convolution, Linear and matrix of a recurrent layer, by name.
    fusible : names of convolutions and of additions that read them, which are computed by the same
        engine, and where the convolution's number format has room for a weight of 1.

    Raises
    ------
    CompileError
        If the graph is none, see :func:`.shapes`.
    """
    return _Builder(graph, weights, fusible).run()


class _Builder:
    """The state of one walk over a graph."""

    def __init__(
        self,
        graph: FloatGraph,
        weights: Mapping[str, SharedWeights],
        fusible: Collection[tuple[str, str]],
    ) -> None:
        self._graph = graph
        self._weights = weights
        self._shapes = shapes(graph)
        self._readers = Counter(name for node in graph.nodes for name in node.inputs)
        self._readers[graph.output] += 1
        self._nodes = {node.name: node for node in graph.nodes}
        # By tensor, the layers whose outputs it holds one after the other, along the channels.
        self._sides: dict[str, tuple[str, ...]] = {INPUT: (INPUT,)}
        self._depths = {INPUT: graph.input_shape[0]}
        self._hosts = {
            node.name: host
            for node in graph.nodes
            if isinstance(node, FloatAdd) and (host := self._host(node, fusible)) is not None
        }

    def run(self) -> Lowered:
        """Make the layers."""
        taken = {host.name for host in self._hosts.values()}
        layers: list[LoweredLayer] = []
        for node in self._graph.nodes:
            if node.name in taken:
                continue  # It comes where the addition is.
            if isinstance(node, FloatConcat):
                self._sides[node.name] = self._read(*node.inputs)
                continue
            if isinstance(node, FloatConv):
                layer = self._convolution(node)
            elif isinstance(node, FloatLinear):
                layer = self._linear(node)
            elif isinstance(node, FloatCell):
                layer = self._cell(node)
            elif isinstance(node, FloatPool):
                layer = self._pool(node)
            elif node.name in self._hosts:
                layer = self._convolution(self._hosts[node.name], node)
            else:
                layer = self._addition(node)
            layers.append(layer)
            self._sides[node.name] = (layer.name,)
            self._depths[layer.name] = layer.out_shape[0]
        outputs = self._read(self._graph.output)
        return Lowered(self._graph.input_shape, tuple(layers), outputs)

    def _host(self, add: FloatAdd, fusible: Collection[tuple[str, str]]) -> FloatConv | None:
        """Return the convolution that can do an addition besides its own sums, if there is one."""
        for name, other in (add.inputs, add.inputs[::-1]):
            node = self._nodes.get(name)
            if (
                isinstance(node, FloatConv)
                and (name, add.name) in fusible
                and not node.relu
                and self._readers[name] == 1
                and node.groups == 1
                and node.stride == (1, 1)
                # The tap on the output's own place.
                and all(p < k for p, k in zip(node.padding, node.weight.shape[2:], strict=True))
                and self._shapes[node.inputs[0]][1:] == self._shapes[name][1:]
                and not self._leaves(node.inputs[0]) & self._leaves(other)
            ):
                return node
        return None

    def _leaves(self, tensor: str) -> set[str]:
        """Return the names of the tensors that are side by side in one."""
        node = self._nodes.get(tensor)
        if not isinstance(node, FloatConcat):
            return {tensor}
        return set().union(*map(self._leaves, node.inputs))

    def _read(self, *tensors: str) -> tuple[str, ...]:
        return tuple(side for tensor in tensors for side in self._sides[tensor])

    def _layer(
        self, node: str, inputs: tuple[str, ...], *, name: str | None = None, **fields: Any
    ) -> LoweredLayer:
        """Return a layer that makes the output of ``node`` of some tensors of the graph."""
        read = self._read(*inputs)
        plane = self._shapes[inputs[0]][1:]
        depths = tuple(self._depths[side] for side in read)
        if self._graph.reads_rows(self._nodes[node]):
            depths, plane = tuple(depth * plane[1] for depth in depths), (1, 1)
        return LoweredLayer(
            name=name or node,
            node=node,
            inputs=read,
            depths=depths,
            in_shape=(sum(depths), *plane),
            out_shape=self._shapes[node],
            **fields,
        )

    def _convolution(self, conv: FloatConv, add: FloatAdd | None = None) -> LoweredLayer:
        """Return a convolution, which for ``add`` also adds a tensor, as more input channels."""
        more = () if add is None else (name for name in add.inputs if name != conv.name)
        node = add or conv
        return self._layer(
            node.name,
            (*conv.inputs, *more),
            name=conv.name,
            kind="conv",
            weights=self._weights[conv.name],
            bias=conv.bias,
            stride=conv.stride,
            padding=conv.padding,
            groups=conv.groups,
            relu=node.relu,
            identity=add is not None,
            dilation=conv.dilation,
        )

    def _linear(self, node: FloatLinear) -> LoweredLayer:
        return self._layer(
            node.name,
            node.inputs,
            kind="linear",
            weights=self._weights[node.name],
            bias=node.bias,
            relu=node.relu,
        )

    def _cell(self, node: FloatCell) -> LoweredLayer:
        weights, recurrent = (self._weights[matrix.name] for matrix in node.matrices)
        return self._layer(
            node.name,
            node.inputs,
            kind=node.kind,
            weights=weights,
            recurrent=recurrent,
            bias=node.bias,
            steps=node.steps,
            projection=node.projection,
            sweep=node.sweep,
            peepholes=node.peepholes,
            delta=node.delta,
        )

    def _pool(self, node: FloatPool) -> LoweredLayer:
        channels, *plane = self._shapes[node.inputs[0]]
        count, areas = 1, tuple[Divided, ...]()
        if node.kind == "avg":
            size = plane[0], plane[1]
            areas = divided_areas(divisors(node, size), elements(node, size))
            count = max(areas, key=lambda area: area.height * area.width).divisor
        ones = np.ones((channels, 1, *node.kernel), np.uint8)
        return self._layer(
            node.name,
            node.inputs,
            kind=node.kind,
            weights=SharedWeights(ones, np.array([1.0 / count])),
            bias=np.zeros(channels),
            stride=node.stride,
            padding=node.padding,
            groups=channels,
            relu=node.relu,
            op="max" if node.kind == "max" else "add",
            areas=areas if len(areas) > 1 else (),
        )

    def _addition(self, node: FloatAdd) -> LoweredLayer:
        depth = self._shapes[node.name][0]
        ones = np.tile(np.eye(depth, dtype=np.uint8), 2)[:, :, None, None]
        return self._layer(
            node.name,
            node.inputs,
            kind="add",
            weights=SharedWeights(ones, np.ones(1)),
            bias=np.zeros(depth),
            relu=node.relu,
        )
