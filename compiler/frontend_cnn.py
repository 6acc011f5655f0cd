"""Turn the part of a traced graph that works on feature maps into nodes of a graph."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler import frontend_cnn_ops as cnn_ops
from compiler import frontend_ops as ops
from compiler.errors import CompileError
from compiler.frontend_graph import Node, Ref
from compiler.frontend_moves import COPIES, MOVES, ZERO, Places, in_order, moved, padded_sides
from compiler.frontend_planes import Planes
from compiler.frontend_read import Reader
from compiler.frontend_select import copies
from compiler.frontend_windows import pad_conv, pad_pool, windows_of
from compiler.graph import INPUT, FloatAdd, FloatConcat, FloatGraph, FloatPool

__all__ = ["CnnLowering", "Leaving", "has_feature_maps"]

_MAYBE_VIEWS = ops.SAME | (MOVES - COPIES)
"""These may give their input's own memory, or a copy."""

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class _Held:
    """What a value of the graph is made of.

    Parameters
    ----------
    tensor : whose elements it has.
    places : which of them, in the shape of the value's samples.
    mover : the node that put them there.
    """

    tensor: str
    places: Places
    mover: Node | None = None


@dataclass(frozen=True, eq=False)
class Leaving:
    """What the Linear layers after the feature maps read.

    Parameters
    ----------
    names : values that have its elements, and which.
    shape : (C, H, W) of the tensor.
    last : name of the node that made it.
    tensor : its name.
    """

    names: dict[str, Places]
    shape: Shape
    last: str
    tensor: str


def has_feature_maps(reader: Reader, nodes: Sequence[Node]) -> bool:
    """Say whether ``nodes`` have convolutions or pooling of feature maps in them."""
    for node in nodes:
        base = ops.base_name(node.op)
        source = node.args.get("self")
        if base in cnn_ops.CONVS or base in cnn_ops.POOLS or base in cnn_ops.ADAPTIVE:
            return True
        if base in ops.REDUCTIONS and isinstance(source, Ref):
            value = reader.graph.values.get(source.name)
            if value is not None and len(value.shape) in (3, 4):
                return True
    return False


