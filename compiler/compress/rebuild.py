"""A network that a front end has read, as a torch module that computes the same."""

import re
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatCell,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
)

__all__ = ["recurrent_layer", "to_module"]


def to_module(graph: FloatGraph) -> nn.Module:
    """Return a network in float32, in eval mode.

    A chain of Linear layers is a Sequential of Flatten, Linear and ReLU. Linears and convolutions
    carry the names of their layers, with ``_`` for what a name cannot have.
    """
    if graph.steps:
        return _Sequence(graph).eval()
    if not all(isinstance(node, FloatLinear) for node in graph.nodes):
        return _Network(graph).eval()
    module = nn.Sequential()
    if len(graph.sample_shape or graph.input_shape) != 1:
        module.add_module("flatten", nn.Flatten())
    for node in graph.nodes:
        if isinstance(node, FloatLinear):
            name = _free_name(node.name, module)
            module.add_module(name, _linear(node))
            if node.relu:
                module.add_module(_free_name(f"{name}_relu", module), nn.ReLU())
    return module.eval()


class _Network(nn.Module):
    """The nodes of a graph, in order."""

    def __init__(self, graph: FloatGraph) -> None:
        super().__init__()
        self._nodes, self._output = graph.nodes, graph.output
        self._planes, self._result_axes = _Planes(graph), graph.result_axes
        self._layers: dict[str, str] = {}
        for node in graph.nodes:
            if isinstance(node, (FloatConv, FloatLinear)):
                name = _free_name(node.name, self)
                made = _linear(node) if isinstance(node, FloatLinear) else _convolution(node)
                self.add_module(name, made)
                self._layers[node.name] = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {INPUT: self._planes(x)}
        for node in self._nodes:
            layer = self._layers.get(node.name)
            made = None if layer is None else self.get_submodule(layer)
            values[node.name] = _on_planes(node, made, [values[name] for name in node.inputs])
        y = values[self._output]
        if self._result_axes is not None:
            return y.permute(0, *(1 + axis for axis in self._result_axes))
        # What is one element high and wide is no plane to whoever made the network.
        return y.flatten(1) if y.shape[2:] == (1, 1) else y


class _Planes:
    """Turn samples (N, *sample_shape) into the planes (N, C, H, W) that a graph takes.

    Those of single steps of a sequence come one behind the other.
    """

    def __init__(self, graph: FloatGraph) -> None:
        self._shape, self._axes = graph.input_shape, graph.sample_axes

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self._axes is not None:
            x = x.permute(0, *(1 + axis for axis in self._axes))
        return x.reshape(-1, *self._shape)


