"""The arithmetic of layers in Python's unbounded integers, one output after the other.

Sums are wrapped in one place, where the hardware has a register of ``acc_bits``; nothing else is
ever cut but by saturation. Nothing here is shared with golden or with the compiler.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph, QuantLinear

__all__ = ["Layer", "run_conv", "run_graph", "run_linear", "windows"]


@dataclass
class Layer:
    """What a layer made of one sample.

    Parameters
    ----------
    outputs : in C order.
    sums : of products, before the bias: what accumulators hold if they never wrap.
    totals : ``sums`` with bias and half.
    saturated : how many outputs saturation changed.
    """

    outputs: list[int] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    saturated: int = 0

    def end(
        self, total: int, bias: int, shift: int, relu: bool, act_bits: int, acc_bits: int
    ) -> None:
        """Add the bias to a sum of products, and round, shift and saturate it to an output."""
        self.sums.append(total)
        self.totals.append(total + bias + (2**shift // 2))
        wrapped = self.totals[-1] % 2**acc_bits
        if wrapped >= 2 ** (acc_bits - 1):
            wrapped -= 2**acc_bits
        rounded = wrapped // 2**shift
        kept = max(-(2 ** (act_bits - 1)), min(rounded, 2 ** (act_bits - 1) - 1))
        if relu and kept < 0:
            self.outputs.append(0)
            return
        self.saturated += kept != rounded
        self.outputs.append(kept)


def run_linear(layer: QuantLinear, x: list[int], act_bits: int, acc_bits: int) -> Layer:
    """Run a matrix on the elements of one sample."""
    made = Layer()
    rows = layer.codebook[layer.codes.toarray()].tolist()
    for row, bias in zip(rows, layer.bias.tolist(), strict=True):
        total = sum(w * a for w, a in zip(row, x, strict=True))
        made.end(total, bias, layer.shift, layer.relu, act_bits, acc_bits)
    return made


def windows(layer: QuantConv) -> Iterator[tuple[int, int, int, list[tuple[int, int, int, int]]]]:
    """Yield every output's channel and place, and of what: (channel, row, column, weight) each."""
    weight = layer.weight.tolist()
    _, height, width = layer.in_shape
    per_group = layer.out_shape[0] // layer.groups
    fan = layer.in_shape[0] // layer.groups
    for k, p, q in np.ndindex(*layer.out_shape):
        found = []
        for c, r, s in np.ndindex(*layer.weight.shape[1:]):
            y = p * layer.stride[0] + r - layer.padding[0]
            x = q * layer.stride[1] + s - layer.padding[1]
            if not (0 <= y < height and 0 <= x < width):
                continue
            value = weight[k][c][r][s]
            for one in layer.areas:
                if 0 <= p - one.y0 < one.height and 0 <= q - one.x0 < one.width:
                    value = one.weight
            found.append((k // per_group * fan + c, y, x, value))
        yield k, p, q, found


def run_conv(layer: QuantConv, planes: NDArray[np.int64], act_bits: int, acc_bits: int) -> Layer:
    """Run a convolution, pooling or an addition on one sample (C, H, W)."""
    made, values, bias = Layer(), planes.tolist(), layer.bias.tolist()
    for k, _, _, window in windows(layer):
        products = [values[c][y][x] * w for c, y, x, w in window]
        total = max(products) if layer.op == "max" else sum(products)
        made.end(total, bias[k], layer.shift, layer.relu, act_bits, acc_bits)
    return made


def run_graph(
    graph: QuantGraph, planes: NDArray[np.int64], act_bits: int, acc_bits: Mapping[str, int]
) -> dict[str, Layer]:
    """Run a whole network on one sample (C, H, W); ``acc_bits`` of each layer by name."""
    tensors, made = {INPUT: planes}, dict[str, Layer]()
    for layer in graph.layers:
        x = np.concatenate([tensors[name] for name in layer.inputs])
        if isinstance(layer, QuantLinear):
            done = run_linear(layer, x.ravel().tolist(), act_bits, acc_bits[layer.name])
        else:
            done = run_conv(layer, x, act_bits, acc_bits[layer.name])
        tensors[layer.name] = np.array(done.outputs, np.int64).reshape(layer.out_shape)
        made[layer.name] = done
    return made