class CnnLowering:
    """The state of one walk over a graph.

    Parameters
    ----------
    reader : of the graph.
    shape : of a sample of the input: planes, lines, or numbers that the graph makes planes of.

    Raises
    ------
    CompileError
        If the input is nothing of that.
    """

    def __init__(self, reader: Reader, shape: tuple[int, ...]) -> None:
        planes = _planes(shape)
        if planes is None:
            text = ", ".join(["batch", *map(str, shape)])
            raise CompileError(
                f"the input has shape ({text}), but a network with convolutions must have an input "
                "of (batch, channels, rows, columns), or (batch, channels, length)"
            )
        self._reader = reader
        self._planes = Planes(planes)
        self._sample_shape = shape
        source = reader.graph.inputs[0]
        self._values = {source: _Held(INPUT, in_order(shape))}
        # Values that surely, and that perhaps, share memory have the same numbers.
        self._memory = {source: 0}
        self._region = {source: 0}
        self._count = 0
        self._last = source
        # Of tensors made for elements that were copied or averaged: source, and the weights.
        self._made_of: dict[str, tuple[str, NDArray[np.float64]]] = {}

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
            if changed := sorted(acts - set(self._values)):
                raise ops.node_error(
                    node,
                    f"it reads {changed[0]}, which an operation in place may have changed, or "
                    "which is no result that the array has",
                )
            self._apply(node)
            self._last = node.name
        output = self._reader.graph.outputs[0]
        if output not in self._values:
            raise CompileError(
                f"the output {output} is not a result of the network; supported is {ops.SUPPORTED}"
            )
        held = self._values[output]
        whole = in_order(self._planes.shape(held.tensor)).ravel()
        if not np.array_equal(held.places.ravel(), whole):
            node = held.mover or nodes[-1]
            held = _Held(self._tensor(node, output)[0], held.places)
        self._output = held.tensor
        return ()

    def leaving(self, node: Node) -> Leaving:
        """Take what ``node`` reads for the output."""
        acts = sorted(self._reader.activations(node))
        if len(acts) > 1 or acts[0] not in self._values:
            raise ops.node_error(
                node,
                f"it reads {' and '.join(acts)}, but each step after the convolutions may use only "
                "the result before it",
            )
        held = self._values[acts[0]]
        if np.unique(held.places).size < held.places.size:
            held = self._copied(held)
            self._values[acts[0]] = held
        self._output = held.tensor
        names = {
            name: one.places for name, one in self._values.items() if one.tensor == held.tensor
        }
        return Leaving(names, self._planes.shape(held.tensor), self._last, held.tensor)

    def made_of(self, tensor: str) -> tuple[str, NDArray[np.float64]] | None:
        """Return what a tensor whose elements are copies or averages is made of.

        Returns
        -------
        Name of the other tensor, and the weights (K, 1, H, W) of its channels by themselves;
        None for a tensor of another kind.
        """
        return self._made_of.get(tensor)

    def finish(self, output: str | None = None) -> FloatGraph:
        """Return the nodes that make ``output``; unless given, of what leaves.

        See :meth:`compiler.frontend_planes.Planes.finish`.
        """
        made = self._planes.finish(self._output if output is None else output)
        same = self._sample_shape == made.input_shape
        return made if same else dataclasses.replace(made, sample_shape=self._sample_shape)

    def shape(self, tensor: str) -> Shape:
        """Return the shape (C, H, W) of a tensor."""
        return self._planes.shape(tensor)

    def _begins_chain(self, node: Node, acts: set[str]) -> bool:
        """Say whether ``node`` is to be part of the chain of Linear layers."""
        base = ops.base_name(node.op)
        if base in ops.PRODUCTS:
            return True
        # BatchNorm1d and the like, after Flatten, become part of the Linear layer that follows.
        flat = any(len(self._reader.graph.values[name].shape) == 2 for name in acts)
        return flat and len(acts) == 1 and base in ops.NORMS | set(ops.SCALINGS)

    def _apply(self, node: Node) -> None:
        """Add what ``node`` does, and note what its results are made of."""
        base, source = ops.base_name(node.op), self._first(node)
        number, name, held = self._reader.number, node.module or node.name, self._values[source]
        if base in ops.SAME:
            ops.check_eval(node, "train")
            made = [held]
        elif base in MOVES:
            shapes = [self._reader.sample_shape(one, node) for one in node.outputs]
            made = [
                _Held(held.tensor, places, node)
                for places in moved(node, base, held.places, shapes, number)
            ]
        elif base in ops.RELUS:
            made = [self._clamp(node, name, held)]
        elif base in ops.NORMS:
            numbers = ops.batch_norm(node, number, held.places.shape)
            made = [self._affine(node, source, numbers)]
        elif base in ops.SCALINGS:
            made = [self._scaling(node, base)]
        elif base in cnn_ops.CONVS:
            made = [self._convolution(node, source)]
        elif base in cnn_ops.POOLS:
            made = [self._pool(node, name, source)]
        elif base in cnn_ops.ADAPTIVE:
            made = [self._adaptive(node, base, name, source)]
        elif base in ops.REDUCTIONS:
            made = [self._reduction(node, base, name, source)]
        elif base in cnn_ops.CONCATS:
            made = [self._concat(node, name)]
        else:
            raise ops.node_error(node, ops.hint(base))
        self._check_result(node, made[0])
        for output, one in zip(node.outputs, made, strict=False):
            self._remember(node, base, source, output, one)

    def _tensor(self, node: Node, value: str) -> tuple[str, Shape]:
        """Return a tensor that has the elements of ``value`` as planes, and its shape."""
        held = self._values[value]
        shape = _planes(held.places.shape)
        if shape is None:
            raise ops.node_error(
                node,
                f"it takes samples of shape {held.places.shape}; only of (channels, rows, columns) "
                "or (channels, length)",
            )
        own, places = self._planes.shape(held.tensor), held.places.reshape(shape)
        if np.array_equal(places.ravel(), in_order(own).ravel()) and (
            shape == own or (held.tensor == INPUT and self._planes.reshape_input(shape))
        ):
            return held.tensor, shape
        mover = held.mover or node
        name = mover.module or mover.name
        made = self._planes.select(name, held.tensor, places)
        if made is None and shape[1:] == (1, 1):
            weight = copies(own, places)
            made = None if weight is None else self._spread(name, held.tensor, weight)
        if made is None:
            raise ops.node_error(mover, ops.why_not_planes(mover, own, shape))
        self._values[value] = _Held(made, in_order(held.places.shape), mover)
        return made, shape

    def _clamp(self, node: Node, name: str, held: _Held) -> _Held:
        """Add a ReLU, or what has other limits: what is beyond them is cut off by two ReLUs."""
        low, high = ops.limits(node, self._reader.number)
        tensor = held.tensor
        if (low or high) and (held.places == ZERO).any():
            raise ops.node_error(node, "it clips zeros that were put around planes before")
        ones = np.ones(self._planes.shape(tensor)[0])
        if low is not None:
            tensor = self._planes.affine(name, tensor, ones, -low * ones) if low else tensor
            tensor = self._planes.relu(name, tensor)
            tensor = self._planes.affine(name, tensor, ones, low * ones) if low else tensor
        if high is not None:
            tensor = self._planes.affine(name, tensor, -ones, high * ones)
            tensor = self._planes.relu(name, tensor)
            tensor = self._planes.affine(name, tensor, -ones, high * ones, stays=True)
        return dataclasses.replace(held, tensor=tensor)

    def _affine(
        self, node: Node, value: str, numbers: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> _Held:
        """Add a scaling, which must be the same all over a channel."""
        held = self._values[value]
        if not np.array_equal(
            np.sort(held.places.ravel()), in_order(self._planes.shape(held.tensor)).ravel()
        ):
            self._tensor(node, value)
            held = self._values[value]
        channels = self._planes.shape(held.tensor)[0]
        per_channel: list[NDArray[np.float64]] = []
        for array in self._reader.spread(node, *numbers):
            if array.shape != held.places.shape:
                raise ops.node_error(node, "its constant has more dimensions than the sample")
            whole = np.empty(array.size)
            whole[held.places.ravel()] = array.ravel()
            whole = whole.reshape(channels, -1)
            if np.any(whole != whole[:, :1]):
                raise ops.node_error(node, "its constant differs inside a channel")
            per_channel.append(whole[:, 0].copy())
        tensor = self._planes.affine(node.module or node.name, held.tensor, *per_channel)
        return dataclasses.replace(held, tensor=tensor)

    def _scaling(self, node: Node, base: str) -> _Held:
        """Add an elementwise operator: with a constant, or the sum of two tensors."""
        first, second = list(node.args.values())[:2]
        values = [a.name for a in (first, second) if isinstance(a, Ref) and a.name in self._values]
        if len(values) < 2:
            return self._affine(node, values[0], ops.scaling(node, base, self._reader.number))
        if base not in ("add", "sub"):
            raise ops.node_error(node, "only additions of two tensors")
        one, other = (self._values[value] for value in values)
        if one.places.shape != other.places.shape:
            raise ops.node_error(
                node,
                f"it adds samples of different shapes, {one.places.shape} and {other.places.shape}",
            )
        left, right, result = one.tensor, other.tensor, one
        if not np.array_equal(one.places, other.places) or self.shape(left) != self.shape(right):
            (left, _), (right, _) = (self._tensor(node, value) for value in values)
            result = self._values[values[0]]
        shape = self.shape(left)
        name, ones = node.module or node.name, np.ones(shape[0])
        factor = float(node.args.get("alpha", 1)) * (1 if base == "add" else -1)
        if left == right:
            tensor = self._planes.affine(name, left, ones * (1 + factor), 0 * ones)
        else:
            if factor != 1:
                right = self._planes.affine(name, right, ones * factor, 0 * ones)
            tensor = self._planes.add(FloatAdd(name, (left, right), relu=False), shape)
        return dataclasses.replace(result, tensor=tensor)

    def _convolution(self, node: Node, value: str) -> _Held:
        weight = node.args.get("weight")
        owner = self._reader.owner(weight.name if isinstance(weight, Ref) else "", node)
        held = self._values[value]
        shape = _planes(held.places.shape)
        sides = shape and padded_sides(held.places.reshape(shape), self.shape(held.tensor))
        conv = None
        if shape and sides:
            plain = cnn_ops.convolution(node, owner, held.tensor, shape, self._reader.number)
            conv = pad_conv(plain, sides) if any(sides) else plain
        if conv is None:
            tensor, shape = self._tensor(node, value)
            conv = cnn_ops.convolution(node, owner, tensor, shape, self._reader.number)
        size = conv.places(self.shape(conv.inputs[0])[1:])
        return self._made(node, self._planes.add(conv, (len(conv.weight), *size)))

    def _pool(self, node: Node, name: str, value: str) -> _Held:
        held = self._values[value]
        shape = _planes(held.places.shape)
        sides = shape and padded_sides(held.places.reshape(shape), self.shape(held.tensor))
        if shape and sides and any(sides):
            plain = cnn_ops.pool(node, name, held.tensor, shape)
            clipped = self._planes.never_negative(held.tensor)
            pool = pad_pool(plain, shape[1:], sides, never_negative=clipped)
            if pool is not None:
                return self._made(node, self._planes.add(pool, (shape[0], *pool.out_size)))
        tensor, shape = self._tensor(node, value)
        pool = cnn_ops.pool(node, name, tensor, shape)
        return self._made(node, self._planes.add(pool, (shape[0], *pool.out_size)))

    def _adaptive(self, node: Node, base: str, name: str, value: str) -> _Held:
        """Add a pooling to a given size."""
        tensor, shape = self._tensor(node, value)
        kind = cnn_ops.ADAPTIVE[base]
        size, windows = cnn_ops.adaptive(node, shape[1:])
        down, across = (cnn_ops.even_windows(some) for some in windows)
        if size == shape[1:]:
            return self._values[value]
        if down and across:
            kernel, stride = (down[0], across[0]), (down[1], across[1])
            pool = _pooling(name, tensor, kind, kernel, stride, size)
            return self._made(node, self._planes.add(pool, (shape[0], *size)))
        rows, columns = windows
        if all(one.stop - one.start == 1 for one in (*rows, *columns)):
            y, x = (np.array([one.start for one in some]) for some in windows)
            places = in_order(shape)[:, y[:, None], x]
            return _Held(
                tensor, places.reshape(self._reader.sample_shape(node.outputs[0], node)), node
            )
        if kind == "max":
            raise ops.node_error(
                node,
                f"its windows of a plane of {shape[1:]} differ in size or distance for outputs of "
                f"{size}, and a pass of the array has windows of one kind; use an output that "
                "divides the plane",
            )
        weight = np.zeros((*size, *shape[1:]))
        for (p, across_rows), (q, across_columns) in (
            (a, b) for a in enumerate(rows) for b in enumerate(columns)
        ):
            part = weight[p, q, across_rows, across_columns]
            part[...] = 1.0 / part.size
        taps = np.tile(weight.reshape(-1, 1, *shape[1:]), (shape[0], 1, 1, 1))
        made = self._spread(name, tensor, taps)
        return _Held(made, in_order(self._reader.sample_shape(node.outputs[0], node)), node)

    def _reduction(self, node: Node, base: str, name: str, value: str) -> _Held:
        """Add a mean, sum or maximum over rows, columns or both."""
        held = self._values[value]
        dims, keep = ops.reduced_dims(node, held.places.ndim)
        found = windows_of(held.places, dims, self.shape(held.tensor))
        if found is None:
            self._tensor(node, value)
            held = self._values[value]
            found = windows_of(held.places, dims, self.shape(held.tensor))
        if found is None:
            raise ops.node_error(
                node,
                f"it is over dimensions {sorted(dim + 1 for dim in dims)} of samples of shape "
                f"{held.places.shape}; only over rows, columns or both, each channel by itself",
            )
        kernel, stride, size, places = found
        for dim in sorted(dims) if keep else ():
            places = np.expand_dims(places, dim)
        divisor = 1 if base == "sum" else None
        pool = _pooling(name, held.tensor, ops.REDUCTIONS[base], kernel, stride, size, divisor)
        tensor = self._planes.add(pool, (self.shape(held.tensor)[0], *size))
        return _Held(tensor, places, node)

    def _concat(self, node: Node, name: str) -> _Held:
        tensors = node.args["tensors"]
        dim = int(node.args.get("dim", 0)) % (
            1 + len(self._reader.sample_shape(node.outputs[0], node))
        )
        if not dim:
            raise ops.node_error(node, "the first dimension must stay the batch")
        parts: list[_Held | Places] = []
        for one in tensors:
            constant = self._reader.number(one)
            if isinstance(one, Ref) and one.name in self._values:
                parts.append(self._values[one.name])
            elif isinstance(constant, np.ndarray) and not constant.any():
                parts.append(np.full(constant.shape[1:], ZERO))
            else:
                raise ops.node_error(node, "only of tensors that depend on the input, or of zeros")
        helds = [one for one in parts if isinstance(one, _Held)]
        sources = list(dict.fromkeys(one.tensor for one in helds))
        if len(sources) == 1:
            places = [one.places if isinstance(one, _Held) else one for one in parts]
            return _Held(sources[0], np.concatenate(places, axis=dim - 1), node)
        if len(helds) < len(parts):
            raise ops.node_error(node, "of zeros, only with parts of one tensor")
        whole = all(
            np.array_equal(np.sort(one.places.ravel()), in_order(self.shape(one.tensor)).ravel())
            for one in helds
        )
        planes = {self.shape(one.tensor)[1:] for one in helds}
        if not (whole and len(planes) == 1 and len(sources) == len(helds)):
            values = [one.name for one in tensors if isinstance(one, Ref)]
            made = [self._tensor(node, value) for value in values]
            if dim != 1 or len({shape[1:] for _, shape in made}) > 1:
                raise ops.node_error(
                    node, f"it is along dimension {dim}; only along the channels, 1"
                )
            helds = [self._values[value] for value in values]
        sizes = [0, *np.cumsum([one.places.size for one in helds])]
        places = [one.places + start for one, start in zip(helds, sizes, strict=False)]
        channels = sum(self.shape(one.tensor)[0] for one in helds)
        plane = self.shape(helds[0].tensor)[1:]
        tensor = self._planes.add(
            FloatConcat(name, tuple(one.tensor for one in helds)), (channels, *plane)
        )
        return _Held(tensor, np.concatenate(places, axis=dim - 1), node)

    def _copied(self, held: _Held) -> _Held:
        """Make a tensor of elements of another one some of which are there several times."""
        weight = copies(self.shape(held.tensor), held.places)
        if weight is None:
            return held
        node = held.mover
        name = (node.module or node.name) if node else held.tensor
        return _Held(self._spread(name, held.tensor, weight), in_order(held.places.shape), node)

    def _spread(self, name: str, tensor: str, weight: NDArray[np.float64]) -> str:
        """Add a convolution of whole planes, and note of what its outputs are made."""
        made = self._planes.spread(name, tensor, weight)
        self._made_of[made] = tensor, weight
        return made

    def _made(self, node: Node, tensor: str) -> _Held:
        """Hold a whole tensor in the shape that the graph says."""
        shape = self._reader.sample_shape(node.outputs[0], node)
        own = self.shape(tensor)
        if _planes(shape) != own or min(own) < 1:
            raise ops.node_error(
                node,
                f"it makes samples of shape {shape} out of {own}; the first dimension must stay "
                "the batch",
            )
        return _Held(tensor, in_order(shape), node)

    def _check_result(self, node: Node, made: _Held) -> None:
        """Refuse results that are not what the graph says, or no numbers."""
        value = self._reader.graph.values[node.outputs[0]]
        shape = self._reader.sample_shape(node.outputs[0], node)
        if shape != made.places.shape:
            raise ops.node_error(
                node,
                f"it makes samples of shape {shape} out of {made.places.shape}; the first "
                "dimension must stay the batch",
            )
        if not value.floating:
            raise ops.node_error(node, "its result is not a floating-point tensor")

    def _remember(self, node: Node, base: str, source: str, output: str, held: _Held) -> None:
        """Note what the result ``output`` of ``node`` is, and who shares its memory."""
        self._count += 1
        inplace = ops.is_inplace(node.op)
        shares = inplace or base in ops.VIEWS
        self._memory[output] = self._memory[source] if shares else self._count
        may_share = shares or base in _MAYBE_VIEWS
        self._region[output] = self._region[source] if may_share else self._count
        before = self._values[source]
        self._values[output] = held
        if inplace and held.tensor != before.tensor:
            for name in [n for n in self._values if self._region[n] == self._region[source]]:
                one = self._values[name]
                if name == output:
                    continue
                if self._memory[name] == self._memory[source] and one.tensor == before.tensor:
                    self._values[name] = dataclasses.replace(one, tensor=held.tensor)
                else:
                    del self._values[name]

    def _first(self, node: Node) -> str:
        """Return the name of the first value that a node reads and that depends on the input."""
        refs = node.refs()
        values = [name for name in refs if name in self._values]
        if ops.is_inplace(node.op) and refs[0] != values[0]:
            raise ops.node_error(node, "it changes a parameter in place")
        return values[0]


def _pooling(
    name: str,
    source: str,
    kind: str,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    divisor: int | None = None,
) -> FloatPool:
    """Return a pooling whose windows begin in the corner and end inside the plane."""
    return FloatPool(
        name=name,
        inputs=(source,),
        kind="max" if kind == "max" else "avg",
        kernel=kernel,
        stride=stride,
        padding=(0, 0),
        out_size=size,
        divisor=divisor,
    )


def _planes(shape: tuple[int, ...]) -> Shape | None:
    """Return the planes that samples of ``shape`` are: lines are planes of one row."""
    if not 1 <= len(shape) <= 3 or min(shape) < 1:
        return None
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return (shape[0], 1, shape[1]) if len(shape) == 2 else (shape[0], 1, 1)
