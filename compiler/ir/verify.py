"""Check what holds of every network between the passes of the compiler."""

import math
from collections.abc import Sequence

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.compute import shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatConv,
    FloatGraph,
    FloatLinear,
    QuantConv,
    QuantGraph,
    QuantLinear,
)

__all__ = ["verify_graph"]

Shape = tuple[int, int, int]
QuantLayer = QuantConv | QuantLinear


def verify_graph(graph: FloatGraph | QuantGraph[QuantLayer], after: str) -> None:
    """Check a network in float or in fixed point.

    Names are unique, tensors are made before they are read, shapes fit, and numbers are finite; in
    fixed point, what is read together has the same fraction, and codes are in the codebook.

    Parameters
    ----------
    graph : the network.
    after : the pass that made it, for the message.

    Raises
    ------
    CompileError
        If something does not hold; names the pass and the layer.
    """
    try:
        if not (graph.nodes if isinstance(graph, FloatGraph) else graph.layers):
            raise CompileError("the network has no layer")
        sample = graph.sample_shape
        if sample is not None and math.prod(sample) != math.prod(graph.input_shape):
            raise CompileError(
                f"samples of shape {sample} are not inputs of shape {graph.input_shape}"
            )
        if isinstance(graph, FloatGraph):
            _verify_float(graph)
        else:
            _verify_quant(graph)
    except CompileError as error:
        raise CompileError(f"{after} made a network that is not one: {error}") from error


def _verify_float(graph: FloatGraph) -> None:
    shapes(graph)
    for node in graph.nodes:
        if not isinstance(node, (FloatConv, FloatLinear)):
            continue
        if node.bias.shape != node.weight.shape[:1]:
            raise CompileError(
                f"layer {node.name!r} has {node.bias.size} biases for {len(node.weight)} outputs"
            )
        bad = sum(np.count_nonzero(~np.isfinite(array)) for array in (node.weight, node.bias))
        if bad:
            raise CompileError(
                f"layer {node.name!r} has {bad} weights and biases that are NaN or infinite"
            )


def _verify_quant(graph: QuantGraph[QuantLayer]) -> None:
    made: dict[str, Shape] = {INPUT: graph.input_shape}
    fractions: dict[str, int] = {}
    for layer in graph.layers:
        _check_made(f"layer {layer.name!r} reads", layer.inputs, made)
        if layer.name in made:
            raise CompileError(f"two layers have the name {layer.name!r}; names must be unique")
        first = made[layer.inputs[0]]
        read = (sum(made[name][0] for name in layer.inputs), *first[1:])
        if read != layer.in_shape or any(made[name][1:] != first[1:] for name in layer.inputs):
            raise CompileError(f"layer {layer.name!r} takes {layer.in_shape}, but gets {read}")
        for name in layer.inputs:
            # The first that reads the network's input says which fraction that has.
            if fractions.setdefault(name, layer.in_frac) != layer.in_frac:
                raise CompileError(
                    f"layer {layer.name!r} takes {layer.in_frac} fraction bits, but {name!r} has "
                    f"{fractions[name]}"
                )
        _check_weights(layer)
        made[layer.name], fractions[layer.name] = layer.out_shape, layer.out_frac
    _check_made("the network gives", graph.outputs, made)
    if len({fractions.get(name) for name in graph.outputs}) > 1:
        raise CompileError(
            f"the network gives {', '.join(map(repr, graph.outputs))} side by side, which have "
            "different fractions"
        )


def _check_made(who: str, names: Sequence[str], made: dict[str, Shape]) -> None:
    if missing := [name for name in names if name not in made]:
        raise CompileError(f"{who} {missing[0]!r}, which is not made before")
    if not names:
        raise CompileError(f"{who} nothing")


def _check_weights(layer: QuantLayer) -> None:
    """Check that weights are for the shapes of a layer, and in its codebook."""
    channels, height, width = layer.in_shape
    if isinstance(layer, QuantLinear):
        fits = layer.codes.shape == (layer.out_shape[0], channels * height * width)
        known = layer.codes.data.size == 0 or int(layer.codes.data.max()) < layer.codebook.size
    else:
        depth, fan, *_ = layer.weight.shape
        fits = (depth, fan * layer.groups) == (layer.out_shape[0], channels)
        known = layer.codebook is None or bool(np.isin(layer.weight, layer.codebook).all())
    if not fits or layer.bias.shape != layer.out_shape[:1]:
        raise CompileError(
            f"layer {layer.name!r} has weights and biases for other shapes than "
            f"{layer.in_shape} and {layer.out_shape}"
        )
    if not known:
        raise CompileError(f"layer {layer.name!r} has weights that its codebook has not")
