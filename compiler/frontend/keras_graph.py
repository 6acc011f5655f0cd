"""Read the graph in a Keras file: as operators of ONNX, which the front end knows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.keras_file import KerasModel, read_keras_model
from zeroskip.compiler.compress.keras_tensors import Layer
from zeroskip.compiler.frontend.keras_layers import LAYERS
from zeroskip.compiler.frontend.keras_nodes import FOREIGN, Nodes
from zeroskip.compiler.frontend.keras_recurrent import (
    RECURRENT,
    dense_of_each,
    recurrent,
    why_not,
)
from zeroskip.compiler.frontend.onnx_file import graph_of_model
from zeroskip.compiler.frontend.program import Graph

__all__ = ["KERAS_SUFFIXES", "read_keras_graph"]

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
_OPSET = 17
_FIRST = "channels_first"
_OF_EACH = ("Dense", "Dropout", "Activation", "ReLU", "Softmax")
"""Layers that do the same to each step."""


def read_keras_graph(path: str | Path, sample_shape: Sequence[int] | None = None) -> Graph:
    """Read the network of a ``.keras`` or ``.h5`` file that has its configuration.

    Feature maps are channels first, as everywhere here, and so are the network's inputs.

    Parameters
    ----------
    path : of the file.
    sample_shape : of an input, channels first, for sizes that the file leaves open.

    Raises
    ------
    InputError
        If the file is missing or damaged, or has weights alone.
    CompileError
        Layers that are of no supported kind are in ``refused``.
    ToolError
        If a package that reads it is not installed.
    """
    path = Path(path)
    model = read_keras_model(path)
    if not model.entries:
        raise InputError(
            f"{path} has weights alone: zeroskip import gives them a graph, with --model "
            "FILE.py:NAME --shape CxHxW -o X.zsk"
        )

    def made() -> Any:
        try:
            return _Network(model).model()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} has a configuration that is damaged ({type(error).__name__}: {error})"
            ) from error

    return graph_of_model(made, path, sample_shape)


class _Network(Nodes):
    """A network of Keras while it becomes one of ONNX."""

    def __init__(self, model: KerasModel) -> None:
        super().__init__()
        self._layers = {layer.name: layer for layer in model.layers}
        self._inputs: dict[str, tuple[int | None, ...]] = {}
        entries = list(model.entries)
        self._ends = [str(name) for name in _names(model.config.get("output_layers", []))]
        chain = model.kind == "Sequential"
        self._recurrent = _read_as_steps(entries, chain=chain)
        last = self._of_chain(entries) if chain else ""
        for entry in entries:
            config = entry["config"]
            name = str(config["name"])
            # A file of Keras 2 has no arrays of an input, and so no such layer.
            layer = self._layers.get(name) or Layer(str(entry["class_name"]), name, config)
            if layer.kind == "InputLayer":
                self._input(layer.name, layer.config)
                last = layer.name
                continue
            sources = [last] if chain else list(_sources(entry))
            self._add(layer, sources)
            last = layer.name
        self._ends = self._ends or [last]

    def _of_chain(self, entries: Sequence[Mapping[str, Any]]) -> str:
        """Make the input of layers one behind the other, if they do not begin with one."""
        if entries[0]["class_name"] == "InputLayer":
            return ""
        self._input("input", entries[0]["config"])
        return "input"

    def _input(self, name: str, config: Mapping[str, Any]) -> None:
        sizes = config.get("batch_shape") or config["batch_input_shape"]
        # The last dimension is that of the channels in Keras.
        _, *free = [None if size is None else int(size) for size in sizes]
        steps = name in self._recurrent or "" in self._recurrent
        self._inputs[name] = (1, *free) if steps else (1, *free[-1:], *free[:-1])
        self.rank(name, len(sizes))
        self.of_steps(name, are=steps)

    def model(self) -> Any:
        """Return the ``ModelProto``."""
        from onnx import TensorProto, helper, numpy_helper

        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in self._inputs.items()
        ]
        ends = [helper.make_empty_tensor_value_info(name) for name in self._ends]
        held = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "keras", values, ends, held)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FOREIGN, 1)]
        return helper.make_model(graph, opset_imports=opsets)

    def _add(self, layer: Layer, sources: list[str]) -> None:
        """Add what a layer is, and behind it its activation."""
        self.rank(layer.name, self.rank(sources[0]))
        if layer.kind in RECURRENT:
            if why_not(layer, sources):
                self.node(layer.kind, sources, layer.name, domain=FOREIGN)
            else:
                recurrent(self, layer, sources, layer.name)
            return
        if self.of_steps(sources[0]):
            if layer.kind in _OF_EACH:
                self.of_steps(layer.name, are=True)
            else:
                sources = [self._planes(source) for source in sources]
        first = layer.config.get("data_format", "channels_last") == "channels_last"
        add = LAYERS.get(layer.kind)
        if layer.kind == "Dense" and self.rank(sources[0]) > 2:
            add = dense_of_each
        activation = layer.config.get("activation", "linear")
        if add is None or not first:
            kind = layer.kind if first else f"{layer.kind}.{_FIRST}"
            self.node(kind, sources, layer.name, domain=FOREIGN)
            return
        if layer.kind == "Activation" or activation in (None, "linear"):
            add(self, layer, sources, layer.name)
            return
        before = f"{layer.name}.linear"
        add(self, layer, sources, before)
        self.activation(str(activation), before, layer.name)

    def _planes(self, source: str) -> str:
        """Return steps as planes of one row, whose channels are first."""
        if not self.of_steps(source):
            return source
        made = self.turned(source, f"{source}.planes", last=True)
        self.rank(made, self.rank(source))
        return made


def _read_as_steps(entries: Sequence[Mapping[str, Any]], *, chain: bool) -> set[str]:
    """Return the inputs that recurrent layers read; of a chain without a layer for it, ``""``."""
    if chain:
        first = next((e for e in entries if e["class_name"] != "InputLayer"), None)
        if first is None or first["class_name"] not in RECURRENT:
            return set()
        given = entries[0]["class_name"] == "InputLayer"
        return {str(entries[0]["config"]["name"])} if given else {""}
    readers: dict[str, set[str]] = {}
    for entry in entries:
        for call in entry["inbound_nodes"]:
            for name in _names(call):
                readers.setdefault(name, set()).add(str(entry["class_name"]))
    return {name for name, kinds in readers.items() if kinds <= {*RECURRENT}}


def _sources(entry: Mapping[str, Any]) -> Iterator[str]:
    """Give the names of the layers whose results a layer reads."""
    calls = entry["inbound_nodes"]
    if len(calls) != 1:
        raise InputError(
            f"layer {entry['config']['name']!r} is used {len(calls)} times: give each use a layer"
        )
    yield from _names(calls[0])


def _names(value: Any) -> Iterator[str]:
    """Give the layers that a reference of Keras 2 or 3 names, in order."""
    if isinstance(value, Mapping):
        if "keras_history" in value:
            yield str(value["keras_history"][0])
            return
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        if (
            len(value) > 2
            and isinstance(value[0], str)
            and all(isinstance(n, int) for n in value[1:3])
        ):
            yield value[0]
            return
        for inner in value:
            yield from _names(inner)
