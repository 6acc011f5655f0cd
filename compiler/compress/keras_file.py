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

from zeroskip.base.bounded import inflated_limit, parse_json, read_member
from zeroskip.base.errors import InputError, ToolError
from zeroskip.compiler.compress.keras_tensors import (
    BIDIRECTIONAL,
    CELLS,
    NORM,
    NORMALIZATION,
    OF_EACH_STEP,
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
    layers : with their arrays; those that are models have theirs inside.
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
                config = parse_json(read_member(archive, "config.json"))
                weights = io.BytesIO(read_member(archive, "model.weights.h5"))
            with h5py.File(weights, "r") as file:
                return _model(config, _by_class(file, list(_configured(config))))
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            config = None if text is None else parse_json(_text(text))
            layers = [] if config is None else list(_configured(config))
            held: Any = file.get("model_weights", file)
            by_name = "layer_names" in held.attrs
            return _model(config, (_by_name if by_name else _by_class)(held, layers))


def _model(config: Any, layers: Sequence[Layer]) -> KerasModel:
    if config is None:
        return KerasModel("", {}, (), layers)
    for layer in layers:
        for leaf in layer.leaves():
            for part in leaf.inner or (leaf,):
                _check_complete(part)
    return KerasModel(
        str(config["class_name"]), config["config"], config["config"]["layers"], layers
    )


def _array(dataset: Any) -> NDArray[np.float32]:
    """Read an array.

    Raises
    ------
    InputError
        If it is elsewhere than in the file, or larger than what the file has of it warrants.
    """
    if dataset.external or dataset.is_virtual:
        raise InputError(f"array {dataset.name!r} is kept in another file")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > inflated_limit(stored):
        raise InputError(f"array {dataset.name!r} has {stored} bytes, not {dataset.nbytes}")
    return np.asarray(dataset, np.float32)


def _check_complete(layer: Layer) -> None:
    """Check that a layer has the arrays that its configuration says, as far as that says it.

    Raises
    ------
    InputError
        If one is missing or too many, or is of another size.
    """
    config = layer.config
    flags = {"bias": "use_bias", "pointwise.bias": "use_bias"}
    if layer.kind == NORM:
        flags = {"weight": "scale", "bias": "center"}
    for role in ROLES.get(layer.kind, ()) if layer.arrays else ():
        flag = flags.get(role, "")
        if role not in layer.arrays and (not flag or config.get(flag)):
            raise InputError(f"layer {layer.name!r} ({layer.kind}) has no {role} in the file")
        if flag and role in layer.arrays and config.get(flag) is False:
            raise InputError(
                f"layer {layer.name!r} ({layer.kind}) has a {role}, and its configuration says "
                f"{flag}=False"
            )
    kernel = layer.arrays.get("weight")
    if kernel is None or layer.kind == NORM:
        return
    count, sizes = config.get("units", config.get("filters")), config.get("kernel_size")
    window = [sizes] if isinstance(sizes, int) else sizes
    if (count is not None and kernel.shape[-1] != count) or (
        window is not None and list(kernel.shape[: len(window)]) != list(window)
    ):
        raise InputError(
            f"layer {layer.name!r} ({layer.kind}) has an array of {kernel.shape}, which is not of "
            f"{'units' if 'units' in config else 'filters'}={count}"
            + (f" and kernel_size={sizes}" if window is not None else "")
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
        RuntimeError,  # what h5py makes of damage that HDF5 finds late
        EOFError,
    ) as error:
        raise InputError(
            f"{path} is damaged, or no file of Keras with weights ({type(error).__name__}: "
            f"{first_words(error)})"
        ) from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _configured(model: Any, prefix: str = "") -> Iterator[Layer]:
    """Give the layers of a configuration in order; names in models inside it have ``prefix``."""
    for entry in model["config"]["layers"]:
        yield _layer(entry, prefix)


def _layer(entry: Any, prefix: str) -> Layer:
    kind, config = str(entry["class_name"]), entry["config"]
    name = prefix + str(config["name"])
    inner: list[Layer] = []
    if "layers" in config:
        inner = list(_configured(entry, f"{name}."))
    elif kind == OF_EACH_STEP:
        inner = [_layer(config["layer"], f"{name}.")]
    elif kind == BIDIRECTIONAL:
        forward = config["layer"]
        backward = config.get("backward_layer") or forward
        inner = [_layer(part, f"{name}.") for part in (forward, backward)]
    return Layer(kind, name, config, inner=inner)


def _by_name(held: Any, layers: list[Layer]) -> list[Layer]:
    """Return layers of Keras 2: attributes list the names of layers and of their arrays."""
    names = list(map(_text, held.attrs["layer_names"]))
    layers = layers or [Layer("", name) for name in names]
    known = {layer.name: layer for layer in layers}
    for name in names:
        layer = known[name]
        for full in map(_text, held[name].attrs["weight_names"]):
            *path, role = full.split("/")
            owner = _owner(layer, path)
            array = _array(held[name][full])
            roles = {**_NAMES, **_NAMES_OF.get(owner.kind, {})}
            role = role.partition(":")[0]
            owner.arrays[roles.get(role, role)] = array
    for layer in layers:
        layer.kind = layer.kind or _guessed(layer.arrays)
    return layers


def _owner(layer: Layer, path: Sequence[str]) -> Layer:
    """Return the layer that an array in the group of ``layer`` belongs to, itself or one inside it.

    ``path`` has the names of the groups that the array is in.

    Of two models in one that have layers of the same name, the path has the models' names, too.
    """
    if layer.kind == BIDIRECTIONAL:
        backward = any(name.startswith("backward_") for name in path)
        return layer.inner[backward]
    if layer.kind == OF_EACH_STEP:
        return layer.inner[0]
    if not layer.is_model:
        return layer
    leaves = [leaf for leaf in layer.leaves() if leaf.name.rpartition(".")[2] in path]
    if not leaves:
        raise InputError(f"arrays of {'/'.join(path)!r} are of no layer in {layer.name!r}")
    return _owner(max(leaves, key=lambda leaf: len({*leaf.name.split(".")} & {*path})), path)


def _by_class(file: Any, layers: Sequence[Layer]) -> Sequence[Layer]:
    """Fill layers from the groups of a Keras 3 file, called by class and number: ``dense_1``.

    The number counts layers of a class in the order of the model.

    Without a configuration, layers have the names of their groups.
    """
    held = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    layers = layers or _grouped(held)
    used: dict[str, int] = {}
    for layer in layers:
        if layer.config:
            snake = _snake(layer.kind)
            number = used[snake] = used.get(snake, -1) + 1
            group = f"{snake}_{number}" if number else snake
        else:
            group = layer.name.rpartition(".")[2]
        _fill(layer, held.get(group, {}))
    return layers


def _grouped(held: Any, prefix: str = "") -> list[Layer]:
    """Return the layers of a file without a configuration, named as their groups are."""
    return [
        Layer(
            _kind_of(name), f"{prefix}{name}",
            inner=_grouped(owner["layers"], f"{prefix}{name}.") if "layers" in owner else (),
        )
        for name, owner in held.items()
    ]  # fmt: skip


def _fill(layer: Layer, owner: Any) -> None:
    """Put the arrays of a group in its layer, and in those that it is made of."""
    parts = {BIDIRECTIONAL: ("forward_layer", "backward_layer"), OF_EACH_STEP: ("layer",)}
    if layer.is_model:
        _by_class(owner, layer.inner)
        return
    if layer.inner:
        for part, group in zip(layer.inner, parts[layer.kind], strict=True):
            _fill(part, owner.get(group, {}))
        return
    variables = owner.get("cell", owner).get("vars", {})
    arrays = [_array(variables[key]) for key in sorted(variables, key=int)]
    roles = ROLES.get(layer.kind) or ("weight", "bias", "running_mean", "running_var")
    if layer.kind == NORM:
        left_out = {"weight": "scale", "bias": "center"}
        roles = [r for r in roles if layer.config.get(left_out.get(r, ""), True)]
    if layer.kind == NORMALIZATION:
        roles = ("mean", "variance", "count")
    layer.arrays = dict(zip(roles, arrays, strict=False))
    layer.kind = layer.kind or _guessed(layer.arrays)


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
