"""Float networks as the front end reads them, computed with torch."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCell,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
)


def run_node(node: FloatNode, x: list[torch.Tensor]) -> torch.Tensor:
    """Compute a node with torch; recurrent layers have tests of their own."""
    assert not isinstance(node, FloatCell)
    if isinstance(node, FloatConcat):
        return torch.cat(x, dim=1)
    if isinstance(node, FloatAdd):
        y = x[0] + x[1]
    elif isinstance(node, FloatLinear):
        weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
        y = functional.linear(x[0].flatten(1), weight, bias)[:, :, None, None]
    elif isinstance(node, FloatConv):
        weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
        (top, left), (bottom, right) = node.padding, node.after or node.padding
        padded = functional.pad(x[0], (left, right, top, bottom))
        y = functional.conv2d(padded, weight, bias, node.stride, 0, 1, node.groups)
    elif node.kind == "max" or node.divisor is not None:
        (top, left), size = node.padding, x[0].shape[2:]
        bottom, right = (
            (count - 1) * step + width - here - before
            for count, step, width, here, before in zip(
                node.out_size, node.stride, node.kernel, size, node.padding, strict=True
            )
        )
        fill = float("-inf") if node.kind == "max" else 0.0
        padded = functional.pad(x[0], (left, right, top, bottom), value=fill)
        if node.kind == "max":
            y = functional.max_pool2d(padded, node.kernel, node.stride)
        else:
            divisor = node.divisor
            y = functional.avg_pool2d(padded, node.kernel, node.stride, divisor_override=divisor)
    else:
        for ceil in (False, True):
            y = functional.avg_pool2d(
                x[0], node.kernel, node.stride, node.padding, ceil, node.count_include_pad
            )
            if y.shape[2:] == node.out_size:
                break
        assert y.shape[2:] == node.out_size
    return y.clamp(min=0) if node.relu else y


def forward(graph: FloatGraph, x: np.ndarray) -> np.ndarray:
    """Run a network in float64; what it gives is (samples, C, H, W)."""
    tensors = {INPUT: torch.from_numpy(x.reshape(len(x), *graph.input_shape))}
    for node in graph.nodes:
        tensors[node.name] = run_node(node, [tensors[name] for name in node.inputs])
    return tensors[graph.output].numpy()


def chain(graph: FloatGraph) -> tuple[FloatLinear, ...]:
    """Return the layers of a network that is a chain of Linear layers."""
    source, layers = INPUT, []
    for node in graph.nodes:
        assert isinstance(node, FloatLinear)
        assert node.inputs == (source,)
        source = node.name
        layers.append(node)
    assert graph.output == source
    return tuple(layers)


def prepared(module: nn.Module) -> nn.Module:
    """Give the module numbers that show mistakes: batch norms have statistics, some negative."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm1d)):
            for tensor, low in (
                (part.running_mean, -1.0),
                (part.running_var, 0.5),
                (part.weight, -2.0),
                (part.bias, -1.0),
            ):
                if tensor is not None:
                    nn.init.uniform_(tensor, low, 2.0)
    return module.double().eval()


def kinds(graph: FloatGraph) -> str:
    """Return what the nodes are, in a few letters."""
    letters = {FloatConv: "c", FloatLinear: "L", FloatAdd: "s", FloatConcat: "|"}
    return " ".join(
        (node.kind[0] if isinstance(node, FloatPool) else letters[type(node)])
        + "+" * getattr(node, "relu", False)
        for node in graph.nodes
    )
