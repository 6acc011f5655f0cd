"""Turn a traced graph into a chain of layers."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler import frontend_ops as ops
from compiler.errors import CompileError
from compiler.frontend_chain import Chain
from compiler.frontend_graph import Graph, Node, Ref
from compiler.network import FloatNetwork

__all__ = ["lower"]


def lower(graph: Graph) -> FloatNetwork:
    """Return the chain of layers that ``graph`` computes, in eval mode.

    Raises
    ------
    CompileError
        If it is no chain of supported operations; names the node, its operator and what is
        supported.
    """
    for what, names in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(names) != 1:
            raise CompileError(
                f"the network has {len(names)} {what} ({', '.join(names)}); supported is one "
                f"input, one output and {ops.SUPPORTED}"
            )
    if graph.inputs[0] not in graph.values:
        raise CompileError(f"the input {graph.inputs[0]} is not a tensor")
    if graph.mutated:
        raise CompileError(
            f"the network changes {graph.mutated[0]!r} when it runs, as in training mode; "
            "call .eval() before torch.export.export"
        )
    return _Lowering(graph).run()


class _Lowering:
    """The state of one walk over a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = {name: tensor.array for name, tensor in graph.tensors.items()}
        self._paths = {name: tensor.path for name, tensor in graph.tensors.items()}
        self._input_shape = self._sample_shape(graph.inputs[0], None)
        self._chain = Chain(math.prod(self._input_shape))
        # Names by which the last result is known: it and its views.
        self._current = {graph.inputs[0]}
        self._last = graph.inputs[0]

    def run(self) -> FloatNetwork:
        """Walk the graph."""
        graph = self._graph
        nodes = _live(graph)
        if not any(graph.inputs[0] in node.refs() for node in nodes):
            raise CompileError(
                f"the network does not use its input {graph.inputs[0]!r}; supported is "
                f"{ops.SUPPORTED}"
            )
        for node in nodes:
            if not node.outputs:
                continue  # A check that export left in, or arithmetic on the batch size.
            acts = {name for name in node.refs() if name in graph.values} - set(self._constants)
            if acts:
                self._activation(node, acts)
            else:
                self._fold(node)
        if graph.outputs[0] not in self._current:
            raise CompileError(
                f"the output {graph.outputs[0]} is not the last result, {self._last}; supported "
                f"is {ops.SUPPORTED}"
            )
        return FloatNetwork(self._input_shape, self._chain.finish())

    def _activation(self, node: Node, acts: set[str]) -> None:
        """Apply ``node``, which reads the values ``acts`` that depend on the input."""
        stale = sorted(acts - self._current)
        if stale or len(acts) > 1:
            what = stale[0] if stale else " and ".join(sorted(acts))
            raise ops.node_error(
                node,
                f"it reads {what}, but each step may use only the result before it: no branches",
            )
        base, output = ops.base_name(node.op), node.outputs[0]
        self._apply(node, base, next(iter(acts)))
        inplace = ops.is_inplace(node.op)
        self._current = (self._current if base in ops.VIEWS or inplace else set()) | {output}
        self._last = node.name
        features = math.prod(self._sample_shape(output, node))
        if features != self._chain.features:
            raise ops.node_error(
                node,
                f"it makes {features} values per sample out of {self._chain.features}; the first "
                "dimension must stay the batch",
            )
        if not self._graph.values[output].floating:
            raise ops.node_error(node, "its result is not a floating-point tensor")

    def _apply(self, node: Node, base: str, source: str) -> None:
        """Add to the chain what ``node`` does to the value ``source``."""
        if base in ops.SAME:
            ops.check_eval(node, "train")
        elif base in ops.RESHAPES:
            ops.check_order(node, base, self._sample_shape(source, node))
        elif base in ops.RELUS:
            ops.check_relu(node, base, self._number)
            self._chain.relu(node.module or node.name)
        elif base in ops.NORMS:
            shape = self._sample_shape(source, node)
            self._affine(node, *ops.batch_norm(node, self._number, shape))
        elif base in ops.SCALINGS:
            self._affine(node, *ops.scaling(node, base, self._number))
        elif base in ops.PRODUCTS:
            shape = self._sample_shape(source, node)
            weight, bias, matrix = ops.product(node, base, source, shape, self._number)
            owner, _, leaf = self._paths.get(matrix, "").rpartition(".")
            self._chain.linear(owner or node.module or leaf or node.name, weight, bias)
        else:
            raise ops.node_error(node, ops.hint(base))

    def _affine(self, node: Node, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        """Add a scaling; ``scale`` and ``shift`` broadcast over a sample."""
        shape = self._sample_shape(node.outputs[0], node)
        try:
            scales, shifts = (np.broadcast_to(a, (1, *shape)).ravel() for a in (scale, shift))
        except ValueError:
            raise ops.node_error(node, "its constant must be the same for every sample") from None
        bad = np.count_nonzero(~(np.isfinite(scales) & np.isfinite(shifts)))
        if bad:
            raise ops.node_error(node, f"its parameters make {bad} values NaN or infinite")
        self._chain.affine(node.module or node.name, scales, shifts)

    def _fold(self, node: Node) -> None:
        """Compute ``node`` now: it depends on parameters alone."""
        base, output = ops.base_name(node.op), node.outputs[0]
        operands = [self._number(arg) for arg in node.args.values()]
        first = operands[0] if operands else None
        if base in ops.SCALINGS and len(operands) > 1 and all(x is not None for x in operands[:2]):
            self._constants[output] = ops.arithmetic(node, base, *operands[:2])
        elif base in ops.SAME and isinstance(first, np.ndarray):
            self._constants[output] = first
        elif base in ops.RESHAPES and isinstance(first, np.ndarray):
            shape = self._graph.values[output].shape
            self._constants[output] = ops.rearrange(node, base, first, shape)
        else:
            raise ops.node_error(node, "it computes on parameters alone")
        if ops.is_inplace(node.op):
            raise ops.node_error(node, "it changes a parameter in place")
        path = next((self._paths[name] for name in node.refs() if name in self._paths), None)
        if path is not None:
            self._paths[output] = path

    def _number(self, arg: Any) -> Any:
        """Return the array or number that ``arg`` is, or None if it is neither."""
        if isinstance(arg, Ref):
            return self._constants.get(arg.name)
        return arg if isinstance(arg, (int, float)) and not isinstance(arg, bool) else None

    def _sample_shape(self, name: str, node: Node | None) -> tuple[int, ...]:
        """Return the shape of value ``name``, of ``node`` if not the input's, without batch."""
        shape = self._graph.values[name].shape
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


def _live(graph: Graph) -> list[Node]:
    """Return the nodes that the outputs depend on, in-place ones included."""
    # What may share memory with a needed value changes it when it is itself changed in place.
    roots: dict[str, str] = {}
    for node in graph.nodes:
        if ops.base_name(node.op) in ops.SAME | ops.RESHAPES and node.refs():
            source = node.refs()[0]
            roots |= dict.fromkeys(node.outputs, roots.get(source, source))
    needed = set(graph.outputs)
    live: list[Node] = []
    for node in reversed(graph.nodes):
        refs = set(node.refs())
        changed = {roots.get(name, name) for name in refs} if ops.is_inplace(node.op) else set()
        if needed.intersection(node.outputs) or changed & {roots.get(n, n) for n in needed}:
            live.append(node)
            needed |= refs
    return live[::-1]