def _on_planes(
    node: FloatNode, layer: nn.Module | None, inputs: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Compute the output of a node, (N, K, P, Q), from its inputs, (N, C, H, W) each.

    ``layer`` is the module with the node's weights; None if it has none.
    """
    if isinstance(node, FloatConcat):
        return torch.cat([*inputs], 1)
    if isinstance(node, FloatConv) and layer is not None:
        (down, across), after = node.padding, node.after
        sides = None if after is None else (across, after[1], down, after[0])
        y = layer(inputs[0] if sides is None else functional.pad(inputs[0], sides))
    elif layer is not None:
        y = layer(inputs[0].flatten(1))[:, :, None, None]
    elif isinstance(node, FloatPool):
        y = _pool(node, *inputs)
    else:
        y = inputs[0] + inputs[1]
    return torch.relu(y) if getattr(node, "relu", False) else y


class _Sequence(nn.Module):
    """Compute a recurrent network node by node, on sequences (batch, steps, values).

    Planes that layers of each step make before the first cell are (batch, steps, C, H, W); those
    of whole sequences, (batch, C, steps, W).
    """

    def __init__(self, graph: FloatGraph) -> None:
        super().__init__()
        self._nodes, self._output, self._every_step = graph.nodes, graph.output, graph.every_step
        self._planes, self._of_sequences = _Planes(graph), graph.of_sequences
        projections = {node.projection for node in graph.nodes if isinstance(node, FloatCell)}
        self._layers: dict[str, str] = {}
        for node in graph.nodes:
            name = _free_name(node.name, self)
            if isinstance(node, FloatCell):
                if node.peepholes is not None:
                    raise CompileError(
                        f"layer {node.name!r} has peepholes, and torch has no LSTM with them to "
                        "train: compile the file as it is, which takes them"
                    )
                self.add_module(name, recurrent_layer(node, graph.projection(node)))
            elif isinstance(node, FloatConv):
                self.add_module(name, _convolution(node))
            elif isinstance(node, FloatLinear) and node.name not in projections:
                self.add_module(name, _linear(node))
            else:
                continue
            self._layers[node.name] = name
        self._projections = projections

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        planes = self._planes(x)
        values = {INPUT: planes if self._of_sequences else planes.unflatten(0, (len(x), -1))}
        for node in self._nodes:
            values[node.name] = self._run(node, [values[name] for name in node.inputs])
        y = values[self._output]
        return y if self._every_step else y[:, -1]

    def _run(self, node: FloatNode, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        if node.name in self._projections:
            # A projection is part of torch's LSTM, the node before, which has computed it already.
            return inputs[0]
        name = self._layers.get(node.name)
        layer = None if name is None else self.get_submodule(name)
        if node.name in self._of_sequences:
            return _on_planes(node, layer, inputs)
        if not self._of_sequences.isdisjoint(node.inputs):
            # Rows are steps.
            inputs = [tensor.transpose(1, 2) for tensor in inputs]
        if isinstance(node, FloatCell) and layer is not None:
            x = inputs[0].flatten(2)
            # A recurrent layer gives its last states, too.
            y, _ = layer(x if node.sweep == "forward" else x.flip(1))
            return y.flip(1) if node.sweep == "reverse" else y
        if isinstance(node, FloatLinear) and layer is not None:
            y = layer(inputs[0].flatten(2))
            return torch.relu(y) if node.relu else y
        if isinstance(node, FloatConcat):
            return torch.cat([*inputs], 2)
        made = _on_planes(node, layer, [x.flatten(0, 1) for x in inputs])
        return made.unflatten(0, inputs[0].shape[:2])


def recurrent_layer(node: FloatCell, projection: FloatLinear | None) -> nn.LSTM | nn.GRU:
    """Make torch's LSTM or GRU of a cell and of its projection, if any, with the same weights."""
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[node.kind]
    options = {} if projection is None else {"proj_size": projection.shape[0]}
    layer = kind(node.weight.shape[1], node.units, batch_first=True, **options)
    if projection is not None:
        _set(layer, "weight_hr_l0", projection.weight)
    # torch's order; of what a GRU's candidate takes, each part is in one matrix alone.
    sums = {"lstm": ([0, 2, 1, 3], [0, 2, 1, 3]), "gru": ([0, 2, 3], [0, 2, 1])}[node.kind]
    bias = node.bias.reshape(-1, node.units)
    past = np.zeros_like(bias)
    if node.kind == "gru":
        past[1] = bias[1]
    for name, array, order in (
        ("weight_ih_l0", node.weight, sums[0]),
        ("weight_hh_l0", node.recurrent, sums[1]),
        ("bias_ih_l0", bias, sums[0]),
        ("bias_hh_l0", past, sums[1]),
    ):
        rows = array.reshape(4, node.units, -1)
        _set(layer, name, rows[order])
    return layer


def _set(layer: nn.Module, name: str, array: NDArray[np.float64]) -> None:
    with torch.no_grad():
        parameter = layer.get_parameter(name)
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)).reshape(parameter.shape))


def _linear(node: FloatLinear) -> nn.Linear:
    linear = nn.Linear(node.shape[1], node.shape[0], bias=bool(node.bias.any()))
    _copy(linear, node.weight, node.bias)
    return linear


def _convolution(node: FloatConv) -> nn.Conv2d:
    depth, fan = node.weight.shape[:2]
    # Zeros in the holes of a dilated kernel are no weights, and take part in no density.
    weight = node.weight[:, :, :: node.dilation[0], :: node.dilation[1]]
    conv = nn.Conv2d(
        fan * node.groups,
        depth,
        (weight.shape[2], weight.shape[3]),
        node.stride,
        (0, 0) if node.after is not None else node.padding,
        node.dilation,
        node.groups,
        bias=bool(node.bias.any()),
    )
    _copy(conv, weight, node.bias)
    return conv


def _pool(node: FloatPool, x: torch.Tensor) -> torch.Tensor:
    floor = [
        (size + 2 * pad - width) // step + 1
        for size, pad, width, step in zip(
            x.shape[2:], node.padding, node.kernel, node.stride, strict=True
        )
    ]
    ceil = any(size > least for size, least in zip(node.out_size, floor, strict=True))
    if node.kind == "max":
        y = functional.max_pool2d(x, node.kernel, node.stride, node.padding, ceil_mode=ceil)
    else:
        y = functional.avg_pool2d(
            x, node.kernel, node.stride, node.padding, ceil, node.count_include_pad, node.divisor
        )
    # Where one axis alone has a window over the edge.
    return y if y.shape[2:] == node.out_size else y[:, :, : node.out_size[0], : node.out_size[1]]


def _copy(
    layer: nn.Linear | nn.Conv2d, weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if layer.bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))


def _free_name(name: str, owner: nn.Module) -> str:
    """Return ``name`` as a new module of ``owner`` may be called."""
    name = re.sub(r"\W", "_", name)
    while hasattr(owner, name):
        name += "_"
    return name
