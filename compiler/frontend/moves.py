"""Operators that compute nothing: they say which element, or a zero, stands where.

What a value of the graph is made of is told by its *places*: an array of the value's own shape
with the number that each element has in a tensor of the network, or :data:`ZERO`. Views,
permutations, slices, padding and copies are then one and the same thing.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.program import Node

__all__ = [
    "COPIES",
    "MOVES",
    "ZERO",
    "Places",
    "in_order",
    "moved",
    "rearranged",
]

ZERO = -1
"""In place of a number: there is a 0."""

Places = NDArray[np.int64]
"""Of each element of a sample, its number in a tensor, or :data:`ZERO`."""

_PADS = {
    "pad": "constant",
    "constant_pad_nd": "constant",
    "reflection_pad1d": "reflect",
    "reflection_pad2d": "reflect",
    "replication_pad1d": "replicate",
    "replication_pad2d": "replicate",
}
_PAD_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}
_PARTS = {"chunk", "split", "split_with_sizes", "unbind", "tensor_split", "unsafe_chunk"} | {
    "unsafe_split", "unsafe_split_with_sizes",
}  # fmt: skip
_ORDERS = {
    "permute", "transpose", "t", "numpy_T", "mT", "mH", "swapaxes", "swapdims", "movedim",
    "moveaxis",
}  # fmt: skip
_RESHAPES = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_unsafe_view"}
_UPSAMPLES = {"upsample_nearest1d", "upsample_nearest2d"}
_SHUFFLES = {"pixel_shuffle", "pixel_unshuffle", "channel_shuffle"}
COPIES = {"flip", "roll", "repeat", "index", "index_select", *_SHUFFLES, *_PADS, *_UPSAMPLES}
"""Operators whose results never share memory with what they read."""
MOVES = {"slice", "select", "narrow", "expand", "expand_as"} | (
    _ORDERS | _RESHAPES | COPIES | _PARTS
)
"""Operators that :func:`moved` knows."""


def in_order(shape: Sequence[int]) -> Places:
    """Return the places of a value that is a whole tensor, in its order."""
    return np.arange(math.prod(shape)).reshape(shape)


def moved(
    node: Node, places: Places, shapes: Sequence[tuple[int, ...]], number: ops.Number
) -> list[Places]:
    """Return the places of each result of a node that moves elements.

    Parameters
    ----------
    node : in the graph.
    places : of the value that it reads.
    shapes : of a sample of each of its results.
    number : see :data:`.Number`.

    Raises
    ------
    CompileError
        If it pads with another number than 0, or if the first dimension does not stay the batch.
    """
    # Two samples show whether one reaches into the other; their elements have different numbers.
    count = int(places.max(initial=0)) + 1
    batch = np.stack([places, np.where(places == ZERO, ZERO, places + count)])
    results = _apply(node, batch, [(2, *shape) for shape in shapes], number)
    found: list[Places] = []
    for result, shape in zip(results, shapes, strict=True):
        if result.shape != (2, *shape) or not np.array_equal(
            result[1], np.where(result[0] == ZERO, ZERO, result[0] + count)
        ):
            raise ops.node_error(node, "the first dimension must stay the batch")
        found.append(result[0])
    return found


def rearranged(
    node: Node, array: NDArray[Any], shapes: Sequence[tuple[int, ...]], number: ops.Number
) -> list[NDArray[Any]]:
    """Return the results of a node that moves elements of a parameter; they have ``shapes``."""
    found = _apply(node, in_order(array.shape), shapes, number)
    return [np.where(places == ZERO, 0.0, array.ravel()[places]) for places in found]


def _apply(
    node: Node, array: NDArray[np.int64], shapes: Sequence[tuple[int, ...]], number: ops.Number
) -> list[NDArray[np.int64]]:
    """Do what the operator does to numbers; results have ``shapes``."""
    base, args, ndim = node.base, node.args, array.ndim
    dim = int(args["dim"]) if isinstance(args.get("dim"), int) else 0
    if base in _ORDERS:
        return [_reordered(base, array, args)]
    if base in _RESHAPES:
        size = math.prod(shapes[0])
        if array.size != size:
            raise ops.node_error(
                node,
                f"it makes {size // 2} values per sample out of {array.size // 2}; the first "
                "dimension must stay the batch",
            )
        return [array.reshape(shapes[0])]
    if base in _PADS:
        return [_pad(node, array, number)]
    if base in _PARTS:
        sizes = [1 if base == "unbind" else shape[dim % ndim] for shape in shapes]
        parts = np.split(array, np.cumsum(sizes)[:-1], axis=dim)
        return [part.squeeze(dim) for part in parts] if base == "unbind" else parts
    if base in ("slice", "narrow"):
        start, end, step = args.get("start"), args.get("end"), args.get("step", 1)
        if base == "narrow":
            end = int(args["start"]) + int(args["length"])
        index = [slice(None)] * ndim
        index[dim] = slice(_size(node, start), _size(node, end), _size(node, step))
        return [array[tuple(index)]]
    if base == "select":
        return [np.take(array, int(args["index"]), axis=dim)]
    if base == "flip":
        return [np.flip(array, tuple(int(n) for n in args["dims"]))]
    if base == "roll":
        return [np.roll(array, tuple(args["shifts"]), tuple(args.get("dims") or (0,)))]
    if base in ("expand", "expand_as"):
        return [np.broadcast_to(array, shapes[0])]
    if base == "repeat":
        return [np.tile(array, [int(n) for n in args["repeats"]])]
    if base in ("index", "index_select"):
        return [_index(node, array, number)]
    if base in _UPSAMPLES:
        return [_upsample(node, array, shapes[0])]
    return [_shuffle(node, array)]


def _reordered(base: str, array: NDArray[np.int64], args: dict[str, Any]) -> NDArray[np.int64]:
    """Put dimensions in another order."""
    if base in ("t", "numpy_T"):
        return array.T
    if base in ("mT", "mH"):
        return array.swapaxes(-1, -2)
    if base == "permute":
        return array.transpose([int(dim) for dim in args["dims"]])
    if base in ("movedim", "moveaxis"):
        return np.moveaxis(array, *list(args.values())[1:3])
    first, second = (int(dim) for dim in list(args.values())[1:3])
    return array.swapaxes(first, second)


def _size(node: Node, value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ops.node_error(node, "its limits are not numbers")
    return value


def _pad(node: Node, array: NDArray[np.int64], number: ops.Number) -> NDArray[np.int64]:
    args = node.args
    sizes = [int(n) for n in args.get("pad", args.get("padding", []))]
    mode = str(args.get("mode") or _PADS[node.base])
    pairs = list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]
    pairs = [(0, 0)] * (array.ndim - len(pairs)) + pairs
    # Negative sizes cut.
    inner = tuple(
        slice(max(0, -before), size - max(0, -after))
        for size, (before, after) in zip(array.shape, pairs, strict=True)
    )
    sides = [(max(0, before), max(0, after)) for before, after in pairs]
    if mode in _PAD_MODES:
        return np.pad(array[inner], sides, mode=_PAD_MODES[mode])
    value = args.get("value")
    if mode != "constant" or (value is not None and number(value) != 0):
        raise ops.node_error(
            node,
            f"it pads with {value}, and around a plane the arrays have zeros only; subtract it "
            "before, pad with 0, and add it again",
        )
    return np.pad(array[inner], sides, constant_values=ZERO)


def _index(node: Node, array: NDArray[np.int64], number: ops.Number) -> NDArray[np.int64]:
    """Take elements by constant numbers along one dimension."""
    if node.base == "index_select":
        chosen = {int(node.args["dim"]): number(node.args["index"])}
    else:
        chosen = {
            dim: number(index)
            for dim, index in enumerate(node.args["indices"])
            if index is not None
        }
    if len(chosen) != 1 or not isinstance(next(iter(chosen.values())), np.ndarray):
        raise ops.node_error(node, "only with constant indices along one dimension")
    ((dim, index),) = chosen.items()
    return np.take(array, index.astype(np.int64), axis=dim)


def _upsample(node: Node, array: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    scales = node.args.get("scale_factors")
    for axis, size in enumerate(shape[2:], 2):
        scale = float(scales[axis - 2]) if scales else size / array.shape[axis]
        # torch multiplies by the inverse in float32, and so is this.
        source = np.floor(np.arange(size, dtype=np.float32) * np.float32(1.0 / scale))
        array = np.take(array, np.minimum(source, array.shape[axis] - 1).astype(int), axis=axis)
    return array


def _shuffle(node: Node, array: NDArray[np.int64]) -> NDArray[np.int64]:
    if node.base == "channel_shuffle":
        groups, (batch, channels, *plane) = int(node.args["groups"]), array.shape
        return (
            array
            .reshape(batch, groups, channels // groups, *plane)
            .swapaxes(1, 2)
            .reshape(array.shape)
        )
    batch, channels, rows, columns = array.shape
    if node.base == "pixel_shuffle":
        r = int(node.args["upscale_factor"])
        apart = array.reshape(batch, channels // r**2, r, r, rows, columns)
        return apart.transpose(0, 1, 4, 2, 5, 3).reshape(batch, -1, rows * r, columns * r)
    r = int(node.args["downscale_factor"])
    apart = array.reshape(batch, channels, rows // r, r, columns // r, r)
    return apart.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, rows // r, columns // r)
