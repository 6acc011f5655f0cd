"""Translate operations of a file's graph to nodes like those of an exported program."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import NodeError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.program import Node, Ref, Tensor

__all__ = ["Operation", "Translation", "Translator", "live"]

_UNNAMED = re.compile(r"[^\w.\-]+")

# Of operators of ONNX and Caffe that no array computes, what torch calls them, as hints go by that.
_TORCH_NAMES = {
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "HardSwish": "hardswish",
    "HardSigmoid": "hardsigmoid",
    "Swish": "silu",
    "ConvTranspose": "conv_transpose",
    "GroupNormalization": "group_norm",
    "LayerNormalization": "layer_norm",
    "InstanceNormalization": "instance_norm",
    "LpPool": "lp_pool",
    "Pow": "pow",
    "Deconvolution": "conv_transpose",
    "PReLU": "leaky_relu",
    "Elu": "elu",
    "Selu": "selu",
    "Celu": "celu",
    "Gelu": "gelu",
    "Erf": "gelu",
    "Mish": "mish",
    "Softplus": "softplus",
    "BNLL": "softplus",
    "ELU": "leaky_relu",
    "MVN": "layer_norm",
    "LRN": "local_response_norm",
}


@dataclass(frozen=True)
class Operation:
    """A node of a file's graph.

    Parameters
    ----------
    name : as in the graph, or that of its first result.
    kind : the operator, with its domain unless that is ONNX's own.
    inputs, outputs : names of tensors; an input that is left out is empty.
    attributes : by name.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def layer(self) -> str:
        """PyTorch module that the node came from.

        A node ``/layer1/layer1.0/conv1/Conv`` is of module ``layer1.0.conv1``.
        """
        parts = [part for part in self.name.split("/") if part]
        if len(parts) > 1 and parts[-1].split("_")[0] == self.kind:
            parts = parts[:-1]
        path: list[str] = []
        for part in parts:
            if path and part.startswith(path[-1] + "."):
                path.pop()
            path.append(part)
        return _UNNAMED.sub("_", ".".join(path)) or self.kind


class Translator:
    """Makes nodes like those of an exported program out of operations.

    Parameters
    ----------
    translations : by operator.
    shapes : of tensors, by name; those of constants, too.
    constants : by name; of weights, the contents, too.

    Attributes
    ----------
    nodes : what was made so far.
    tensors : constants that these read.
    shapes : of tensors, and of those between nodes that were made of one.
    refused : by the names of nodes that are of no supported kind, why they are not.
    """

    def __init__(
        self,
        translations: Mapping[str, "Translation"],
        shapes: Mapping[str, tuple[int, ...]],
        constants: Mapping[str, NDArray[Any]],
    ) -> None:
        self._translations = translations
        self.shapes = dict(shapes)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.constants = constants
        self.refused: dict[str, str] = {}

    def add(self, op: Operation) -> None:
        """Add what an operation is; one that is not supported is a node of its own kind."""
        made = len(self.nodes)
        try:
            self._translate(op)
        except NodeError as error:
            del self.nodes[made:]
            self.refuse(op, error)

    def refuse(self, op: Operation, error: NodeError) -> None:
        """Add an operation that is not supported, as a node of its own kind."""
        read = [name for name in op.inputs if name and name not in self.constants]
        args: dict[str, Any] = {f"input {n}": Ref(name) for n, name in enumerate(read)}
        self.nodes.append(Node(op.name, op.kind, args, op.outputs, op.layer))
        self.refused[op.name] = str(error)

    def _translate(self, op: Operation) -> None:
        if op.kind not in self._translations:
            raise self.error(op, hint(_TORCH_NAMES.get(op.kind, op.kind.lower())))
        known, translate = self._translations[op.kind]
        for name, value in op.attributes.items():
            if name not in known:
                raise self.error(op, f"its attribute {name} = {value!r} is not known")
        for name in [name for name in op.outputs if name][:1]:
            if name not in self.shapes:
                raise self.error(
                    op,
                    "the shape of its result cannot be inferred: simplify the file, for instance "
                    "with onnxsim, or export it with fixed sizes",
                )
        translate(self, op)

    def error(self, op: Operation, why: str) -> NodeError:
        """Return the error that an operation is not supported, for the reason ``why``."""
        return ops.node_error(Node(op.name, op.kind, {}, op.outputs, op.layer), why)

    def make(
        self, op: Operation, base: str, args: dict[str, Any], outputs: Sequence[str] = ()
    ) -> None:
        """Append a node of operator ``aten.<base>``."""
        name = op.outputs[0] if not outputs else outputs[0]
        node = Node(op.name, f"aten.{base}.default", args, tuple(outputs) or (name,), op.layer)
        self.nodes.append(node)

    def ref(self, op: Operation, number: int) -> Ref | None:
        """Return an input as an argument; None if it is left out."""
        if number >= len(op.inputs) or not op.inputs[number]:
            return None
        return self.constant(op, op.inputs[number])

    def constant(self, op: Operation, name: str, array: NDArray[Any] | None = None) -> Ref:
        """Return a tensor as an argument; a constant, or the ``array`` given, gets a path."""
        held = self.constants.get(name) if array is None else array
        if held is not None and name not in self.tensors:
            self.tensors[name] = Tensor(self._path(op, name), np.asarray(held, np.float64))
        return Ref(name)

    def _path(self, op: Operation, name: str) -> str:
        """Return the name that a constant has as a parameter of PyTorch, such as ``fc1.weight``.

        Names that are none are put under the layer that reads the constant.
        """
        if name in self.tensors:
            return self.tensors[name].path
        plain = "." in name and "/" not in name and ":" not in name
        return name if plain else f"{op.layer}.{_UNNAMED.sub('_', name.rpartition('.')[2])}"

    def array(self, op: Operation, number: int, what: str) -> NDArray[Any] | None:
        """Return an input that must be a constant; None if it is left out."""
        if number >= len(op.inputs) or not op.inputs[number]:
            return None
        found = self.constants.get(op.inputs[number])
        if found is None:
            raise self.error(op, f"its {what} is not constant")
        return found

    def integers(self, op: Operation, number: int, attribute: str) -> list[int] | None:
        """Return whole numbers that are an attribute, or in later opsets an input."""
        if attribute in op.attributes:
            return [int(n) for n in op.attributes[attribute]]
        found = self.array(op, number, attribute)
        return None if found is None else [int(n) for n in found.ravel()]

    def shape(self, op: Operation, number: int = 0) -> tuple[int, ...]:
        """Return the shape of an input."""
        found = self.shapes.get(op.inputs[number])
        if found is None:
            raise self.error(op, "the shape of what it reads cannot be inferred")
        return found

    def renamed(self, op: Operation, given: str, name: str, array: NDArray[Any]) -> Ref:
        """Return a constant that was computed of ``given``, with the path of that."""
        self.tensors[name] = Tensor(self._path(op, given), np.asarray(array, np.float64))
        return Ref(name)


Translation = tuple[tuple[str, ...], Callable[[Translator, Operation], None]]
"""Attributes that an operator may have, and what adds the nodes that it is."""


def live(operations: Sequence[Operation], outputs: Sequence[str]) -> list[Operation]:
    """Return the operations that outputs depend on."""
    needed = set(outputs)
    found: list[Operation] = []
    for op in reversed(operations):
        if needed.intersection(op.outputs):
            found.append(op)
            needed.update(name for name in op.inputs if name)
    return found[::-1]
