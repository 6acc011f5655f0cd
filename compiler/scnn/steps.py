"""From a network's nodes to what the array computes one after the other, still in float.

Concatenations go: whoever reads one reads its parts. Pooling becomes a convolution. A residual
addition becomes part of a convolution before it where that can be, else a layer of its own.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatPool,
)
from zeroskip.compiler.ir.windows import Pair, divisors, elements
from zeroskip.compiler.scnn.areas import Divided, divided_areas

__all__ = ["Step", "Steps", "make_steps"]


@dataclass(frozen=True, eq=False)
class Step:
    """A layer of :class:`.QuantGraph` before its numbers are rounded.

    Parameters
    ----------
    name, kind, inputs, in_shape, out_shape, stride, padding, groups, relu, op, dilation : as
        there.
    node : name of the float node whose output this is.
    weight : (K, C // groups, R, S) float64; of an average, each is 1 / elements.
    bias : (K,) float64.
    identity : the last K inputs are added to the outputs as they are; ``weight`` has the others.
    areas : of an average that divides by different numbers; ``weight`` is of the largest.
    """

    name: str
    node: str
    kind: Literal["conv", "max", "avg", "add"]
    inputs: tuple[str, ...]
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    relu: bool = False
    op: Literal["add", "max"] = "add"
    identity: bool = False
    areas: tuple[Divided, ...] = ()
    dilation: Pair = (1, 1)


@dataclass(frozen=True, eq=False)
class Steps:
    """All steps in order; ``outputs`` are tensors, which side by side are the output."""

    input_shape: tuple[int, int, int]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


def make_steps(graph: FloatGraph, fusible: dict[str, bool]) -> Steps:
    """Return what the array has to compute.

    Parameters
    ----------
    graph : the network.
    fusible : by name, which convolutions have room in their number format for a weight of 1.

    Raises
    ------
    CompileError
        If the graph is none, see :func:`.shapes`.
    """
    return _Builder(graph, fusible).run()


class _Builder:
    """The state of one walk over a graph."""

    def __init__(self, graph: FloatGraph, fusible: dict[str, bool]) -> None:
        self._graph = graph
        self._shapes = shapes(graph)
        self._readers = Counter(name for node in graph.nodes for name in node.inputs)
        self._readers[graph.output] += 1
        self._nodes = {node.name: node for node in graph.nodes}
        # Of each tensor of the graph, the steps whose outputs side by side it is.
        self._parts: dict[str, tuple[str, ...]] = {INPUT: (INPUT,)}
        self._hosts = {
            node.name: host
            for node in graph.nodes
            if isinstance(node, FloatAdd) and (host := self._host(node, fusible)) is not None
        }

    def run(self) -> Steps:
        """Make the steps."""
        taken = {host.name for host in self._hosts.values()}
        steps: list[Step] = []
        for node in self._graph.nodes:
            if node.name in taken:
                continue  # It comes where the addition is.
            if isinstance(node, FloatConcat):
                self._parts[node.name] = self._read(*node.inputs)
                continue
            if isinstance(node, FloatConv):
                step = self._convolution(node)
            elif isinstance(node, FloatPool):
                step = self._pool(node)
            elif isinstance(node, FloatLinear):
                raise AssertionError("Linear layers come behind the graph until it takes them")
            elif node.name in self._hosts:
                step = self._sum(node, self._hosts[node.name])
            else:
                step = self._addition(node)
            steps.append(step)
            self._parts[node.name] = (step.name,)
        return Steps(self._graph.input_shape, tuple(steps), self._read(self._graph.output))

    def _host(self, add: FloatAdd, fusible: dict[str, bool]) -> FloatConv | None:
        """Return the convolution that can do an addition besides its own sums, if there is one."""
        for name, other in (add.inputs, add.inputs[::-1]):
            node = self._nodes.get(name)
            if (
                isinstance(node, FloatConv)
                and fusible.get(name, False)
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
        """Return the names of a tensor's parts."""
        node = self._nodes.get(tensor)
        if not isinstance(node, FloatConcat):
            return {tensor}
        return set().union(*map(self._leaves, node.inputs))

    def _read(self, *tensors: str) -> tuple[str, ...]:
        return tuple(part for tensor in tensors for part in self._parts[tensor])

    def _convolution(self, node: FloatConv) -> Step:
        return Step(
            name=node.name,
            node=node.name,
            kind="conv",
            inputs=self._read(*node.inputs),
            in_shape=self._shapes[node.inputs[0]],
            out_shape=self._shapes[node.name],
            weight=node.weight,
            bias=node.bias,
            stride=node.stride,
            padding=node.padding,
            groups=node.groups,
            relu=node.relu,
            dilation=node.dilation,
        )

    def _pool(self, node: FloatPool) -> Step:
        shape = self._shapes[node.inputs[0]]
        count, areas = 1, tuple[Divided, ...]()
        if node.kind == "avg":
            areas = divided_areas(divisors(node, shape[1:]), elements(node, shape[1:]))
            count = max(areas, key=lambda one: one.height * one.width).divisor
        return Step(
            name=node.name,
            node=node.name,
            kind=node.kind,
            inputs=self._read(*node.inputs),
            in_shape=shape,
            out_shape=self._shapes[node.name],
            weight=np.full((shape[0], 1, *node.kernel), 1.0 / count),
            bias=np.zeros(shape[0]),
            stride=node.stride,
            padding=node.padding,
            groups=shape[0],
            relu=node.relu,
            op="max" if node.kind == "max" else "add",
            areas=areas if len(areas) > 1 else (),
        )

    def _sum(self, node: FloatAdd, host: FloatConv) -> Step:
        """Return a convolution that also adds a tensor, as more input channels."""
        other = node.inputs[1] if node.inputs[0] == host.name else node.inputs[0]
        channels, height, width = self._shapes[host.inputs[0]]
        depth = len(host.weight)
        return Step(
            name=host.name,
            node=node.name,
            kind="conv",
            inputs=self._read(*host.inputs, other),
            in_shape=(channels + depth, height, width),
            out_shape=self._shapes[node.name],
            weight=host.weight,
            bias=host.bias,
            stride=host.stride,
            padding=host.padding,
            relu=node.relu,
            identity=True,
            dilation=host.dilation,
        )

    def _addition(self, node: FloatAdd) -> Step:
        depth, height, width = self._shapes[node.name]
        return Step(
            name=node.name,
            node=node.name,
            kind="add",
            inputs=self._read(*node.inputs),
            in_shape=(2 * depth, height, width),
            out_shape=(depth, height, width),
            weight=np.tile(np.eye(depth), 2)[:, :, None, None],
            bias=np.zeros(depth),
            relu=node.relu,
        )
