"""Nodes of ONNX that layers of Keras are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.compress.keras_tensors import Layer, tensors_of

__all__ = ["FOREIGN", "Nodes"]

FOREIGN = "keras"
"""Domain of what has no operator in ONNX, and is refused by its name."""
_BEFORE = ".linear"
"""Ends the name of what a layer's activation reads."""
_ACTIVATIONS = {
    "relu": "Relu", "softmax": "Softmax", "sigmoid": "Sigmoid", "tanh": "Tanh", "elu": "Elu",
    "selu": "Selu", "softplus": "Softplus", "leaky_relu": "LeakyRelu", "log_softmax": "LogSoftmax",
}  # fmt: skip

_SLOPE = 0.2
"""Of leaky_relu below 0, where it is named as an activation."""


class Nodes:
    """Nodes and constants of a graph under construction; the first dimensions are channels."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._ranks: dict[str, int] = {}
        self._of_steps: set[str] = set()

    def rank(self, name: str, rank: int | None = None) -> int:
        """Return the number of dimensions of a tensor; a ``rank`` that is given is kept for it.

        An activation behind a layer changes nothing of it.
        """
        name = name.removesuffix(_BEFORE)
        if rank is not None:
            self._ranks[name] = rank
        return self._ranks[name]

    def of_steps(self, name: str, *, are: bool = False) -> bool:
        """Return whether a tensor is (batch, steps, values); ``are`` notes that it is."""
        name = name.removesuffix(_BEFORE)
        if are:
            self._of_steps.add(name)
        return name in self._of_steps

    def cell(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **more: Any
    ) -> None:
        """Append a recurrent layer, of several outputs."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), name=name, **more))

    def node(
        self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", **more: Any
    ) -> str:
        """Append a node; return its output."""
        from onnx import helper

        name = output.removesuffix(_BEFORE)
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=name, domain=domain, **more)
        )
        return output

    def constant(self, name: str, values: Any, kind: Any = np.float32) -> str:
        """Add a constant; return its name."""
        self.constants[name] = np.asarray(values, kind)
        return name

    def weights(self, layer: Layer) -> dict[str, str]:
        """Add a layer's tensors; return their names by what they are."""
        return {
            role: self.constant(f"{layer.name}.{role}", array)
            for role, array in tensors_of(layer).items()
        }

    def activation(self, kind: str, source: str, output: str) -> None:
        """Add an activation function by Keras' name for it."""
        if kind == "relu6":
            self.clip(source, output, 6.0)
        elif kind in _ACTIVATIONS:
            more: dict[str, Any] = {"axis": 1} if "softmax" in kind else {}
            if kind == "leaky_relu":
                more["alpha"] = _SLOPE
            self.node(_ACTIVATIONS[kind], [source], output, **more)
        else:
            self.node(kind, [source], output, domain=FOREIGN)

    def clip(self, source: str, output: str, most: float) -> None:
        """Add a ReLU that is cut off."""
        limits = [self.constant(f"{output}.low", 0.0), self.constant(f"{output}.high", most)]
        self.node("Clip", [source, *limits], output)

    def turned(self, source: str, output: str, *, last: bool) -> str:
        """Move the channels to the last dimension, or from there to the first of a sample."""
        rank = self.rank(source)
        order = [0, *range(2, rank), 1] if last else [0, rank - 1, *range(1, rank - 1)]
        return self.node("Transpose", [source], output, perm=order)
