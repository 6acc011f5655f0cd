"""What operators add to a graph under construction."""

import dataclasses
from itertools import product

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend import ops, plane_ops
from zeroskip.compiler.frontend.moves import ZERO, Places, in_order
from zeroskip.compiler.frontend.program import Node, Ref
from zeroskip.compiler.frontend.values import Values, View
from zeroskip.compiler.frontend.windows import pad_conv, pad_pool, windows_of
from zeroskip.compiler.ir.graph import FloatAdd, FloatConcat, FloatPool

__all__ = ["Layers"]


class Layers(Values):
    """Values of a graph, with what each kind of operator makes of them."""

    def _product(self, node: Node, value: str) -> View:
        """Add a Linear layer."""
        number, shape = self._reader.number, self._values[value].places.shape
        weight, bias, matrix = ops.product(node, value, shape, number)
        view = self._copied(self._values[value])
        mover = view.mover.layer if view.mover else ""
        owner = self._reader.owner(matrix, node)
        made = self._draft.linear(owner, view.tensor, weight, bias, view.places.ravel(), mover)
        return View(made, in_order(self._reader.sample_shape(node.outputs[0], node)), node)

    def _clamp(self, node: Node, value: str) -> View:
        """Add a ReLU, or what has other limits: what is beyond them is cut off by two ReLUs."""
        low, high = ops.limits(node, self._reader.number)
        view = self._values[value]
        if (low or high) and (view.places == ZERO).any():
            view = self._whole(node, value)
        draft, name, tensor = self._draft, node.layer, view.tensor
        if low is not None:
            tensor = draft.affine(name, tensor, 1.0, -low) if low else tensor
            tensor = draft.relu(name, tensor)
            tensor = draft.affine(name, tensor, 1.0, low) if low else tensor
        if high is not None:
            tensor = draft.affine(name, tensor, -1.0, high)
            tensor = draft.relu(name, tensor)
            tensor = draft.affine(name, tensor, -1.0, high, stays=True)
        return dataclasses.replace(view, tensor=tensor)

    def _affine(
        self, node: Node, value: str, numbers: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> View:
        """Add a scaling: of planes it must be the same all over a channel, of a vector need not."""
        view = self._whole(node, value)
        channels, *plane = self._draft.shapes[view.tensor]
        whole = np.empty((2, view.places.size))
        for elements, array in zip(whole, self._reader.spread(node, *numbers), strict=True):
            if array.shape != view.places.shape:
                raise ops.node_error(node, "its constant has more dimensions than the sample")
            elements[view.places.ravel()] = array.ravel()
        of_channels = whole.reshape(2, channels, -1)
        same = np.array_equal(of_channels, np.broadcast_to(of_channels[..., :1], of_channels.shape))
        # A vector that is a plane, as a signal, stays one where that says the same.
        as_planes = same and plane != [1, 1]
        flat = view.tensor in self._draft.flat or (view.places.ndim == 1 and not as_planes)
        if flat:
            of_channels = whole[..., None]
        elif not same:
            raise ops.node_error(node, "its constant differs inside a channel")
        scale, shift = of_channels[..., 0].copy()
        tensor = self._draft.affine(node.layer, view.tensor, scale, shift, flat=flat)
        return dataclasses.replace(view, tensor=tensor)

    def _scaling(self, node: Node) -> View:
        """Add an elementwise operator: with a constant, or the sum of two tensors."""
        operands = list(node.args.values())[:2]
        values = [a.name for a in operands if isinstance(a, Ref) and a.name in self._values]
        if len(values) < 2:
            return self._affine(node, values[0], ops.scaling(node, self._reader.number))
        if node.base not in ("add", "sub"):
            raise ops.node_error(node, "only additions of two tensors")
        first, second = (self._values[value] for value in values)
        if first.places.shape != second.places.shape:
            raise ops.node_error(
                node,
                f"it adds samples of different shapes, {first.places.shape} and "
                f"{second.places.shape}",
            )
        left, right, result = first.tensor, second.tensor, first
        shapes = self._draft.shapes
        if not np.array_equal(first.places, second.places) or shapes[left] != shapes[right]:
            left, right = (self._tensor(node, value)[0] for value in values)
            result = self._values[values[0]]
        name = node.layer
        factor = float(node.args.get("alpha", 1)) * (1 if node.base == "add" else -1)
        if left == right:
            tensor = self._draft.affine(name, left, 1 + factor, 0.0)
        else:
            if factor != 1:
                right = self._draft.affine(name, right, factor, 0.0)
            tensor = self._draft.add(FloatAdd(name, (left, right), relu=False))
        return dataclasses.replace(result, tensor=tensor)

    def _convolution(self, node: Node, value: str) -> View:
        weight = node.args.get("weight")
        owner = self._reader.owner(weight.name if isinstance(weight, Ref) else "", node)
        shape, sides = self._padded(value)
        conv = None
        if shape and sides:
            source = self._values[value].tensor
            plain = plane_ops.convolution(node, owner, source, shape, self._reader.number)
            conv = pad_conv(plain, sides) if any(sides) else plain
        if conv is None:
            tensor, shape = self._tensor(node, value)
            conv = plane_ops.convolution(node, owner, tensor, shape, self._reader.number)
        return self._made(node, self._draft.add(conv))

    def _pool(self, node: Node, value: str) -> View:
        shape, sides = self._padded(value)
        if shape and sides and any(sides):
            source = self._values[value].tensor
            plain = plane_ops.pool(node, source, shape)
            clipped = self._draft.never_negative(source)
            pool = pad_pool(plain, shape[1:], sides, never_negative=clipped)
            if pool is not None:
                return self._made(node, self._draft.add(pool))
        tensor, shape = self._tensor(node, value)
        return self._made(node, self._draft.add(plane_ops.pool(node, tensor, shape)))

    def _adaptive(self, node: Node, value: str) -> View:
        """Add a pooling to a given size."""
        tensor, shape = self._tensor(node, value)
        kind = plane_ops.ADAPTIVE[node.base]
        size, windows = plane_ops.adaptive(node, shape[1:])
        down, across = (plane_ops.even_windows(side) for side in windows)
        if size == shape[1:]:
            return self._values[value]
        if down and across:
            kernel, stride = (down[0], across[0]), (down[1], across[1])
            pool = FloatPool(node.layer, (tensor,), kind, kernel, stride, (0, 0), size)
            return self._made(node, self._draft.add(pool))
        rows, columns = windows
        if all(window.stop - window.start == 1 for window in (*rows, *columns)):
            y, x = (np.array([window.start for window in side]) for side in windows)
            places = in_order(shape)[:, y[:, None], x]
            return View(
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
        for (p, down_rows), (q, across_columns) in product(enumerate(rows), enumerate(columns)):
            window = weight[p, q, down_rows, across_columns]
            window[...] = 1.0 / window.size
        taps = np.tile(weight.reshape(-1, 1, *shape[1:]), (shape[0], 1, 1, 1))
        made = self._draft.spread_out(node.layer, tensor, taps)
        return View(made, in_order(self._reader.sample_shape(node.outputs[0], node)), node)

    def _reduction(self, node: Node, value: str) -> View:
        """Add a mean, sum or maximum over rows, columns or both."""
        view = self._values[value]
        dims, keep = ops.reduced_dims(node, view.places.ndim)
        found = windows_of(view.places, dims, self._draft.shapes[view.tensor])
        if found is None:
            self._tensor(node, value)
            view = self._values[value]
            found = windows_of(view.places, dims, self._draft.shapes[view.tensor])
        if found is None:
            raise ops.node_error(
                node,
                f"it is over dimensions {sorted(dim + 1 for dim in dims)} of samples of shape "
                f"{view.places.shape}; only over rows, columns or both, each channel by itself",
            )
        kernel, stride, size, places = found
        for dim in sorted(dims) if keep else ():
            places = np.expand_dims(places, dim)
        kind, divisor = ops.REDUCTIONS[node.base], 1 if node.base == "sum" else None
        source = (view.tensor,)
        pool = FloatPool(node.layer, source, kind, kernel, stride, (0, 0), size, divisor=divisor)
        return View(self._draft.add(pool), places, node)

    def _concat(self, node: Node) -> View:
        tensors = node.args["tensors"]
        shape = self._reader.sample_shape(node.outputs[0], node)
        dim = int(node.args.get("dim", 0)) % (1 + len(shape))
        if not dim:
            raise ops.node_error(node, "the first dimension must stay the batch")
        parts: list[View | Places] = []
        for tensor in tensors:
            constant = self._reader.number(tensor)
            if isinstance(tensor, Ref) and tensor.name in self._values:
                parts.append(self._values[tensor.name])
            elif isinstance(constant, np.ndarray) and not constant.any():
                parts.append(np.full(constant.shape[1:], ZERO))
            else:
                raise ops.node_error(node, "only of tensors that depend on the input, or of zeros")
        views = [view for view in parts if isinstance(view, View)]
        sources = list(dict.fromkeys(view.tensor for view in views))
        if len(sources) == 1:
            places = [part.places if isinstance(part, View) else part for part in parts]
            return View(sources[0], np.concatenate(places, axis=dim - 1), node)
        if len(views) < len(parts):
            raise ops.node_error(node, "of zeros, only with parts of one tensor")
        whole = all(map(self._is_whole, views))
        planes = {self._draft.shapes[view.tensor][1:] for view in views}
        if not (whole and len(planes) == 1 and len(sources) == len(views)):
            values = [tensor.name for tensor in tensors if isinstance(tensor, Ref)]
            shapes = [self._tensor(node, value)[1] for value in values]
            if dim != 1 or len({shape[1:] for shape in shapes}) > 1:
                raise ops.node_error(
                    node, f"it is along dimension {dim}; only along the channels, 1"
                )
            views = [self._values[value] for value in values]
        sizes = [0, *np.cumsum([view.places.size for view in views])]
        places = [view.places + start for view, start in zip(views, sizes, strict=False)]
        made = self._draft.add(FloatConcat(node.layer, tuple(view.tensor for view in views)))
        return View(made, np.concatenate(places, axis=dim - 1), node)
