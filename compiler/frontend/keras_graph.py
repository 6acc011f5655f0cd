"""Read the graph in a Keras file: as operators of ONNX, which the front end knows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.keras_file import KerasModel, read_keras_model
from zeroskip.compiler.compress.keras_tensors import BIDIRECTIONAL, OF_EACH_STEP, Layer
from zeroskip.compiler.frontend.keras_calls import Calls, Reference, references
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
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} has a configuration that is damaged ({type(error).__name__}: {error})"
            ) from error

    return graph_of_model(made, path, sample_shape)


class _Network(Nodes):
    """A network of Keras while it becomes one of ONNX."""

    def __init__(self, model: KerasModel) -> None:
        super().__init__()
        self._inputs: dict[str, tuple[int | None, ...]] = {}
        self._used: dict[str, int] = {}
        whole = Layer(model.kind, "", model.config, inner=model.layers)
        self._steps = _read_as_steps(whole)
        self._ends = self._model(whole, [])

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

    def _model(self, model: Layer, sources: Sequence[str]) -> list[str]:
        """Add a model's layers, which read ``sources``, or inputs of the network if there are none.

        Returns
        -------
        The tensors that are its results.
        """
        if model.kind == "Sequential":
            return self._chain(model.inner, sources)
        layers = dict(zip(_names(model), model.inner, strict=True))
        made: dict[tuple[str, int], list[str]] = {}
        given = [name for name, _, _ in references(model.config.get("input_layers", []))]
        for name, layer in layers.items():
            if layer.kind == "InputLayer":
                own = sources[given.index(name)] if sources else self._input(name, layer.config)
                made[name, 0] = [own]
        ends = references(model.config["output_layers"])
        calls = Calls(model.config["layers"], ends)

        def result(ref: Reference, *, output: bool = False) -> str:
            use, number = calls.use(ref, output=output), ref[2]
            if not 0 <= number < len(made[use]):
                raise InputError(
                    f"layer {use[0]!r} has no result {number}, of which the model makes something"
                )
            return made[use][number]

        for name, number, read in calls.in_order():
            found: list[str | float] = [
                result(ref) if isinstance(ref, tuple) else ref for ref in read
            ]
            made[name, number] = self._call(layers[name], found)
        return [result(end, output=True) for end in ends]

    def _chain(self, layers: Sequence[Layer], sources: Sequence[str]) -> list[str]:
        """Add layers, each of which reads the one before; return the last one's result."""
        first = layers[0]
        if sources:
            last = sources[0]
        elif first.kind == "InputLayer":
            last = self._input(first.name, first.config)
        else:
            last = self._input("input", _input_of(first))
        for layer in layers:
            if layer.kind != "InputLayer":
                last, *_ = self._call(layer, [last])
        return [last]

    def _input(self, name: str, config: Mapping[str, Any]) -> str:
        sizes = config.get("batch_shape") or config["batch_input_shape"]
        # The last dimension is that of the channels in Keras.
        _, *free = [None if size is None else int(size) for size in sizes]
        steps = name in self._steps
        self._inputs[name] = (1, *free) if steps else (1, *free[-1:], *free[:-1])
        self.rank(name, len(sizes))
        self.of_steps(name, are=steps)
        return name

    def _call(self, layer: Layer, read: Sequence[str | float]) -> list[str]:
        """Add one use of a layer or model, which reads tensors and numbers; return its results."""
        number = self._used[layer.name] = self._used.get(layer.name, 0) + 1
        output = layer.name if number == 1 else f"{layer.name}.{number}"
        sources = [
            given if isinstance(given, str) else self.constant(f"{output}.operand{place}", given)
            for place, given in enumerate(read)
        ]
        if layer.is_model:
            return self._model(layer, sources)
        self._add(layer, sources, output)
        return [output]

    def _add(self, layer: Layer, sources: Sequence[str], output: str) -> None:
        """Add what a layer is, and behind it its activation."""
        tensors = [source for source in sources if source not in self.constants]
        self.rank(output, self.rank(tensors[0]))
        if layer.kind in (*RECURRENT, BIDIRECTIONAL):
            if why_not(layer, sources):
                self.node(layer.kind, sources, output, domain=FOREIGN)
            else:
                recurrent(self, layer, sources, output)
            return
        if layer.kind == OF_EACH_STEP:
            if layer.inner[0].kind in _OF_EACH and self.of_steps(tensors[0]):
                self._add(layer.inner[0], sources, output)
            else:
                self.node(layer.kind, sources, output, domain=FOREIGN)
            return
        if self.of_steps(tensors[0]):
            if layer.kind in _OF_EACH:
                self.of_steps(output, are=True)
            else:
                sources = [self._planes(source) for source in sources]
        first = layer.config.get("data_format", "channels_last") == "channels_last"
        add = LAYERS.get(layer.kind)
        if layer.kind == "Dense" and self.rank(sources[0]) > 2:
            add = dense_of_each
        activation = layer.config.get("activation", "linear")
        if add is None or not first:
            kind = layer.kind if first else f"{layer.kind}.{_FIRST}"
            self.node(kind, sources, output, domain=FOREIGN)
            return
        if layer.kind == "Activation" or activation in (None, "linear"):
            add(self, layer, sources, output)
            return
        before = f"{output}.linear"
        add(self, layer, sources, before)
        self.activation(str(activation), before, output)

    def _planes(self, source: str) -> str:
        """Return steps as planes of one row, whose channels are first."""
        if not self.of_steps(source):
            return source
        made = self.turned(source, f"{source}.planes", last=True)
        self.rank(made, self.rank(source))
        return made


def _names(model: Layer) -> list[str]:
    """Return the names that a model's own entries have."""
    return [str(entry["config"]["name"]) for entry in model.config["layers"]]


def _input_of(layer: Layer) -> Mapping[str, Any]:
    """Return the configuration that has the shape that a layer reads, its own or of one inside."""
    while layer.is_model:
        inputs = [inner for inner in layer.inner if inner.kind == "InputLayer"]
        layer = (inputs or layer.inner)[0]
    return layer.config


def _read_as_steps(model: Layer) -> set[str]:
    """Return the inputs that only what takes steps reads.

    That of a chain without a layer for it is ``input``.
    """
    if model.kind == "Sequential":
        behind = next((layer for layer in model.inner if layer.kind != "InputLayer"), None)
        if behind is None or not _takes_steps(behind, 0):
            return set()
        own = model.inner[0].kind == "InputLayer"
        return {_names(model)[0] if own else "input"}
    readers: dict[str, list[bool]] = {}
    entries = model.config["layers"]
    for entry, layer in zip(entries, model.inner, strict=True):
        for call in entry["inbound_nodes"]:
            for place, (name, _, _) in enumerate(references(call)):
                readers.setdefault(name, []).append(_takes_steps(layer, place))
    return {name for name, are in readers.items() if all(are)}


def _takes_steps(layer: Layer, place: int) -> bool:
    """Say whether what a layer reads at a place is a sequence, not planes."""
    if not layer.is_model:
        return layer.kind in (*RECURRENT, BIDIRECTIONAL, OF_EACH_STEP)
    found = _read_as_steps(layer)
    if layer.kind == "Sequential":
        return bool(found)
    given = references(layer.config.get("input_layers", []))
    return place < len(given) and given[place][0] in found
