"""Measure the accuracy of a network: in float, with the image's shared weights, in fixed point."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.compute import run_nodes, shapes
from zeroskip.compiler.ir.graph import (
    FloatCell,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    QuantCell,
    QuantConv,
    QuantLinear,
)
from zeroskip.compiler.passes.calibrate import batches
from zeroskip.compiler.passes.fixed_point import check_planes, dequantize
from zeroskip.sim.result import Result

__all__ = ["accuracies", "difference"]


def accuracies(
    image: Image,
    result: Result,
    x: ArrayLike,
    labels: NDArray[Any],
    model: FloatGraph | None = None,
) -> dict[str, float]:
    """Return the share of inputs whose largest output is the one that the label names.

    Parameters
    ----------
    image : the compiled network.
    result : of a run on ``x``.
    x : (n, *sample_shape) inputs.
    labels : (n,) the class of each.
    model : the network before it was compiled.

    Returns
    -------
    In fixed point; with a model also in float, and in float with the weights that the image has.

    Raises
    ------
    InputError
        If labels are unusable, or the model is another network.
    """
    outputs = result.outputs.reshape(len(result.outputs), -1)
    if labels.shape != (len(outputs),) or labels.dtype.kind not in "iu":
        raise InputError(
            f"labels must be whole numbers of shape ({len(outputs)},), one an input, not "
            f"{labels.dtype} of shape {labels.shape}"
        )
    fixed = float(np.mean(outputs.argmax(axis=1) == labels))
    if model is None:
        return {"fixed": fixed}
    shared = replace(model, nodes=tuple(_stored(node, image) for node in model.nodes))
    return {
        "float": float(np.mean(_answers(model, x) == labels)),
        "shared": float(np.mean(_answers(shared, x) == labels)),
        "fixed": fixed,
    }


def difference(result: Result, x: ArrayLike, model: FloatGraph) -> float:
    """Return the largest difference of an output from float, over the largest output in float.

    Parameters
    ----------
    result : of a run on ``x``.
    x : (n, *sample_shape) inputs.
    model : the network before it was compiled.

    Raises
    ------
    InputError
        If the model is another network.
    """
    fixed, exact = result.outputs.reshape(len(result.outputs), -1), _outputs(model, x)
    if fixed.shape != exact.shape:
        raise InputError(
            f"the model is not the network of the image: it gives {exact.shape[1]} numbers an "
            f"input, and the image {fixed.shape[1]}"
        )
    largest = float(np.abs(exact).max())
    return float(np.abs(fixed - exact).max()) / largest if largest else 0.0


def _answers(graph: FloatGraph, x: ArrayLike) -> NDArray[np.int64]:
    """Return the class that the network in float gives each input, (n,): its largest output."""
    return _outputs(graph, x).argmax(axis=1)


def _outputs(graph: FloatGraph, x: ArrayLike) -> NDArray[np.float64]:
    """Return what the network in float makes of each input, (n, outputs)."""
    samples, steps = check_planes(x, graph, "input"), graph.steps or 1
    largest = max(math.prod(shape) for shape in shapes(graph).values())
    found: list[NDArray[np.float64]] = []
    for batch in batches(samples, largest, graph.input_steps):
        y = next(y for node, y in run_nodes(graph, batch) if node.name == graph.output)
        of_steps = y.reshape(len(y) // steps, steps, -1)
        found.append(of_steps.reshape(len(of_steps), -1) if graph.every_step else of_steps[:, -1])
    return np.concatenate(found)


def _stored(node: FloatNode, image: Image) -> FloatNode:
    """Return a node with the weights that the image has for it."""
    if not isinstance(node, FloatConv | FloatLinear | FloatCell):
        return node
    layer = next((layer for layer in image.graph.layers if layer.name == node.name), None)
    weights: dict[str, NDArray[np.float64]] = {}
    if isinstance(layer, QuantConv):
        # Channels behind its own are of a residual that is added.
        own = layer.weight[:, : node.weight.shape[1]]
        weights["weight"] = dequantize(own, layer.weight_frac)
    elif isinstance(layer, QuantLinear):
        weights["weight"] = dequantize(layer.codebook[layer.codes.toarray()], layer.weight_frac)
    elif isinstance(layer, QuantCell):
        weights["weight"] = dequantize(layer.codebook[layer.matrix.toarray()], layer.weight_frac)
        recurrent = layer.recurrent_codebook[layer.recurrent.toarray()]
        weights["recurrent"] = dequantize(recurrent, layer.recurrent_frac)
    if not weights or any(
        array.size != getattr(node, name).size for name, array in weights.items()
    ):
        raise InputError(
            f"the model is not the network of image {image.name!r}: its layer {node.name!r}, of "
            f"{' x '.join(map(str, node.weight.shape))} weights, is not in the image"
        )
    shaped = {name: array.reshape(getattr(node, name).shape) for name, array in weights.items()}
    return replace(node, **shaped)
