"""Turn the part of a traced graph that works on feature maps into nodes of a graph."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compiler import frontend_cnn_ops as cnn_ops
from compiler import frontend_ops as ops
from compiler.errors import CompileError
from compiler.frontend_graph import Node, Ref
from compiler.frontend_planes import Planes
from compiler.frontend_read import Reader
from compiler.graph import INPUT, FloatAdd, FloatConcat, FloatGraph

__all__ = ["CnnLowering", "has_feature_maps"]

_MAYBE_VIEWS = ops.SAME | ops.RESHAPES
"""These may give their input's own memory, or a copy."""

Shape = tuple[int, int, int]


def has_feature_maps(reader: Reader, nodes: Sequence[Node]) -> bool:
    """Say whether ``nodes`` have convolutions or pooling of feature maps in them."""
    for node in nodes:
        base = ops.base_name(node.op)
        source = node.args.get("self")
        if base in cnn_ops.CONVS or base in cnn_ops.POOLS:
            return True
        if base in cnn_ops.MEANS and isinstance(source, Ref):
            value = reader.graph.values.get(source.name)
            if value is not None and len(value.shape) == 4:
                return True
    return False


class CnnLowering:
    """The state of one walk over a graph.

    Parameters
    ----------
    reader : of the graph.
    shape : of a sample of the input.

    Raises
    ------
    CompileError
        If the input is no image.
    """

    def __init__(self, reader: Reader, shape: tuple[int, ...]) -> None:
        if len(shape) != 3 or min(shape) < 1:
            text = ", ".join(["batch", *map(str, shape)])
            raise CompileError(
                f"the input has shape ({text}), but a network with convolutions must have an input "
                "of (batch, channels, rows, columns)"
            )
        self._reader = reader
        self._planes = Planes((shape[0], shape[1], shape[2]))
        # Of each value of the graph, the tensor whose elements it has, in its own shape.
        source = reader.graph.inputs[0]
        self._tensors = {source: INPUT}
        # Values that surely, and that perhaps, share memory have the same numbers.
        self._memory = {source: 0}
        self._region = {source: 0}
        self._count = 0
        self._last = source

    @property
    def shape(self) -> Shape:
        """(C, H, W) of the tensor that leaves."""
        return self._planes.shape(self._output)

    def run(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Walk until a node that works on a vector, such as a Linear; return it and the rest."""
        for at, node in enumerate(nodes):
            if not node.outputs:
                continue  # A check that export left in, or arithmetic on the batch size.
            acts = self._reader.activations(node)
            if not acts:
                self._reader.fold(node)
                continue
            if self._begins_chain(node, acts):
                return nodes[at:]
            if changed := sorted(acts - set(self._tensors)):
                raise ops.node_error(
                    node, f"it reads {changed[0]}, which an operation in place may have changed"
                )
            self._apply(node)
            self._last = node.name
        if self._reader.graph.outputs[0] not in self._tensors:
            raise CompileError(
                f"the output {self._reader.graph.outputs[0]} is not a result of the network; "
                f"supported is {ops.SUPPORTED}"
            )
        self._output = self._tensors[self._reader.graph.outputs[0]]
        return ()

    def leaving(self, node: Node) -> tuple[set[str], str]:
        """Take what ``node`` reads for the output; return the values that are it, and its name."""
        acts = sorted(self._reader.activations(node))
        if len(acts) > 1 or acts[0] not in self._tensors:
            raise ops.node_error(
                node,
                f"it reads {' and '.join(acts)}, but each step after the convolutions may use only "
                "the result before it",
            )
        self._output = self._tensors[acts[0]]
        return {name for name, one in self._tensors.items() if one == self._output}, self._last

    def finish(self) -> FloatGraph:
        """Return the nodes; see :meth:`compiler.frontend_planes.Planes.finish`."""
        return self._planes.finish(self._output)

    def _begins_chain(self, node: Node, acts: set[str]) -> bool:
        """Say whether ``node`` is to be part of the chain of Linear layers."""
        base = ops.base_name(node.op)
        if base in ops.PRODUCTS:
            return True
        # BatchNorm1d and the like, after Flatten, become part of the Linear layer that follows.
        flat = any(len(self._reader.graph.values[name].shape) == 2 for name in acts)
        return flat and base in ops.NORMS | set(ops.SCALINGS)

    def _apply(self, node: Node) -> None:
        """Add what ``node`` does, and note which tensor its result is."""
        base, source = ops.base_name(node.op), self._first(node)
        number, name = self._reader.number, node.module or node.name
        if base in ops.SAME:
            ops.check_eval(node, "train")
            tensor = self._tensors[source]
        elif base in ops.RESHAPES:
            ops.check_order(node, base, self._reader.sample_shape(source, node))
            tensor = self._tensors[source]
        elif base in ops.RELUS:
            ops.check_relu(node, base, number)
            tensor = self._planes.relu(name, self._tensors[source])
        elif base in ops.NORMS:
            shape = self._maps(node, source)[1]
            tensor = self._affine(node, source, ops.batch_norm(node, number, shape))
        elif base in ops.SCALINGS:
            tensor = self._scaling(node, base)
        elif base in cnn_ops.CONVS:
            where, shape = self._maps(node, source)
            weight = node.args.get("weight")
            owner = self._reader.owner(weight.name if isinstance(weight, Ref) else "", node)
            tensor = self._planes.add(*cnn_ops.convolution(node, owner, where, shape, number))
        elif base in cnn_ops.POOLS or base in cnn_ops.MEANS:
            tensor = self._pool(node, base, name, source)
        elif base in cnn_ops.CONCATS:
            tensor = self._concat(node, name)
        else:
            raise ops.node_error(node, ops.hint(base))
        self._check_result(node, tensor)
        self._remember(node, base, source, tensor)

    def _maps(self, node: Node, value: str) -> tuple[str, Shape]:
        """Return the tensor that ``value`` is and its shape, if it still has it."""
        tensor = self._tensors[value]
        shape = self._planes.shape(tensor)
        if self._reader.sample_shape(value, node) != shape:
            raise ops.node_error(
                node,
                f"it takes samples of shape {self._reader.sample_shape(value, node)} made of "
                f"feature maps of shape {shape} (channels, rows, columns); only as they are",
            )
        return tensor, shape

    def _affine(
        self, node: Node, value: str, numbers: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> str:
        """Add a scaling, which must be the same all over a channel."""
        tensor, shape = self._maps(node, value)
        per_channel: list[NDArray[np.float64]] = []
        for array in self._reader.spread(node, *numbers):
            whole = array.reshape(shape[0], -1)
            if np.any(whole != whole[:, :1]):
                raise ops.node_error(node, "its constant differs inside a channel")
            per_channel.append(whole[:, 0].copy())
        return self._planes.affine(node.module or node.name, tensor, *per_channel)

    def _scaling(self, node: Node, base: str) -> str:
        """Add an elementwise operator: with a constant, or the sum of two tensors."""
        first, second = list(node.args.values())[:2]
        values = [a.name for a in (first, second) if isinstance(a, Ref) and a.name in self._tensors]
        if len(values) < 2:
            return self._affine(node, values[0], ops.scaling(node, base, self._reader.number))
        if base not in ("add", "sub"):
            raise ops.node_error(node, "only additions of two tensors")
        (left, shape), (right, other) = (self._maps(node, value) for value in values)
        if shape != other:
            raise ops.node_error(node, f"it adds samples of different shapes, {shape} and {other}")
        name, ones = node.module or node.name, np.ones(shape[0])
        factor = float(node.args.get("alpha", 1)) * (1 if base == "add" else -1)
        if left == right:
            return self._planes.affine(name, left, ones * (1 + factor), 0 * ones)
        if factor != 1:
            right = self._planes.affine(name, right, ones * factor, 0 * ones)
        return self._planes.add(FloatAdd(name, (left, right), relu=False), shape)

    def _pool(self, node: Node, base: str, name: str, source: str) -> str:
        tensor, shape = self._maps(node, source)
        if base in cnn_ops.MEANS:
            made = cnn_ops.mean(node, name, tensor, shape)
        else:
            made = cnn_ops.pool(node, name, tensor, shape)
        if made is None:
            return tensor
        return self._planes.add(made, (shape[0], *made.out_size))

    def _concat(self, node: Node, name: str) -> str:
        values = [a.name for a in node.args["tensors"] if isinstance(a, Ref)]
        if len(values) < len(node.args["tensors"]) or not set(values) <= set(self._tensors):
            raise ops.node_error(node, "only of tensors that depend on the input")
        parts = [self._maps(node, value) for value in values]
        if int(node.args.get("dim", 0)) % 4 != 1:
            raise ops.node_error(
                node, f"it is along dimension {node.args.get('dim', 0)}; only along the channels, 1"
            )
        channels, plane = sum(shape[0] for _, shape in parts), parts[0][1][1:]
        if len(parts) == 1:
            return parts[0][0]
        tensors = tuple(tensor for tensor, _ in parts)
        return self._planes.add(FloatConcat(name, tensors), (channels, *plane))

    def _check_result(self, node: Node, tensor: str) -> None:
        """Refuse results that are not what the graph says, or no numbers."""
        value = self._reader.graph.values[node.outputs[0]]
        shape, made = self._reader.sample_shape(node.outputs[0], node), self._planes.shape(tensor)
        if np.prod(shape) != np.prod(made) or (len(shape) == 3 and min(made) < 1):
            raise ops.node_error(
                node,
                f"it makes samples of shape {shape} out of {made}; the first dimension must stay "
                "the batch",
            )
        if not value.floating:
            raise ops.node_error(node, "its result is not a floating-point tensor")

    def _remember(self, node: Node, base: str, source: str, tensor: str) -> None:
        """Note that the result of ``node`` is ``tensor``, and who shares its memory."""
        output = node.outputs[0]
        self._count += 1
        inplace = ops.is_inplace(node.op)
        shares = inplace or base in ops.VIEWS
        self._memory[output] = self._memory[source] if shares else self._count
        may_share = shares or base in _MAYBE_VIEWS
        self._region[output] = self._region[source] if may_share else self._count
        self._tensors[output] = tensor
        if inplace and tensor != self._tensors[source]:
            for name in [n for n in self._tensors if self._region[n] == self._region[source]]:
                if self._memory[name] == self._memory[source]:
                    self._tensors[name] = tensor
                else:
                    del self._tensors[name]

    def _first(self, node: Node) -> str:
        """Return the name of the first value that a node reads and that depends on the input."""
        refs = [name for arg in node.args.values() for name in Node("", "", {"": arg}, ()).refs()]
        values = [name for name in refs if name in self._tensors]
        if ops.is_inplace(node.op) and refs[0] != values[0]:
            raise ops.node_error(node, "it changes a parameter in place")
        return values[0]
