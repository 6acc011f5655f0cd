"""Shapes of what Caffe's layers make, and of the weights that they need."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.program import Node
from zeroskip.compiler.frontend.translator import Operation

__all__ = ["Shape", "axis_of", "blob_shapes", "error", "last", "made_shapes", "pair"]

Shape = tuple[int, ...]

_SAME_SHAPE = frozenset({
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN", "MVN",
    "Power", "PReLU", "ReLU", "ReLU6", "Scale", "Sigmoid", "Softmax", "Split", "TanH", "Threshold",
})  # fmt: skip
"""Layers, supported or not, whose results have the shape of what they read."""


def error(op: Operation, why: str) -> Exception:
    """Return the error that a layer is not supported, for the reason ``why``."""
    return ops.node_error(Node(op.name, op.kind, {}, op.outputs, op.layer), why)


def last(op: Operation, name: str, default: Any) -> Any:
    """Return a parameter of a Caffe layer: the last, if the prototxt gives it several times."""
    values = op.attributes.get(name)
    return values[-1] if values else default


def pair(op: Operation, name: str, default: int) -> tuple[int, int]:
    """Return a parameter that is a number for down and one for across, however it is written."""
    values = [int(value) for value in op.attributes.get(name, [])] or [default]
    short = name.removesuffix("_size")
    down, across = (
        int(last(op, f"{short}_{side}", values[n])) for n, side in ((0, "h"), (-1, "w"))
    )
    return down, across


def axis_of(op: Operation, ndim: int, other: str = "axis") -> int:
    """Return the dimension that a layer works along: the channels, unless it says another."""
    return int(last(op, "axis", last(op, other, 1))) % ndim


def made_shapes(op: Operation, read: Sequence[Shape]) -> list[Shape] | None:
    """Return the shapes of what a layer makes of tensors of shapes ``read``.

    None of a layer of a kind that is not known.

    Raises
    ------
    NodeError
        If it cannot read such tensors.
    """
    if op.kind in _SAME_SHAPE:
        return [read[0]] * len(op.outputs)
    if op.kind not in _SHAPES:
        return None
    made = _SHAPES[op.kind](op, read)
    if any(size < 1 for shape in made for size in shape):
        raise error(op, f"it makes nothing of samples of shape {read[0][1:]}")
    return made


def _window(op: Operation, read: Sequence[Shape]) -> tuple[Shape, list[int]]:
    """Return a kernel, and the room that its places have down and across."""
    if len(read[0]) != 4:
        raise error(op, f"it reads samples of shape {read[0][1:]}, not of planes")
    kernel, pad = pair(op, "kernel_size", 0), pair(op, "pad", 0)
    steps = pair(op, "dilation", 1)
    if min(*kernel, *steps, *pair(op, "stride", 1)) < 1:
        raise error(op, "its kernel or stride is 0")
    sizes = zip(read[0][2:], kernel, pad, steps, strict=True)
    return kernel, [size + 2 * p - ((k - 1) * step + 1) for size, k, p, step in sizes]


def _convolution(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    _, free = _window(op, read)
    places = [room // step + 1 for room, step in zip(free, pair(op, "stride", 1), strict=True)]
    return [(read[0][0], int(last(op, "num_output", 0)), *places)]


def _pooling(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    """Return planes of windows; Caffe has one more where a part of the plane is left over."""
    if last(op, "global_pooling", False):
        return [(*read[0][:2], 1, 1)]
    _, free = _window(op, read)
    floor = last(op, "round_mode", "CEIL") in ("FLOOR", 1)
    stride, pad = pair(op, "stride", 1), pair(op, "pad", 0)
    places: list[int] = []
    for size, room, step, p in zip(read[0][2:], free, stride, pad, strict=True):
        count = (room // step if floor else -(-room // step)) + 1
        # The last window must begin inside the plane, or the padding before it.
        places.append(count - (p > 0 and (count - 1) * step >= size + p))
    return [(*read[0][:2], *places)]


def _inner_product(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    return [(read[0][0], int(last(op, "num_output", 0)))]


def _concat(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    axis = axis_of(op, len(read[0]), "concat_dim")
    total = sum(shape[axis] for shape in read)
    return [(*read[0][:axis], total, *read[0][axis + 1 :])]


def _slice(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    axis = axis_of(op, len(read[0]), "slice_dim")
    size, count = read[0][axis], len(op.outputs)
    points = op.attributes.get("slice_point") or [n * size // count for n in range(1, count)]
    ends = [0, *map(int, points), size]
    return [(*read[0][:axis], end - start, *read[0][axis + 1 :]) for start, end in pairwise(ends)]


def _flatten(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    if (last(op, "axis", 1), last(op, "end_axis", -1)) != (1, -1):
        raise error(op, "only of whole samples")
    return [(read[0][0], math.prod(read[0][1:]))]


def _reshape(op: Operation, read: Sequence[Shape]) -> list[Shape]:
    if last(op, "axis", 0) or last(op, "num_axes", -1) != -1:
        raise error(op, "only of the whole shape, with neither axis nor num_axes")
    wanted = last(op, "shape", {}).get("dim", [])
    made = [read[0][n] if size == 0 else int(size) for n, size in enumerate(wanted)]
    if -1 in made:
        known = math.prod(size for size in made if size != -1)
        made[made.index(-1)] = math.prod(read[0]) // known
    return [tuple(made)]


_SHAPES: Mapping[str, Callable[[Operation, Sequence[Shape]], list[Shape]]] = {
    "Concat": _concat,
    "Convolution": _convolution,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "Reshape": _reshape,
    "Slice": _slice,
}


def blob_shapes(op: Operation, read: Shape) -> dict[str, Shape]:
    """Return the shapes of a layer's weights by what they are, in the order of the file."""
    outputs = int(last(op, "num_output", 0))
    bias = {"bias": (outputs,)} if last(op, "bias_term", True) else {}
    if op.kind == "Convolution":
        groups = int(last(op, "group", 1))
        return {"weight": (outputs, read[1] // groups, *pair(op, "kernel_size", 0)), **bias}
    if op.kind == "InnerProduct":
        matrix = outputs, math.prod(read[1:])
        return {"weight": matrix[::-1] if last(op, "transpose", False) else matrix, **bias}
    if op.kind == "BatchNorm":
        return {"mean": (read[1],), "variance": (read[1],), "factor": (1,)}
    if op.kind == "PReLU":
        return {"weight": (1 if last(op, "channel_shared", False) else read[1],)}
    if op.kind in ("Scale", "Bias"):
        axis, count = axis_of(op, len(read)), int(last(op, "num_axes", 1))
        part = read[axis:] if count < 0 else read[axis : axis + count]
        both = op.kind == "Scale" and last(op, "bias_term", False)
        first = "weight" if op.kind == "Scale" else "bias"
        return {first: part, **({"bias": part} if both else {})}
    return {}
