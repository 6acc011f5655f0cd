"""What recurrent layers of Keras, and Dense layers on each of several steps, are in ONNX."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.compress.keras_tensors import Layer, other_cell, tensors_of
from zeroskip.compiler.frontend.keras_nodes import Nodes

__all__ = ["RECURRENT", "dense_of_each", "recurrent", "why_not"]

RECURRENT = ("LSTM", "GRU")
_FROM_TORCH = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Of ONNX's gates, in order, the number that each has in PyTorch."""


def why_not(layer: Layer, sources: Sequence[str]) -> str:
    """Return why a recurrent layer of Keras cannot be one of ONNX; an empty text if it can."""
    if len(sources) > 1 or layer.config.get("return_state"):
        return "it is given a state, or gives its own"
    return other_cell(layer)


def recurrent(net: Nodes, layer: Layer, sources: Sequence[str], output: str) -> None:
    """Add a recurrent layer, which reads (batch, steps, values), or planes of one row."""
    (source,) = sources
    made = tensors_of(layer)
    arrays = {"W": made["weight_ih_l0"], "R": made["weight_hh_l0"]}
    if "bias_ih_l0" in made:
        arrays["B"] = np.stack([made["bias_ih_l0"], made["bias_hh_l0"]])
        arrays["B"] = np.concatenate([_sums(layer.kind, row) for row in arrays["B"]])[None]
    for name in ("W", "R"):
        arrays[name] = _sums(layer.kind, arrays[name])[None]
    names = [net.constant(f"{layer.name}.{name}", array) for name, array in arrays.items()]
    order = [1, 0, 2] if net.of_steps(source) else [2, 0, 1]
    turned = net.node("Transpose", [source], f"{output}.steps", perm=order)
    size = arrays["R"].shape[2]
    more = {"linear_before_reset": 1} if layer.kind == "GRU" else {}
    every, last = f"{output}.every", f"{output}.last"
    net.cell(layer.kind, [turned, *names], [every, last], layer.name, hidden_size=size, **more)
    if not layer.config.get("return_sequences"):
        axes = net.constant(f"{output}.axes", [0], np.int64)
        net.node("Squeeze", [last, axes], output)
        net.rank(layer.name, 2)
        return
    axes = net.constant(f"{output}.axes", [1], np.int64)
    one = net.node("Squeeze", [every, axes], f"{output}.one")
    net.node("Transpose", [one], output, perm=[1, 0, 2])
    net.of_steps(layer.name, are=True)


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
    net.of_steps(layer.name, are=True)


def _sums(kind: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows of (gates * units, ...), gates in PyTorch's order, with gates in ONNX's."""
    order = _FROM_TORCH[kind]
    return np.concatenate([np.split(array, len(order))[number] for number in order])
