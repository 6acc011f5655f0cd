"""Turn a traced graph into a chain of layers, or a convolutional network with one behind it."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compiler import frontend_ops as ops
from compiler.errors import CompileError
from compiler.frontend_chain import Chain
from compiler.frontend_cnn import CnnLowering, has_feature_maps
from compiler.frontend_graph import Graph, Node
from compiler.frontend_read import Reader, live_nodes
from compiler.graph import FloatCnn
from compiler.network import FloatNetwork

__all__ = ["lower"]


def lower(graph: Graph) -> FloatNetwork | FloatCnn:
    """Return what ``graph`` computes, in eval mode.

    Raises
    ------
    CompileError
        If it is not made of supported operations; names the node, its operator and what is
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
    reader, source = Reader(graph), graph.inputs[0]
    shape = reader.sample_shape(source, None)
    nodes = live_nodes(graph)
    if not any(source in node.refs() for node in nodes):
        raise CompileError(
            f"the network does not use its input {source!r}; supported is {ops.SUPPORTED}"
        )
    if not has_feature_maps(reader, nodes):
        return _ChainLowering(reader, {source}, shape, source).run(nodes)
    cnn = CnnLowering(reader, shape)
    rest = cnn.run(nodes)
    if not rest:
        return FloatCnn(cnn.finish(), None)
    names, last = cnn.leaving(rest[0])
    made = cnn.finish()
    tail = _ChainLowering(reader, names, cnn.shape, last).run(rest)
    return FloatCnn(made, tail)


class _ChainLowering:
    """The state of one walk along a chain.

    Parameters
    ----------
    reader : of the graph.
    names : by which the first layer's input is known: it and its views.
    shape : of a sample of it.
    last : the name of the node that made it.
    """

    def __init__(self, reader: Reader, names: set[str], shape: tuple[int, ...], last: str) -> None:
        self._reader = reader
        self._graph = reader.graph
        self._input_shape = shape
        self._chain = Chain(math.prod(shape))
        # Names by which the last result is known.
        self._current = names
        self._last = last

    def run(self, nodes: Sequence[Node]) -> FloatNetwork:
        """Walk along the nodes."""
        for node in nodes:
            if not node.outputs:
                continue  # A check that export left in, or arithmetic on the batch size.
            acts = self._reader.activations(node)
            if acts:
                self._activation(node, acts)
            else:
                self._reader.fold(node)
        graph = self._graph
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
        features = math.prod(self._reader.sample_shape(output, node))
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
            ops.check_order(node, base, self._reader.sample_shape(source, node))
        elif base in ops.RELUS:
            ops.check_relu(node, base, self._reader.number)
            self._chain.relu(node.module or node.name)
        elif base in ops.NORMS:
            shape = self._reader.sample_shape(source, node)
            self._affine(node, ops.batch_norm(node, self._reader.number, shape))
        elif base in ops.SCALINGS:
            self._affine(node, ops.scaling(node, base, self._reader.number))
        elif base in ops.PRODUCTS:
            shape = self._reader.sample_shape(source, node)
            weight, bias, matrix = ops.product(node, base, source, shape, self._reader.number)
            self._chain.linear(self._reader.owner(matrix, node), weight, bias)
        else:
            raise ops.node_error(node, ops.hint(base))

    def _affine(self, node: Node, numbers: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
        """Add a scaling, whose scale and shift broadcast over a sample."""
        scales, shifts = self._reader.spread(node, *numbers)
        self._chain.affine(node.module or node.name, scales.ravel(), shifts.ravel())
