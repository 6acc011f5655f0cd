"""What recurrent layers of Keras, and Dense layers on each of several steps, are in ONNX."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.compress.keras_tensors import (
    BIDIRECTIONAL,
    Layer,
    both_directions,
    other_cell,
    tensors_of,
)
from zeroskip.compiler.frontend.keras_nodes import Nodes

__all__ = ["RECURRENT", "dense_of_each", "recurrent", "why_not"]

RECURRENT = ("LSTM", "GRU")
_FROM_TORCH = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Of ONNX's gates, in order, the number that each has in PyTorch."""


def why_not(layer: Layer, sources: Sequence[str]) -> str:
    """Return why a recurrent layer of Keras cannot be one of ONNX; an empty text if it can."""
    parts = layer.inner or [layer]
    if len(sources) > 1 or any(part.config.get("return_state") for part in parts):
        return "it is given a state, or gives its own"
    if layer.kind != BIDIRECTIONAL:
        return other_cell(layer)
    if layer.config.get("merge_mode", "concat") != "concat":
        return "its directions are not side by side"
    if any(part.kind not in RECURRENT for part in parts):
        return "it is of another layer"
    return next(filter(None, map(other_cell, both_directions(layer))), "")


def recurrent(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    """Add a recurrent layer, which reads (batch, steps, values), or planes of one row."""
    (source,) = sources
    both = layer.kind == BIDIRECTIONAL
    parts = both_directions(layer) if both else [layer]
    cell = parts[0]
    made = [_arrays(part) for part in parts]
    arrays = {name: np.stack([one[name] for one in made]) for name in made[0]}
    names = [net.constant(f"{layer.name}.{name}", array) for name, array in arrays.items()]
    order = [1, 0, 2] if net.of_steps(source) else [2, 0, 1]
    turned = net.node("Transpose", [source], f"{output}.steps", perm=order)
    size = arrays["R"].shape[2]
    more: dict[str, Any] = {"linear_before_reset": 1} if cell.kind == "GRU" else {}
    if both:
        more["direction"] = "bidirectional"
    width = len(parts) * size
    steps = bool(cell.config.get("return_sequences"))
    every, last = (f"{output}.every", "") if steps else ("", f"{output}.last")
    net.cell(cell.kind, [turned, *names], [every, last], output, hidden_size=size, **more)
    if not steps and not both:
        net.node("Squeeze", [last, net.constant(f"{output}.axes", [0], np.int64)], output)
        net.rank(output, 2)
        return
    if not steps:
        beside = net.node("Transpose", [last], f"{output}.beside", perm=[1, 0, 2])
        net.node("Reshape", [beside, _sizes(net, output, [1, width])], output)
        net.rank(output, 2)
        return
    beside = net.node("Transpose", [every], f"{output}.beside", perm=[0, 2, 1, 3])
    joined = net.node("Reshape", [beside, _sizes(net, output, [0, 1, width])], f"{output}.one")
    net.node("Transpose", [joined], output, perm=[1, 0, 2])
    net.of_steps(output, are=True)


def _sizes(net: Nodes, output: str, sizes: Sequence[int]) -> str:
    return net.constant(f"{output}.sizes", sizes, np.int64)


def _arrays(layer: Layer) -> dict[str, NDArray[np.float32]]:
    """Return a cell's arrays of one direction, by the names that they have in ONNX."""
    made = tensors_of(layer)
    arrays = {
        "W": _sums(layer.kind, made["weight_ih_l0"]),
        "R": _sums(layer.kind, made["weight_hh_l0"]),
    }
    if "bias_ih_l0" in made:
        biases = [_sums(layer.kind, made[f"bias_{of}_l0"]) for of in ("ih", "hh")]
        arrays["B"] = np.concatenate(biases)
    return arrays


def dense_of_each(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    """Add a Dense layer that reads each step, or each place of a plane, as a 1 x 1 convolution."""
    (source,) = sources
    made = tensors_of(layer)
    bias = [net.constant(f"{layer.name}.bias", made["bias"])] if "bias" in made else []
    if not net.of_steps(source):
        weight = made["weight"].reshape(*made["weight"].shape, *[1] * (net.rank(source) - 2))
        net.node("Conv", [source, net.constant(f"{layer.name}.weight", weight), *bias], output)
        return
    matrix = net.constant(f"{layer.name}.weight", made["weight"].T)
    product = f"{output}.product" if bias else output
    net.node("MatMul", [source, matrix], product)
    if bias:
        net.node("Add", [product, *bias], output)
    net.of_steps(output, are=True)


def _sums(kind: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of (gates * units, ...), gates in PyTorch's order, with gates in ONNX's."""
    order = _FROM_TORCH[kind]
    return np.concatenate([np.split(array, len(order))[number] for number in order])
