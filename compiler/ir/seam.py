"""Join a chain of Linear layers to a graph."""

import math

from zeroskip.compiler.ir.graph import (
    INPUT,
    QuantGraph,
    QuantLinear,
)
from zeroskip.compiler.ir.network import QuantLayer, QuantNetwork

__all__ = ["join_quant"]

Shape = tuple[int, int, int]


def join_quant(network: QuantNetwork) -> QuantGraph[QuantLinear]:
    """Return a chain of Linear layers as a graph."""
    shape = plane_shape(network.input_shape)
    sample = None if shape == network.input_shape else network.input_shape
    layers = _quant_chain(network.layers, (INPUT,), shape)
    return QuantGraph(shape, layers, (layers[-1].name,), sample)


def plane_shape(sample: tuple[int, ...]) -> Shape:
    """Return the shape (C, H, W) of a tensor that holds a sample of any shape."""
    if len(sample) == 3:
        return sample[0], sample[1], sample[2]
    return math.prod(sample), 1, 1


def _quant_chain(
    layers: tuple[QuantLayer, ...], inputs: tuple[str, ...], shape: Shape
) -> tuple[QuantLinear, ...]:
    made: list[QuantLinear] = []
    for one in layers:
        made.append(
            QuantLinear(
                name=one.name,
                inputs=inputs,
                in_shape=shape,
                codes=one.codes,
                codebook=one.codebook,
                bias=one.bias,
                relu=one.relu,
                in_frac=one.in_frac,
                weight_frac=one.weight_frac,
                out_frac=one.out_frac,
            )
        )
        inputs, shape = (one.name,), made[-1].out_shape
    return tuple(made)
