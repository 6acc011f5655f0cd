"""Tensors of Keras' layers as PyTorch has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError

__all__ = [
    "CELLS",
    "NORM",
    "ROLES",
    "SEPARABLE",
    "KerasFile",
    "Layer",
    "other_cell",
    "tensors_of",
    "translated",
]

_DENSE, NORM = "Dense", "BatchNormalization"
_CONVS = {"Conv1D": "conv", "Conv2D": "conv", "DepthwiseConv2D": "depthwise"}
CELLS = "LSTM", "GRU"
SEPARABLE = "SeparableConv2D"
ROLES = {
    _DENSE: ("weight", "bias"),
    **dict.fromkeys(_CONVS, ("weight", "bias")),
    SEPARABLE: ("depthwise.weight", "pointwise.weight", "pointwise.bias"),
    NORM: ("weight", "bias", "running_mean", "running_var"),
    **dict.fromkeys(CELLS, ("weight_ih_l0", "weight_hh_l0", "bias")),
}
"""Of a layer's arrays in their order, what PyTorch calls them."""
_PLAIN = frozenset({
    "InputLayer", "Flatten", "Dropout", "SpatialDropout2D", "ReLU", "Activation", "MaxPooling1D",
    "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "Add", "Concatenate",
    "ZeroPadding1D", "ZeroPadding2D", "Cropping2D", "Reshape", "Permute", "Softmax",
})  # fmt: skip
"""Layers without weights that arrays can compute, or that are left out."""


_EPSILON, _OTHERS_EPSILON = 1e-3, 1e-5
"""What BatchNorm adds to a variance unless it is told: in Keras, and in PyTorch."""


@dataclass(frozen=True)
class KerasFile:
    """What is in a file.

    Parameters
    ----------
    state : tensors as PyTorch has them, by the layers' names: ``dense.weight`` is (outputs, inputs)
        in the order of (C, H, W), ``conv2d.weight`` (K, C, R, S). Variances are such that
        BatchNorm2d with PyTorch's own ``eps`` computes what Keras does. A separable convolution is
        two, ``sep.depthwise`` and ``sep.pointwise``; gates of GRU are in the order of PyTorch.
    problems : sentences on layers that are of no supported kind.
    """

    state: Mapping[str, NDArray[np.float32]]
    problems: Sequence[str] = ()


@dataclass
class Layer:
    """A layer of the model's configuration, and its arrays in order, with the roles of each."""

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def translated(layers: Sequence[Layer]) -> KerasFile:
    """Turn the weights of a Keras model's layers into a state_dict of PyTorch, layer by layer.

    Raises
    ------
    InputError
        If none has weights that PyTorch has, too.
    """
    state: dict[str, NDArray[np.float32]] = {}
    problems: list[str] = []
    channels, flattened = 0, False
    for layer in layers:
        if layer.kind not in ROLES:
            if layer.kind not in _PLAIN:
                held = sum(array.size for array in layer.arrays.values())
                problems.append(
                    f"layer {layer.name!r} ({layer.kind}) is of no supported kind; its {held} "
                    "weights are left out"
                )
            flattened = flattened or layer.kind == "Flatten"
            continue
        if layer.kind in CELLS and (why := other_cell(layer)):
            problems.append(f"layer {layer.name!r} ({layer.kind}) is left out: {why}")
            continue
        made = tensors_of(layer, channels if flattened else 0)
        if "running_var" in made:
            epsilon = float(layer.config.get("epsilon", _EPSILON))
            made["running_var"] = made["running_var"] + np.float32(epsilon - _OTHERS_EPSILON)
        state |= {f"{layer.name}.{role}": np.ascontiguousarray(a) for role, a in made.items()}
        if layer.kind in (*_CONVS, SEPARABLE):
            channels = len(made["weight" if layer.kind in _CONVS else "pointwise.weight"])
        if layer.kind == _DENSE:
            flattened, channels = False, 0
    if not state:
        raise InputError("it has no Dense, no convolution and no cell with weights")
    return KerasFile(state, problems)


def tensors_of(layer: Layer, channels: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a layer as PyTorch has them.

    Parameters
    ----------
    layer : of a kind in :data:`ROLES`.
    channels : of planes that were flattened before a Dense layer, whose inputs are then in the
        order of (C, H, W) in PyTorch; 0: as they are.
    """
    if layer.kind in CELLS:
        return _cell(layer)
    made = dict(layer.arrays)
    for role, array in layer.arrays.items():
        if role == "weight" and layer.kind == _DENSE:
            made[role] = _matrix(array, channels)
        elif role.endswith("weight") and layer.kind in (*_CONVS, SEPARABLE):
            depthwise = "depthwise" in (_CONVS.get(layer.kind), role.partition(".")[0])
            made[role] = _kernel(array, depthwise=depthwise)
    return made


def other_cell(layer: Layer) -> str:
    """Return why a recurrent layer is none of PyTorch's, or nothing."""
    config = layer.config
    for key, usual in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        if config.get(key, usual) != usual:
            return f"its {key} is {config[key]!r}, and PyTorch's is {usual}"
    bias = layer.arrays.get("bias")
    before = not config.get("reset_after", True) or (bias is not None and bias.ndim == 1)
    if layer.kind == "GRU" and before:
        return (
            "it resets the state before the product (reset_after=False), and PyTorch's does after"
        )
    return "it goes backwards" if config.get("go_backwards") else ""


def _cell(layer: Layer) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a recurrent layer; Keras has GRU's gates as z, r and n."""

    def gates(array: NDArray[np.float32]) -> NDArray[np.float32]:
        if layer.kind == "LSTM":
            return array
        update, reset, new = np.split(array, 3)
        return np.concatenate([reset, update, new])

    made = {
        role: np.ascontiguousarray(gates(layer.arrays[role].T))
        for role in ("weight_ih_l0", "weight_hh_l0")
    }
    bias = layer.arrays.get("bias")
    if bias is not None:
        both = bias if bias.ndim > 1 else np.stack([bias, np.zeros_like(bias)])
        made |= {f"bias_{of}_l0": gates(row) for of, row in zip(("ih", "hh"), both, strict=True)}
    return made


def _matrix(kernel: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return (outputs, inputs); behind a Flatten, inputs are in the order of (H, W, C) in Keras."""
    rows, columns = kernel.shape
    if channels and not rows % channels:
        kernel = kernel.reshape(-1, channels, columns).transpose(1, 0, 2).reshape(rows, columns)
    return kernel.T


def _kernel(kernel: NDArray[np.float32], *, depthwise: bool) -> NDArray[np.float32]:
    """Return (K, C, R, S), or (K, C, S) in one dimension, of (R, S, C, K)."""
    if depthwise:
        rows, columns, *_ = kernel.shape
        return kernel.reshape(rows, columns, 1, -1).transpose(3, 2, 0, 1)
    return np.moveaxis(kernel, (-1, -2), (0, 1))
