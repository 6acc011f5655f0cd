"""Join and split networks at the last seams between a chain of layers and a graph.

Until every pass takes graphs, those that do not are given what :func:`split_quant` makes, and what
they make is joined again.
"""

import math
from dataclasses import replace

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatGraph,
    FloatLinear,
    QuantCnn,
    QuantConv,
    QuantGraph,
    QuantLinear,
)
from zeroskip.compiler.ir.network import QuantLayer, QuantNetwork

__all__ = ["check_order", "join_quant", "split_quant"]

Shape = tuple[int, int, int]


def check_order(graph: FloatGraph) -> None:
    """Check that :func:`split_quant` can split a network, before it is quantized.

    Raises
    ------
    CompileError
        If anything but a chain of Linear layers comes after a Linear layer; names it.
    """
    linear = {node.name for node in graph.nodes if isinstance(node, FloatLinear)}
    for node in graph.nodes:
        if node.name not in linear and linear.intersection(node.inputs):
            (name, *_) = (name for name in node.inputs if name in linear)
            raise CompileError(
                f"layer {node.name!r} reads what the Linear layer {name!r} makes, but in an image "
                "only a chain of Linear layers can come after a Linear layer; compile what comes "
                f"after {name!r} as a network of its own"
            )


def join_quant(network: QuantNetwork | QuantCnn) -> QuantGraph:
    """Return a network of either kind as one graph, with Linear layers as layers of it."""
    if isinstance(network, QuantNetwork):
        shape = plane_shape(network.input_shape)
        sample = None if shape == network.input_shape else network.input_shape
        layers = _quant_chain(network.layers, (INPUT,), shape)
        return QuantGraph(shape, layers, (layers[-1].name,), sample)
    graph = network.graph
    if network.tail is None:
        return graph
    ends = [graph.shape(name) for name in graph.outputs]
    shape = (sum(one[0] for one in ends), *ends[0][1:])
    tail = _quant_chain(network.tail.layers, graph.outputs, shape)
    return replace(graph, layers=(*graph.layers, *tail), outputs=(tail[-1].name,))


def split_quant(graph: QuantGraph) -> QuantNetwork | QuantCnn:
    """Return a graph as a chain of Linear layers, or as convolutions with such a chain behind."""
    linear: list[QuantLinear] = [one for one in graph.layers if isinstance(one, QuantLinear)]
    convs = tuple(one for one in graph.layers if isinstance(one, QuantConv))
    assert graph.layers == (*convs, *linear)
    layers = tuple(
        QuantLayer(
            name=one.name,
            codes=one.codes,
            codebook=one.codebook,
            bias=one.bias,
            relu=one.relu,
            in_frac=one.in_frac,
            weight_frac=one.weight_frac,
            out_frac=one.out_frac,
        )
        for one in linear
    )
    if not convs:
        return QuantNetwork(graph.sample_shape or graph.input_shape, layers)
    if not linear:
        return QuantCnn(graph, None)
    made = replace(graph, layers=convs, outputs=linear[0].inputs)
    return QuantCnn(made, QuantNetwork(linear[0].in_shape, layers))


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
