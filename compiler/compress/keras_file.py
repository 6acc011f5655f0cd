"""Read weights from Keras files: ``.keras``, ``.h5`` and ``.weights.h5``, as data."""

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError, ToolError
from zeroskip.compiler.compress.keras_tensors import (
    CELLS,
    NORM,
    ROLES,
    SEPARABLE,
    KerasFile,
    Layer,
    translated,
)
from zeroskip.compiler.compress.users_code import first_words

__all__ = ["KerasFile", "KerasModel", "read_keras", "read_keras_model"]

_NAMES = {
    "kernel": "weight", "depthwise_kernel": "weight", "bias": "bias", "gamma": "weight",
    "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
_NAMES_OF = {
    SEPARABLE: {
        "depthwise_kernel": "depthwise.weight", "pointwise_kernel": "pointwise.weight",
        "bias": "pointwise.bias",
    },
    **{kind: {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0"} for kind in CELLS},
}  # fmt: skip
"""Names of arrays in Keras 2, of all layers, and of those that have others."""


@dataclass(frozen=True)
class KerasModel:
    """A model, as the file has it.

    Parameters
    ----------
    kind : ``Sequential``, ``Functional`` or ``Model``; empty in a file of weights alone.
    config : of the model.
    entries : configurations of its layers, in order.
    layers : with their arrays.
    """

    kind: str
    config: Mapping[str, Any]
    entries: Sequence[Any]
    layers: Sequence[Layer]


def read_keras(path: Path | str) -> KerasFile:
    """Read the weights of a Keras model by layer names; errors are those of the whole model's.

    Raises
    ------
    InputError
        As :func:`read_keras_model`; or if no layer has weights that PyTorch has, too.
    """
    layers = read_keras_model(path).layers
    with _reporting_damage(Path(path)):
        return translated(layers)


def read_keras_model(path: Path | str) -> KerasModel:
    """Read a Keras model, configuration and arrays; nothing in the file is run.

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
                return _model(config, _by_class(file, list(_configured(config))))
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            config = None if text is None else parse_json(_text(text))
            layers = [] if config is None else list(_configured(config))
            held: Any = file.get("model_weights", file)
            by_name = "layer_names" in held.attrs
            return _model(config, (_by_name if by_name else _by_class)(held, layers))


def _model(config: Any, layers: list[Layer]) -> KerasModel:
    if config is None:
        return KerasModel("", {}, (), layers)
    return KerasModel(
        str(config["class_name"]), config["config"], config["config"]["layers"], layers
    )


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


def _configured(model: Any) -> Iterator[Layer]:
    """Give the layers of a configuration in order, those of models inside it, too."""
    for entry in model["config"]["layers"]:
        if "layers" in entry.get("config", {}):
            raise InputError(
                f"layer {entry['config'].get('name')!r} is a model itself: save its layers as one "
                "model"
            )
        config = entry["config"]
        yield Layer(str(entry["class_name"]), str(config["name"]), config)


def _by_name(held: Any, layers: list[Layer]) -> list[Layer]:
    """Return layers of Keras 2: attributes list the names of layers and of their arrays."""
    known = {layer.name: layer for layer in layers}
    found: list[Layer] = []
    for name in map(_text, held.attrs["layer_names"]):
        layer = known.get(name, Layer("", name))
        for full in map(_text, held[name].attrs["weight_names"]):
            role = full.rpartition("/")[2].partition(":")[0]
            array = np.asarray(held[name][full], np.float32)
            names = {**_NAMES, **_NAMES_OF.get(layer.kind, {})}
            layer.arrays[names.get(role, role)] = array
        layer.kind = layer.kind or _guessed(layer.arrays)
        found.append(layer)
    return found


def _by_class(file: Any, layers: list[Layer]) -> list[Layer]:
    """Return layers of Keras 3: groups are called by class, and numbered in the model's order."""
    held = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    if not layers:
        layers = [Layer(_kind_of(name), name) for name in held]
        groups = list(held)
    else:
        used: dict[str, int] = {}
        groups = []
        for layer in layers:
            snake = _snake(layer.kind)
            number = used[snake] = used.get(snake, -1) + 1
            groups.append(f"{snake}_{number}" if number else snake)
    for layer, group in zip(layers, groups, strict=True):
        owner = held.get(group, {})
        variables = owner.get("cell", owner).get("vars", {})
        arrays = [np.asarray(variables[key], np.float32) for key in sorted(variables, key=int)]
        roles = ROLES.get(layer.kind) or ("weight", "bias", "running_mean", "running_var")
        if layer.kind == NORM:
            left_out = {"weight": "scale", "bias": "center"}
            roles = [r for r in roles if layer.config.get(left_out.get(r, ""), True)]
        layer.arrays = dict(zip(roles, arrays, strict=False))
        layer.kind = layer.kind or _guessed(layer.arrays)
    return layers


def _snake(name: str) -> str:
    """Write a class's name as Keras does."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _kind_of(group: str) -> str:
    """Return the class that a group of Keras 3 is called by, if it is one that has weights."""
    snake = re.sub(r"_\d+$", "", group)
    return next((kind for kind in ROLES if _snake(kind) == snake), "")


def _guessed(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the class of a layer by its arrays, where no configuration says it."""
    weight = arrays.get("weight")
    if weight is None:
        return "Flatten"
    return {1: NORM, 2: "Dense", 3: "Conv1D", 4: "Conv2D"}.get(weight.ndim, "")
