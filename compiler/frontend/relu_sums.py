"""Write operators that arrays do not have, such as LeakyReLU, as sums of ReLUs, which they have."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from zeroskip.compiler.frontend.program import Graph, Node, Ref, Tensor, Value

__all__ = ["as_relu_sums"]

_ABOVE = {"gt", "ge"}


def as_relu_sums(graph: Graph) -> Graph:
    """Return a graph with LeakyReLU, PReLU, absolute values, maxima and minima as sums of ReLUs.

    A maximum or minimum with one number clips, and ``where(x > 0, x, 0)`` is a ReLU. What is of no
    such kind is left as it is. A note says what was written otherwise, and how.
    """
    return _Sums(graph).run()


class _Sums:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values, self._tensors = dict(graph.values), dict(graph.tensors)
        self._makers = {name: node for node in graph.nodes for name in node.outputs}
        self._reached = _depends_on_input(graph)
        self._written: dict[str, list[str]] = {}

    def run(self) -> Graph:
        made: list[Node] = []
        for node in self._graph.nodes:
            parts = self._parts(node)
            made += [node] if parts is None else parts
        notes = tuple(
            f"{names[0]!r}{_others(names)} is computed as {how}, in more passes than a ReLU"
            for how, names in self._written.items()
        )
        return replace(
            self._graph,
            nodes=tuple(made),
            values=self._values,
            tensors=self._tensors,
            notes=(*self._graph.notes, *notes),
        )

    def _parts(self, node: Node) -> list[Node] | None:
        """Return the nodes that ``node`` is; None if it stays."""
        if node.name in self._graph.refused or len(node.outputs) != 1:
            return None
        write: Callable[[Node], Iterator[Node] | None] | None = {
            "leaky_relu": self._leaky,
            "prelu": self._prelu,
            "_prelu_kernel": self._prelu,
            "abs": self._absolute,
            "maximum": self._extreme,
            "minimum": self._extreme,
            "where": self._where,
        }.get(node.base)
        parts = None if write is None else write(node)
        return None if parts is None else list(parts)

    def _note(self, node: Node, how: str) -> None:
        self._written.setdefault(how, []).append(node.name)

    def _step(self, node: Node, what: str, base: str, args: dict[str, Any]) -> Node:
        """Return a node between what ``node`` reads and makes, whose result has the same shape."""
        name = f"{node.outputs[0]}.{what}"
        self._values[name] = self._values[node.outputs[0]]
        return Node(
            f"{node.name}.{what}", f"aten.{base}.default", args, (name,), f"{node.layer}.{what}"
        )

    def _last(self, node: Node, base: str, args: dict[str, Any]) -> Node:
        """Return the node that makes what ``node`` does."""
        return Node(node.name, f"aten.{base}.default", args, node.outputs, node.module)

    def _leaky(self, node: Node) -> Iterator[Node] | None:
        slope = node.args.get("negative_slope", 0.01)
        if not isinstance(slope, int | float):
            return None
        self._note(node, f"relu(x) - {slope:.4g} relu(-x)")
        return self._with_slope(node, next(iter(node.args.values())), slope)

    def _prelu(self, node: Node) -> Iterator[Node] | None:
        source, weight = list(node.args.values())[:2]
        held = self._tensors.get(getattr(weight, "name", ""))
        if held is None:
            return None
        array, shape = held.array, self._values[node.outputs[0]].shape
        if array.ndim == 1 and array.size > 1 and len(shape) > 2:
            # torch's slopes are those of channels, which are the second dimension.
            array = array.reshape(-1, *[1] * (len(shape) - 2))
        if array.ndim > 2 and np.any(array != array[..., :1, :1]):
            return None
        name = f"{node.outputs[0]}.slopes"
        self._tensors[name] = Tensor(f"{held.path}.slopes", array)
        self._values[name] = Value(array.shape, True)
        self._note(node, "relu(x) - slope relu(-x)")
        return self._with_slope(node, source, Ref(name))

    def _halves(self, node: Node, source: Any) -> tuple[Node, Node, Node]:
        """Return the nodes of ``relu(x)``, ``-x`` and ``relu(-x)`` of ``source``."""
        above = self._step(node, "above", "relu", {"self": source})
        negated = self._step(node, "negated", "neg", {"self": source})
        below = self._step(node, "below", "relu", {"self": Ref(negated.outputs[0])})
        return above, negated, below

    def _with_slope(self, node: Node, source: Any, slope: Any) -> Iterator[Node]:
        above, negated, below = self._halves(node, source)
        scaled = self._step(node, "scaled", "mul", {"self": Ref(below.outputs[0]), "other": slope})
        left, right = Ref(above.outputs[0]), Ref(scaled.outputs[0])
        yield from (above, negated, below, scaled)
        yield self._last(node, "sub", {"self": left, "other": right})

    def _absolute(self, node: Node) -> Iterator[Node]:
        source = next(iter(node.args.values()))
        self._note(node, "relu(x) + relu(-x)")
        above, negated, below = self._halves(node, source)
        left, right = Ref(above.outputs[0]), Ref(below.outputs[0])
        yield from (above, negated, below)
        yield self._last(node, "add", {"self": left, "other": right})

    def _extreme(self, node: Node) -> Iterator[Node] | None:
        """Write a maximum or minimum of two tensors, or with a number."""
        first, second = list(node.args.values())[:2]
        if not any(self._is_activation(arg) for arg in (first, second)):
            return None
        lower = node.base == "maximum"
        if not self._is_activation(first):
            first, second = second, first
        if self._is_number(second):
            return iter([
                self._last(node, "clamp", {"self": first, "min" if lower else "max": second})
            ])
        names = ("b", "a") if lower else ("a", "b")
        sign = "+" if lower else "-"
        self._note(node, f"a {sign} relu({names[0]} - {names[1]})")
        left, right = (second, first) if lower else (first, second)
        more = self._step(node, "more", "sub", {"self": left, "other": right})
        above = self._step(node, "above", "relu", {"self": Ref(more.outputs[0])})
        base = "add" if lower else "sub"
        last = self._last(node, base, {"self": first, "other": Ref(above.outputs[0])})
        return iter([more, above, last])

    def _where(self, node: Node) -> Iterator[Node] | None:
        """Write ``where(x > 0, x, 0)`` as the ReLU that it is."""
        condition, one, other = (list(node.args.values()) + [None] * 3)[:3]
        compared = self._makers.get(getattr(condition, "name", ""))
        if compared is None:
            return None
        left, right = (list(compared.args.values()) + [None] * 2)[:2]
        if compared.base in ("lt", "le") and not self._is_activation(left):
            left, right = right, left  # 0 < x
        elif compared.base in ("lt", "le"):
            one, other = other, one
        elif compared.base not in _ABOVE:
            return None
        if left != one or not (self._is_zero(right) and self._is_zero(other)):
            return None
        return iter([self._last(node, "relu", {"self": one})])

    def _is_activation(self, arg: Any) -> bool:
        return isinstance(arg, Ref) and arg.name in self._reached

    def _is_number(self, arg: Any) -> bool:
        if isinstance(arg, Ref):
            shape = self._values[arg.name].shape if arg.name in self._values else (None,)
            held = self._tensors.get(arg.name)
            shape = shape if held is None else held.array.shape
            return (
                not self._is_activation(arg)
                and None not in shape
                and math.prod(size or 0 for size in shape) == 1
            )
        return isinstance(arg, int | float)

    def _is_zero(self, arg: Any) -> bool:
        if isinstance(arg, Ref):
            held, maker = self._tensors.get(arg.name), self._makers.get(arg.name)
            zeros = ("zeros", "zeros_like", "new_zeros")
            if maker is not None and maker.base in zeros:
                return True
            return held is not None and not np.any(held.array)
        return isinstance(arg, int | float) and arg == 0


def _depends_on_input(graph: Graph) -> set[str]:
    reached = set(graph.inputs)
    for node in graph.nodes:
        if not reached.isdisjoint(node.refs()):
            reached.update(node.outputs)
    return reached


def _others(names: list[str]) -> str:
    return f" and {len(names) - 1} more like it" if len(names) > 1 else ""
