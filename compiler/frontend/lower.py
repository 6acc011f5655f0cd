"""Turn a traced graph into a chain of layers, or a convolutional network with one behind it."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops as ops
from zeroskip.compiler.frontend.chain import Chain
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.moves import MOVES, ZERO, Places, in_order, moved
from zeroskip.compiler.frontend.plane_ops import CONCATS
from zeroskip.compiler.frontend.plane_walk import CnnLowering, has_feature_maps
from zeroskip.compiler.frontend.program import Graph, Node, Ref
from zeroskip.compiler.frontend.sharing import MOST_VALUES
from zeroskip.compiler.frontend.traced import Reader, live_nodes
from zeroskip.compiler.ir.graph import INPUT, FloatCnn
from zeroskip.compiler.ir.network import FloatLayer, FloatNetwork
from zeroskip.compiler.passes.share import distinct_values

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
        return _ChainLowering(reader, {source: in_order(shape)}, shape, source).run(nodes)
    cnn = CnnLowering(reader, shape)
    rest = cnn.run(nodes)
    if not rest:
        return FloatCnn(cnn.finish(), None)
    leaving = cnn.leaving(rest[0])
    tail = _ChainLowering(reader, leaving.names, leaving.shape, leaving.last).run(rest)
    made_of = cnn.made_of(leaving.tensor)
    if made_of is not None and made_of[0] != INPUT:
        source, weight = made_of
        first = _folded(tail.layers[0], weight, cnn.shape(source)[0], leaving.last)
        if first is not None:
            made = cnn.finish(source)
            tail = FloatNetwork(cnn.shape(source), (first, *tail.layers[1:]))
            return FloatCnn(made, tail)
    return FloatCnn(cnn.finish(), tail)


def _folded(
    layer: FloatLayer, weight: NDArray[np.float64], channels: int, name: str
) -> FloatLayer | None:
    """Make a convolution of whole planes a part of the Linear layer after it.

    Parameters
    ----------
    layer : the Linear layer.
    weight : (K, 1, H, W) of the convolution.
    channels : channels that it reads, each of which makes as many outputs.
    name : of the convolution.

    Returns
    -------
    None where that would take a layer's sharing of weights away.
    """
    columns = layer.weight.shape[1]
    plane = weight.shape[2] * weight.shape[3]
    values = distinct_values(layer.weight, MOST_VALUES)
    # Each channel's outputs, and what each of them takes of the channel's plane.
    taps = weight.reshape(channels, -1, plane)
    parts = layer.weight.reshape(len(layer.weight), channels, columns // channels).transpose(
        1, 0, 2
    )
    made = (parts @ taps).transpose(1, 0, 2).reshape(len(layer.weight), -1)
    if values <= MOST_VALUES and distinct_values(made, values) > values:
        return None
    return dataclasses.replace(layer, weight=made, folded=(name, *layer.folded))


class _ChainLowering:
    """The state of one walk along a chain.

    Parameters
    ----------
    reader : of the graph.
    names : by which the first layer's input is known, with the places of its elements.
    shape : of a sample of it.
    last : the name of the node that made it.
    """

    def __init__(
        self, reader: Reader, names: dict[str, Places], shape: tuple[int, ...], last: str
    ) -> None:
        self._reader = reader
        self._graph = reader.graph
        self._input_shape = shape
        self._chain = Chain(math.prod(shape))
        # Names by which the last result is known. Those with the same number share memory.
        self._current = names
        self._memory = dict.fromkeys(names, 0)
        self._last = self._mover = last

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
        output = self._graph.outputs[0]
        if output not in self._current:
            raise CompileError(
                f"the output {output} is not the last result, {self._last}; supported "
                f"is {ops.SUPPORTED}"
            )
        layers = self._chain.finish(self._mover, self._current[output].ravel())
        return FloatNetwork(self._input_shape, layers)

    def _activation(self, node: Node, acts: set[str]) -> None:
        """Apply ``node``, which reads the values ``acts`` that depend on the input."""
        base, output = ops.base_name(node.op), node.outputs[0]
        stale = sorted(acts - set(self._current))
        if stale or (len(acts) > 1 and base not in CONCATS):
            what = stale[0] if stale else " and ".join(sorted(acts))
            raise ops.node_error(
                node,
                f"it reads {what}, but each step may use only the result before it: no branches",
            )
        source = next(iter(acts))
        inplace = ops.is_inplace(node.op)
        if base in CONCATS:
            results = [self._concat(node)]
        elif base in MOVES:
            shapes = [self._reader.sample_shape(one, node) for one in node.outputs]
            places = self._current[source]
            results = moved(node, base, places, shapes, self._reader.number)
            self._mover = node.module or node.name
        else:
            results = [self._apply(node, base, source)]
        if base not in MOVES | CONCATS | ops.SAME:
            same = self._memory[source]
            self._current = {
                name: places
                for name, places in self._current.items()
                if inplace and self._memory[name] == same
            }
        for name, places in zip(node.outputs, results, strict=False):
            shares = inplace or base in ops.VIEWS
            self._memory[name] = self._memory[source] if shares else len(self._memory)
            self._current = {**self._current, name: places}
        self._last = node.name
        if self._reader.sample_shape(output, node) != results[0].shape:
            raise ops.node_error(
                node,
                f"it makes {math.prod(self._reader.sample_shape(output, node))} values per sample "
                f"out of {results[0].size}; the first dimension must stay the batch",
            )
        if not self._graph.values[output].floating:
            raise ops.node_error(node, "its result is not a floating-point tensor")

    def _concat(self, node: Node) -> Places:
        """Put parts of the last result, and zeros, side by side."""
        parts: list[Places] = []
        for one in node.args["tensors"]:
            constant = self._reader.number(one)
            if isinstance(one, Ref) and one.name in self._current:
                parts.append(self._current[one.name])
            elif isinstance(constant, np.ndarray) and not constant.any():
                parts.append(np.full(constant.shape[1:], ZERO))
            else:
                raise ops.node_error(node, "only of parts of the result before it, or of zeros")
        dim = int(node.args.get("dim", 0)) % (parts[0].ndim + 1)
        if not dim:
            raise ops.node_error(node, "the first dimension must stay the batch")
        return np.concatenate(parts, axis=dim - 1)

    def _apply(self, node: Node, base: str, source: str) -> Places:
        """Add to the chain what ``node`` does to the value ``source``; return its places."""
        places, name = self._current[source], node.module or node.name
        if base in ops.SAME:
            ops.check_eval(node, "train")
        elif base in ops.RELUS:
            places = self._clamp(node, name, places)
        elif base in ops.NORMS:
            numbers = ops.batch_norm(node, self._reader.number, places.shape)
            places = self._affine(node, places, numbers)
        elif base in ops.SCALINGS:
            places = self._affine(node, places, ops.scaling(node, base, self._reader.number))
        elif base in ops.PRODUCTS:
            number = self._reader.number
            weight, bias, matrix = ops.product(node, base, source, places.shape, number)
            owner = self._reader.owner(matrix, node)
            self._chain.linear(owner, weight, bias, places.ravel(), self._mover)
            return in_order(self._reader.sample_shape(node.outputs[0], node))
        else:
            raise ops.node_error(node, hint(base))
        return places

    def _clamp(self, node: Node, name: str, places: Places) -> Places:
        """Add a ReLU, or what has other limits: what is beyond them is cut off by two ReLUs."""
        low, high = ops.limits(node, self._reader.number)
        if (low or high) and (places == ZERO).any():
            places = self._arranged(name, places)
        ones = np.ones(self._chain.features)
        if low is not None:
            if low:
                self._chain.affine(name, ones, -low * ones)
            self._chain.relu(name)
            if low:
                self._chain.affine(name, ones, low * ones)
        if high is not None:
            self._chain.affine(name, -ones, high * ones)
            self._chain.relu(name)
            self._chain.affine(name, -ones, high * ones)
            self._chain.settle(name)
        return places

    def _arranged(self, name: str, places: Places) -> Places:
        """Make a layer that gives the elements at ``places``, if they are not all, in any order."""
        if np.array_equal(np.sort(places.ravel()), np.arange(self._chain.features)):
            return places
        self._chain.arrange(name, places.ravel())
        return in_order(places.shape)

    def _affine(
        self, node: Node, places: Places, numbers: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> Places:
        """Add a scaling, whose scale and shift broadcast over a sample."""
        places = self._arranged(self._mover, places)
        found = [np.broadcast_to(one, places.shape) for one in self._reader.spread(node, *numbers)]
        scale, shift = np.empty(places.size), np.empty(places.size)
        scale[places.ravel()], shift[places.ravel()] = found[0].ravel(), found[1].ravel()
        self._chain.affine(node.module or node.name, scale, shift)
        return places
