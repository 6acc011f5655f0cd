"""What the lowering needs of a traced graph: its constants, shapes and live nodes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.constants import computed
from zeroskip.compiler.frontend.moves import COPIES, MOVES
from zeroskip.compiler.frontend.program import Graph, Node, Ref

__all__ = ["Reader", "live_nodes"]


class Reader:
    """A graph, and what in it is computed from parameters alone.

    Parameters
    ----------
    graph : as a front end made it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = {name: tensor.array for name, tensor in graph.tensors.items()}
        self._paths = {name: tensor.path for name, tensor in graph.tensors.items()}

    def activations(self, node: Node) -> set[str]:
        """Return the names of values that ``node`` reads and that depend on the input."""
        names = {name for name in node.refs() if name in self.graph.values}
        return names - set(self.constants)

    def number(self, arg: Any) -> Any:
        """Return the array or number that ``arg`` is, or None if it is neither."""
        if isinstance(arg, Ref):
            return self.constants.get(arg.name)
        return arg if isinstance(arg, (int, float)) and not isinstance(arg, bool) else None

    def owner(self, name: str, node: Node) -> str:
        """Return the path of the module whose tensor ``name`` is, or else that of ``node``."""
        # A parametrization is a module in the module whose parameter it computes.
        path = self._paths.get(name, "").split(".parametrizations.")
        owner, _, leaf = (path[0] if len(path) == 1 else f"{path[0]}.weight").rpartition(".")
        return owner or node.module or leaf or node.name

    def fold(self, node: Node) -> None:
        """Compute ``node`` now: it depends on parameters alone."""
        if node.inplace and node.base not in ops.SAME:
            raise ops.node_error(node, "it changes a parameter in place")
        shapes = [
            tuple(size or 0 for size in self.graph.values[name].shape) for name in node.outputs
        ]
        made = computed(node, self.number, shapes)
        if made is None:
            raise ops.node_error(
                node,
                "it computes on parameters alone, by an operator that is not known here; store "
                "its result as a parameter before export",
            )
        self.constants.update(zip(node.outputs, made, strict=False))
        path = next((self._paths[name] for name in node.refs() if name in self._paths), None)
        if path is not None:
            self._paths |= dict.fromkeys(node.outputs, path)

    def sample_shape(self, name: str, node: Node | None) -> tuple[int, ...]:
        """Return the shape of value ``name``, of ``node`` if not the input's, without batch."""
        shape = self.graph.values[name].shape
        sizes = [size for size in shape[1:] if size is not None]
        if shape and len(sizes) == len(shape) - 1:
            return tuple(sizes)
        text = ", ".join("?" if size is None else str(size) for size in shape)
        if node is None:
            raise CompileError(
                f"the input has shape ({text}), but only its first dimension, the batch, may vary"
            )
        raise ops.node_error(
            node, f"its result has shape ({text}), but only the first, the batch, may vary"
        )

    def spread(
        self, node: Node, scale: NDArray[np.float64], shift: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a scaling does to each element of a sample, in the shape of the sample."""
        shape = self.sample_shape(node.outputs[0], node)
        try:
            scales, shifts = (np.broadcast_to(a, (1, *shape))[0] for a in (scale, shift))
        except ValueError:
            raise ops.node_error(node, "its constant must be the same for every sample") from None
        bad = np.count_nonzero(~(np.isfinite(scales) & np.isfinite(shifts)))
        if bad:
            raise ops.node_error(node, f"its parameters make {bad} values NaN or infinite")
        return scales, shifts


def live_nodes(graph: Graph) -> list[Node]:
    """Return the nodes that the outputs depend on, in-place ones included."""
    # What may share memory with a needed value changes it when it is itself changed in place.
    roots: dict[str, str] = {}
    for node in graph.nodes:
        if node.base in ops.SAME | (MOVES - COPIES) and node.refs():
            source = node.refs()[0]
            roots |= dict.fromkeys(node.outputs, roots.get(source, source))
    needed = set(graph.outputs)
    live: list[Node] = []
    for node in reversed(graph.nodes):
        refs = set(node.refs())
        changed = {roots.get(name, name) for name in refs} if node.inplace else set()
        if needed.intersection(node.outputs) or changed & {roots.get(n, n) for n in needed}:
            live.append(node)
            needed |= refs
    return live[::-1]
