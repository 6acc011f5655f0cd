"""Read Caffe's networks as data: a prototxt, and a caffemodel or ``.net`` file with its weights."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, NodeError
from zeroskip.compiler.frontend.caffe_ops import CAFFE_LAYERS
from zeroskip.compiler.frontend.caffe_shapes import Shape, blob_shapes, made_shapes
from zeroskip.compiler.frontend.caffe_text import Message, parse_text
from zeroskip.compiler.frontend.caffe_weights import read_blobs
from zeroskip.compiler.frontend.program import Graph, Value
from zeroskip.compiler.frontend.translator import Operation, Translator, live

__all__ = ["CAFFE_SUFFIXES", "prototxt_of", "read_caffe"]

CAFFE_SUFFIXES = (".caffemodel", ".net", ".prototxt")

_KINDS = {
    kind.lower(): kind
    for kind in (
        *CAFFE_LAYERS, "AbsVal", "Accuracy", "ArgMax", "BNLL", "Deconvolution", "ELU", "Exp",
        "Input", "Log", "LRN", "MVN", "PReLU", "Sigmoid", "Silence", "Softmax", "SoftmaxWithLoss",
        "TanH", "Threshold",
    )
} | {"softmaxloss": "SoftmaxWithLoss", "depthwiseconvolution": "Convolution"}  # fmt: skip
"""Kinds of layers by their names in small letters, without ``_``, as old files have these."""
_PARAMETERS = {
    "BatchNorm": "batch_norm_param",
    "InnerProduct": "inner_product_param",
    "ReLU6": "relu_param",
}
"""Where parameters of kinds are that are not called after them."""
_ONLY_IN_TRAINING = ("Accuracy", "SoftmaxWithLoss")


def read_caffe(path: str | Path) -> Graph:
    """Read the network of a ``.caffemodel``, ``.net`` or ``.prototxt`` file and the one beside it.

    Which that is, :func:`prototxt_of` says. Layers for training alone are left out, and a batch of
    any size is taken as one sample. Nothing in the files is run.

    Raises
    ------
    InputError
        If a file is missing, damaged, or of another network than the other.
    CompileError
        Layers that are of no supported kind are in ``refused``.
    ToolError
        If the package ``protobuf`` is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"model file {path} {'is a folder' if path.is_dir() else 'does not exist'}"
        )
    if path.suffix == ".prototxt":
        prototxt, weights = path, _beside(path, (".caffemodel", ".net"), "the weights")
    else:
        prototxt, weights = prototxt_of(path), path
    with _reporting_damage(prototxt):
        return _Net(prototxt, weights).graph()


def prototxt_of(path: Path) -> Path:
    """Return the prototxt beside a file of weights.

    It has the same name but for its ending, or is the only one there that is not for training.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    return _beside(path, (".prototxt",), "the network")


def _beside(path: Path, suffixes: Sequence[str], what: str) -> Path:
    same = [path.with_suffix(suffix) for suffix in suffixes if path.with_suffix(suffix).is_file()]
    if same:
        return same[0]
    found = sorted(
        file
        for file in path.parent.iterdir()
        if file.suffix in suffixes and not any(word in file.stem for word in ("solver", "train"))
    )
    if len(found) == 1:
        return found[0]
    named = f"{path.stem}{suffixes[0]}"
    if not found:
        raise InputError(f"{path} needs {what}, a {suffixes[0]} file: put it beside as {named}")
    names = ", ".join(file.name for file in found)
    raise InputError(f"{path} may belong to {names}: name the right one {named}")


@contextlib.contextmanager
def _reporting_damage(path: Path) -> Iterator[None]:
    """Turn what values of the wrong kind raise into one sentence."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path} is damaged or no prototxt of Caffe: {error}") from error


