"""Tensors of Keras' layers as PyTorch has them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError

__all__ = [
    "BIDIRECTIONAL",
    "CELLS",
    "NORM",
    "NORMALIZATION",
    "OF_EACH_STEP",
    "ROLES",
    "SEPARABLE",
    "KerasFile",
    "Layer",
    "both_directions",
    "other_cell",
    "tensors_of",
    "translated",
]

_DENSE, NORM = "Dense", "BatchNormalization"
_CONVS = {"Conv1D": "conv", "Conv2D": "conv", "DepthwiseConv2D": "depthwise"}
CELLS = "LSTM", "GRU"
BIDIRECTIONAL, OF_EACH_STEP = "Bidirectional", "TimeDistributed"
"""Layers that have another one: in both directions, and on each step."""
NORMALIZATION = "Normalization"
SEPARABLE = "SeparableConv2D"
ROLES = {
    _DENSE: ("weight", "bias"),
    **dict.fromkeys(_CONVS, ("weight", "bias")),
    SEPARABLE: ("depthwise.weight", "pointwise.weight", "pointwise.bias"),
    NORM: ("weight", "bias", "running_mean", "running_var"),
    **dict.fromkeys(CELLS, ("weight_ih_l0", "weight_hh_l0", "bias")),
}
"""Of a layer's arrays in their order, what PyTorch calls them."""
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
    """A layer of a Keras model: its configuration, and its arrays by role, such as ``kernel``.

    The name of a layer in a model that is a layer itself has that one's before it:
    ``encoder.dense``. ``inner`` has the layers of such a model, or what goes forwards and what goes
    backwards of :data:`BIDIRECTIONAL`, or the one layer of :data:`OF_EACH_STEP`.
    """

    kind: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    inner: Sequence["Layer"] = ()

    @property
    def is_model(self) -> bool:
        """Whether it is a model itself."""
        return bool(self.inner) and self.kind not in (BIDIRECTIONAL, OF_EACH_STEP)

    def leaves(self) -> Iterator["Layer"]:
        """Give the layers that it is made of, in order; itself if it is no model."""
        if not self.is_model:
            yield self
            return
        for layer in self.inner:
            yield from layer.leaves()


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
    for whole in (leaf for layer in layers for leaf in layer.leaves()):
        # PyTorch's layers take each of several steps without being told.
        layer = replace(whole.inner[0], name=whole.name) if whole.kind == OF_EACH_STEP else whole
        if layer.kind == BIDIRECTIONAL:
            made, why = _both_ways(layer)
            state |= {f"{layer.name}.{role}": array for role, array in made.items()}
            problems += why
            continue
        if layer.kind not in ROLES:
            held = sum(array.size for array in layer.arrays.values())
            if held:
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


def _both_ways(layer: Layer) -> tuple[dict[str, NDArray[np.float32]], list[str]]:
    """Return the tensors of a layer in both directions, or sentences on why PyTorch has none."""
    made: dict[str, NDArray[np.float32]] = {}
    for part, suffix in zip(both_directions(layer), ("", "_reverse"), strict=True):
        known = part.kind in CELLS
        why = other_cell(part) if known else f"PyTorch has no {part.kind} in both directions"
        if why:
            return {}, [f"layer {layer.name!r} ({layer.kind}) is left out: {why}"]
        made |= {f"{role}{suffix}": array for role, array in tensors_of(part).items()}
    return made, []


def both_directions(layer: Layer) -> list[Layer]:
    """Return the two layers of a :data:`BIDIRECTIONAL` one, as if both went forwards."""
    return [replace(part, config={**part.config, "go_backwards": False}) for part in layer.inner]


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
