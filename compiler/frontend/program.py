"""An exported program as plain data: what every front end produces and the lowering reads."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Graph", "Node", "Ref", "Tensor", "Value"]


@dataclass(frozen=True)
class Ref:
    """An argument that is the value called ``name``."""

    name: str


@dataclass(frozen=True)
class Value:
    """What is known of a tensor in the graph.

    Parameters
    ----------
    shape : sizes, None where a size is not fixed.
    floating : its elements are floating-point numbers.
    """

    shape: tuple[int | None, ...]
    floating: bool


@dataclass(frozen=True)
class Tensor:
    """A parameter, buffer or constant; ``path`` is its place in the module, as ``fc1.weight``."""

    path: str
    array: NDArray[np.float64]


_OF_TWO = {"aten.max.other": "maximum", "aten.min.other": "minimum"}
"""``torch.max`` of two tensors is another operator than of one, over its dimensions."""

_ALIASES = {
    "absolute": "abs",
    "clip": "clamp",
    "divide": "div",
    "fmax": "maximum",
    "fmin": "minimum",
    "multiply": "mul",
    "negative": "neg",
    "positive": "alias",
    "reshape_as": "reshape",
    "subtract": "sub",
    "true_divide": "div",
    "view_as": "view",
}
"""Second names that torch has for an operator, and exports as they were written. ``fmax`` differs
from ``maximum`` for NaN only."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Parameters
    ----------
    name : its name in the graph, for messages.
    op : operator with overload, as ``aten.linear.default``.
    args : arguments by the names of the operator's schema; absent ones have their default.
    outputs : names of the tensors it makes, in order.
    module : path of the module it came from, empty at the top.
    """

    name: str
    op: str
    args: dict[str, Any]
    outputs: tuple[str, ...]
    module: str = ""

    @property
    def base(self) -> str:
        """Usual name of the operator, without namespace, overload and ``_`` of in-place forms."""
        if self.op in _OF_TWO:
            return _OF_TWO[self.op]
        parts = self.op.split(".")
        name = parts[1] if parts[0] == "aten" and len(parts) > 1 else self.op
        name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        return _ALIASES.get(name, name)

    @property
    def inplace(self) -> bool:
        """The operator changes its first argument."""
        return self.op.startswith("aten.") and self.op.split(".")[1] == f"{self.base}_"

    @property
    def layer(self) -> str:
        """Name of a layer that it makes."""
        return self.module or self.name

    def refs(self) -> list[str]:
        """Return the names of all values that the arguments refer to, in order."""
        found: list[str] = []
        todo = list(self.args.values())[::-1]
        while todo:
            arg = todo.pop()
            if isinstance(arg, Ref):
                found.append(arg.name)
            elif isinstance(arg, (list, tuple)):
                todo.extend(arg[::-1])
        return found


@dataclass(frozen=True)
class Graph:
    """A whole program.

    Parameters
    ----------
    inputs : names of the inputs that a user gives.
    outputs : names of the results.
    mutated : paths of buffers that the program changes.
    tensors : parameters, buffers and constants by their names in the graph.
    values : every tensor in the graph by name.
    nodes : in order of execution.
    notes : sentences on what the front end left out.
    refused : by the names of nodes that it could not read, the sentence that says why.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mutated: tuple[str, ...]
    tensors: dict[str, Tensor]
    nodes: tuple[Node, ...]
    values: dict[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
