"""Float networks as the front end reads them, computed with torch."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCnn,
    FloatConcat,
    FloatConv,
    FloatLinear,
    FloatNode,
    FloatPool,
)


def run_node(node: FloatNode, x: list[torch.Tensor]) -> torch.Tensor:
    """Compute a node with torch."""
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


def forward(cnn: FloatCnn, x: np.ndarray) -> np.ndarray:
    """Run a network in float64; a tail takes the output flattened."""
    tensors = {INPUT: torch.from_numpy(x.reshape(len(x), *cnn.graph.input_shape))}
    for node in cnn.graph.nodes:
        tensors[node.name] = run_node(node, [tensors[name] for name in node.inputs])
    y = tensors[cnn.graph.output].numpy()
    if cnn.tail is None:
        return y
    assert y.shape[1:] == cnn.tail.input_shape
    y = y.reshape(len(y), -1)
    for layer in cnn.tail.layers:
        y = y @ layer.weight.T + layer.bias
        y = np.maximum(y, 0) if layer.relu else y
    return y


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


def kinds(cnn: FloatCnn) -> str:
    """Return what the nodes are, in a few letters."""
    letters = []
    for node in cnn.graph.nodes:
        kind = {FloatConv: "c", FloatAdd: "s", FloatConcat: "|"}.get(type(node), "")
        if isinstance(node, FloatPool):
            kind = node.kind[0]
        letters.append(kind + "+" * getattr(node, "relu", False))
    if cnn.tail is not None:
        letters += ["/", *("L" + "+" * layer.relu for layer in cnn.tail.layers)]
    return " ".join(letters)
