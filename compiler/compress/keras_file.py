"""Read weights from Keras files: ``.keras``, ``.h5`` and ``.weights.h5``, as data."""

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError, ToolError
from zeroskip.compiler.compress.users_code import first_words

__all__ = ["KerasFile", "read_keras"]

_DENSE, _NORM = "Dense", "BatchNormalization"
_CONVS = {"Conv1D": "conv", "Conv2D": "conv", "DepthwiseConv2D": "depthwise"}
_ROLES = {
    _DENSE: ("weight", "bias"),
    **dict.fromkeys(_CONVS, ("weight", "bias")),
    _NORM: ("weight", "bias", "running_mean", "running_var"),
}
"""Of a layer's arrays in their order, what PyTorch calls them."""
_NAMES = {
    "kernel": "weight", "depthwise_kernel": "weight", "bias": "bias", "gamma": "weight",
    "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
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
        BatchNorm2d with PyTorch's own ``eps`` computes what Keras does.
    problems : sentences on layers that are of no supported kind.
    """

    state: Mapping[str, NDArray[np.float32]]
    problems: Sequence[str] = ()


@dataclass
class _Layer:
    """A layer of the model's configuration, and its arrays in order, with the roles of each."""

    kind: str
    name: str
    epsilon: float = _EPSILON
    arrays: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def read_keras(path: Path | str) -> KerasFile:
    """Read the weights of a Keras model by layer names; nothing in the file is run.

    Raises
    ------
    InputError
        If the file is missing or damaged, or has no weights.
    ToolError
        If the package ``h5py`` is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}")
    try:
        import h5py
    except ImportError as error:
        raise ToolError(
            "Keras files are read by the package h5py, which is not installed: pip install "
            "'zeroskip[torch]'"
        ) from error
    with _reporting_damage(path):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                config = parse_json(archive.read("config.json").decode())
                weights = io.BytesIO(archive.read("model.weights.h5"))
            with h5py.File(weights, "r") as file:
                return _translated(_by_class(file, list(_configured(config))))
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            layers = [] if text is None else list(_configured(parse_json(_text(text))))
            held: Any = file.get("model_weights", file)
            if "layer_names" in held.attrs:
                return _translated(_by_name(held, layers))
            return _translated(_by_class(file, layers))


@contextlib.contextmanager
def _reporting_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (
        OSError,
        zipfile.BadZipFile,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise InputError(
            f"{path} is damaged, or no file of Keras with weights ({type(error).__name__}: "
            f"{first_words(error)})"
        ) from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _configured(model: Any) -> Iterator[_Layer]:
    """Give the layers of a configuration in order, those of models inside it, too."""
    for entry in model["config"]["layers"]:
        if "layers" in entry.get("config", {}):
            raise InputError(
                f"layer {entry['config'].get('name')!r} is a model itself: save its layers as one "
                "model"
            )
        epsilon = float(entry["config"].get("epsilon", _EPSILON))
        yield _Layer(str(entry["class_name"]), str(entry["config"]["name"]), epsilon)


def _by_name(held: Any, layers: list[_Layer]) -> list[_Layer]:
    """Return layers of Keras 2: attributes list the names of layers and of their arrays."""
    known = {layer.name: layer for layer in layers}
    found: list[_Layer] = []
    for name in map(_text, held.attrs["layer_names"]):
        layer = known.get(name, _Layer("", name))
        for full in map(_text, held[name].attrs["weight_names"]):
            role = full.rpartition("/")[2].partition(":")[0]
            array = np.asarray(held[name][full], np.float32)
            layer.arrays[_NAMES.get(role, role)] = array
        layer.kind = layer.kind or _guessed(layer.arrays)
        found.append(layer)
    return found


def _by_class(file: Any, layers: list[_Layer]) -> list[_Layer]:
    """Return layers of Keras 3: groups are called by class, and numbered in the model's order."""
    held = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    if not layers:
        layers = [_Layer("", name) for name in held]
        groups = list(held)
    else:
        used: dict[str, int] = {}
        groups = []
        for layer in layers:
            snake = _snake(layer.kind)
            number = used[snake] = used.get(snake, -1) + 1
            groups.append(f"{snake}_{number}" if number else snake)
    for layer, group in zip(layers, groups, strict=True):
        variables = held[group]["vars"] if group in held and "vars" in held[group] else {}
        arrays = [np.asarray(variables[key], np.float32) for key in sorted(variables, key=int)]
        roles = _ROLES.get(layer.kind) or ("weight", "bias", "running_mean", "running_var")
        layer.arrays = dict(zip(roles, arrays, strict=False))
        layer.kind = layer.kind or _guessed(layer.arrays)
    return layers


def _snake(name: str) -> str:
    """Write a class's name as Keras does."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _guessed(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the class of a layer by its arrays, where no configuration says it."""
    weight = arrays.get("weight")
    if weight is None:
        return "Flatten"
    return {1: _NORM, 2: _DENSE, 3: "Conv1D", 4: "Conv2D"}.get(weight.ndim, "")


def _translated(layers: Sequence[_Layer]) -> KerasFile:
    state: dict[str, NDArray[np.float32]] = {}
    problems: list[str] = []
    channels, flattened = 0, False
    for layer in layers:
        if layer.kind not in _ROLES:
            if layer.kind not in _PLAIN:
                held = sum(array.size for array in layer.arrays.values())
                problems.append(
                    f"layer {layer.name!r} ({layer.kind}) is of no supported kind; its {held} "
                    "weights are left out"
                )
            flattened = flattened or layer.kind == "Flatten"
            continue
        for role, array in layer.arrays.items():
            made = array
            if role == "weight" and layer.kind == _DENSE:
                made = _matrix(array, channels if flattened else 0)
            elif role == "weight" and layer.kind in _CONVS:
                made = _kernel(array, depthwise=_CONVS[layer.kind] == "depthwise")
                channels = len(made)
            elif role == "running_var":
                made = array + np.float32(layer.epsilon - _OTHERS_EPSILON)
            state[f"{layer.name}.{role}"] = np.ascontiguousarray(made)
        if layer.kind == _DENSE:
            flattened, channels = False, 0
    if not state:
        raise InputError("it has no Dense and no convolution with weights")
    return KerasFile(state, problems)


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