class _Net:
    """A network of Caffe while it is read."""

    def __init__(self, prototxt: Path, weights: Path) -> None:
        self._prototxt, self._weights = prototxt, weights
        try:
            net = parse_text(prototxt.read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{prototxt} cannot be read: {error.strerror or error}") from error
        layers = [layer for layer in (*net.get("layer", []), *net.get("layers", []))]
        if not layers or not all(isinstance(layer, dict) for layer in layers):
            raise InputError(f"{prototxt} has no layers: is it the prototxt of a network?")
        if any("layer" in layer for layer in layers):
            raise InputError(
                f"{prototxt} is of Caffe's first format: convert it with upgrade_net_proto_text"
            )
        layers = [layer for layer in layers if _in_use(layer)]
        self._shapes = _input_shapes(net, layers)
        if not self._shapes:
            raise InputError(
                f"{prototxt} does not say the shape of an input: take the one for deployment, "
                "which has 'input' or a layer of type Input"
            )
        self._inputs = list(self._shapes)
        self._operations = _operations(layers, self._inputs)

    def graph(self) -> Graph:
        """Return the graph in the operators that the lowering knows."""
        consumed = {name for op in self._operations for name in op.inputs}
        ends = [name for op in self._operations for name in op.outputs if name not in consumed]
        operations = live(self._operations, ends)
        wrong = self._infer(operations)
        constants: dict[str, NDArray[Any]] = {}
        operations = self._with_weights(operations, constants)
        translator = Translator(CAFFE_LAYERS, self._shapes, constants)
        for op in operations:
            if op.name in wrong:
                translator.refuse(op, wrong[op.name])
            else:
                translator.add(op)
        read = {name for op in operations for name in op.inputs}
        return Graph(
            inputs=tuple(name for name in self._inputs if name in read),
            outputs=tuple(ends),
            mutated=(),
            tensors=translator.tensors,
            nodes=tuple(translator.nodes),
            values={name: Value(shape, True) for name, shape in translator.shapes.items()},
            refused=translator.refused,
        )

    def _infer(self, operations: Sequence[Operation]) -> dict[str, NodeError]:
        """Infer the shapes of all tensors; return why layers cannot read what they do."""
        wrong: dict[str, NodeError] = {}
        for op in operations:
            if any(name not in self._shapes for name in op.inputs):
                continue
            try:
                made = made_shapes(op, [self._shapes[name] for name in op.inputs])
            except NodeError as error:
                wrong[op.name] = error
                continue
            if made is not None:
                self._shapes |= zip(op.outputs, made, strict=True)
        return wrong

    def _with_weights(
        self, operations: Sequence[Operation], constants: dict[str, NDArray[Any]]
    ) -> list[Operation]:
        """Add weights to ``constants``, and their names to what the operations read."""
        needed = {
            op.name: blob_shapes(op, self._shapes[op.inputs[0]])
            for op in operations
            if op.inputs and op.inputs[0] in self._shapes and len(op.inputs) == 1
        }
        needed = {name: shapes for name, shapes in needed.items() if shapes}
        blobs = (
            self._read_net(needed) if self._weights.suffix == ".net" else read_blobs(self._weights)
        )
        found: list[Operation] = []
        for op in operations:
            names: list[str] = []
            shapes = needed.get(op.name, {})
            arrays = blobs.get(op.name, [])
            if len(arrays) != len(shapes) and shapes:
                raise InputError(
                    f"{self._weights} has {len(arrays)} arrays of layer {op.name!r}, and "
                    f"{self._prototxt.name} wants {len(shapes)}: are they of the same network?"
                )
            for (role, shape), array in zip(shapes.items(), arrays, strict=False):
                if array.size != np.prod(shape, dtype=np.int64):
                    raise InputError(
                        f"{self._weights} has a {role} of {_sizes(array.shape)} for layer "
                        f"{op.name!r}, and {self._prototxt.name} wants {_sizes(shape)}: are they "
                        "of the same network?"
                    )
                names.append(f"{op.layer}.{role}")
                constants[names[-1]] = array.reshape(shape)
            found.append(Operation(op.name, op.kind, (*op.inputs, *names), op.outputs,
                                   op.attributes))  # fmt: skip
        return found

    def _read_net(self, needed: Mapping[str, Mapping[str, Shape]]) -> dict[str, list[Any]]:
        """Read weights from a ``.net`` file, which has them without names or shapes."""
        from zeroskip.compiler.compress.import_net import NetLayer, read_net

        layers = [NetLayer(name, shapes["weight"]) for name, shapes in needed.items()]
        state = read_net(self._weights, layers)
        return {name: [state[f"{name}.{role}"] for role in needed[name]] for name in needed}


def _sizes(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _kind(layer: Message) -> str:
    """Return the kind of a layer by today's name."""
    text = str(layer["type"][0])
    return _KINDS.get(text.replace("_", "").lower(), text)


def _in_use(layer: Message) -> bool:
    """Say whether a layer is there when a network is used."""
    if _kind(layer) in _ONLY_IN_TRAINING:
        return False
    rules = [rule.get("phase", ["TEST"])[0] in ("TEST", 1) for rule in layer.get("include", [])]
    without = [rule.get("phase", ["TEST"])[0] in ("TEST", 1) for rule in layer.get("exclude", [])]
    return (any(rules) or not rules) and not any(without)


def _input_shapes(net: Message, layers: Sequence[Message]) -> dict[str, Shape]:
    """Return the shapes of a prototxt's inputs by name, (1, C, H, W) or (1, columns) each."""
    dims = [shape.get("dim", []) for shape in net.get("input_shape", [])]
    flat = net.get("input_dim", [])
    dims += [flat[n : n + 4] for n in range(0, len(flat), 4)]
    shapes = dict(zip(net.get("input", []), dims, strict=False))
    for layer in layers:
        if _kind(layer) == "Input":
            given = [shape["dim"] for shape in layer.get("input_param", [{}])[0].get("shape", [])]
            given *= len(layer["top"]) if len(given) == 1 else 1
            shapes |= zip(layer["top"], given, strict=False)
    return {name: (1, *map(int, sizes[1:])) for name, sizes in shapes.items() if len(sizes) > 1}


def _operations(layers: Sequence[Message], inputs: Sequence[str]) -> list[Operation]:
    """Return layers as operations on tensors of which each is made once.

    Layers in Caffe may write over what they read; here, what they make has a name of its own.
    """
    latest = {name: name for name in inputs}
    made: list[Operation] = []
    for layer in layers:
        kind = _kind(layer)
        if kind == "Input":
            continue
        name = str(layer["name"][0])
        read = [latest[blob] for blob in layer.get("bottom", []) if blob in latest]
        if len(read) != len(layer.get("bottom", [])) or not read:
            missing = [blob for blob in layer.get("bottom", []) if blob not in latest]
            raise InputError(
                f"layer {name!r} reads {missing[0]!r}, which nothing makes"
                if missing
                else f"layer {name!r} ({kind}) reads nothing: take the prototxt for deployment"
            )
        outputs: list[str] = []
        for top in layer.get("top", []):
            known = {output for op in made for output in op.outputs} | set(inputs)
            outputs.append(f"{top}.{name}" if top in known else top)
            latest[top] = outputs[-1]
        key = _PARAMETERS.get(kind, f"{kind.lower()}_param")
        attributes = layer.get(key, [{}])[0]
        made.append(Operation(name, kind, tuple(read), tuple(outputs), attributes))
    return made
