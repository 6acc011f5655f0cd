"""A network that a front end has read, as a torch module that computes the same."""

import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCnn,
    FloatConcat,
    FloatConv,
    FloatNode,
    FloatPool,
)
from zeroskip.compiler.ir.network import FloatNetwork

__all__ = ["to_module"]


def to_module(network: FloatNetwork | FloatCnn) -> nn.Module:
    """Return ``network`` in float32, in eval mode.

    A chain is a Sequential of Flatten, Linear and ReLU. Linears and convolutions carry the names of
    their layers, with ``_`` for what a name cannot have.

    Raises
    ------
    CompileError
        If it has a node of a kind that torch has no module for.
    """
    if isinstance(network, FloatCnn):
        return _Cnn(network).eval()
    module = nn.Sequential()
    _append(module, network)
    return module.eval()


def _append(module: nn.Module, chain: FloatNetwork) -> list[str]:
    """Add the parts of a chain to ``module`` and return their names."""
    before = set(module._modules)
    if len(chain.input_shape) != 1:
        module.add_module("flatten", nn.Flatten())
    for layer in chain.layers:
        name = _free_name(layer.name, module)
        linear = nn.Linear(layer.shape[1], layer.shape[0], bias=bool(layer.bias.any()))
        _copy(linear, layer.weight, layer.bias)
        module.add_module(name, linear)
        if layer.relu:
            module.add_module(_free_name(f"{name}_relu", module), nn.ReLU())
    return [name for name in module._modules if name not in before]


class _Cnn(nn.Module):
    """The nodes of a graph, in order, and a chain behind them."""

    def __init__(self, network: FloatCnn) -> None:
        super().__init__()
        graph = network.graph
        self._nodes, self._output = graph.nodes, graph.output
        self._shape = graph.input_shape
        self._convs: dict[str, str] = {}
        self._rest: list[str] = []
        for node in graph.nodes:
            if isinstance(node, FloatConv):
                name = _free_name(node.name, self)
                self.add_module(name, _convolution(node))
                self._convs[node.name] = name
        if network.tail is not None:
            self._rest = _append(self, network.tail)
        elif self._is_vector():
            # What is one element high and wide is no plane to whoever made the network.
            self.add_module("flatten", nn.Flatten())
            self._rest = ["flatten"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {INPUT: x if x.shape[1:] == self._shape else x.reshape(-1, *self._shape)}
        for node in self._nodes:
            values[node.name] = self._run(node, *(values[name] for name in node.inputs))
        y = values[self._output]
        for name in self._rest:
            y = self.get_submodule(name)(y)
        return y

    def _is_vector(self) -> bool:
        """Say whether the output has one row and one column."""
        with torch.no_grad():
            return self(torch.zeros(1, *self._shape)).shape[2:] == (1, 1)

    def _run(self, node: FloatNode, *inputs: torch.Tensor) -> torch.Tensor:
        if isinstance(node, FloatConv):
            conv = self.get_submodule(self._convs[node.name])
            (down, across), after = node.padding, node.after
            if after is not None:
                sides = (across, after[1], down, after[0])
                inputs = tuple(functional.pad(one, sides) for one in inputs)
            y = conv(*inputs)
        elif isinstance(node, FloatPool):
            y = _pool(node, *inputs)
        elif isinstance(node, FloatConcat):
            return torch.cat(inputs, 1)
        elif isinstance(node, FloatAdd):
            y = inputs[0] + inputs[1]
        else:
            raise CompileError(f"{node.name!r} is of a kind that compression has no module for")
        return torch.relu(y) if node.relu else y


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
