"""Windows on planes: reductions over dimensions, and padding that becomes part of a layer."""

from dataclasses import replace

import numpy as np

from zeroskip.compiler.frontend.moves import ZERO, Places, in_order
from zeroskip.compiler.ir.graph import FloatConv, FloatPool, Pair, Shape
from zeroskip.compiler.ir.windows import divisors

__all__ = ["pad_conv", "pad_pool", "padded_sides", "windows_of"]

Sides = tuple[int, int, int, int]
"""Zeros above, below, to the left and to the right of a plane; negative: it is cut there."""


def padded_sides(places: Places, shape: Shape) -> Sides | None:
    """Return by how much planes are padded with zeros, or cut if negative.

    Parameters
    ----------
    places : (C, rows, columns) of a value.
    shape : (C, H, W) of the tensor that it is made of.

    Returns
    -------
    (above, below, left, right), or None if the value is anything else.
    """
    if places.ndim != 3 or places.shape[0] != shape[0] or not (places != ZERO).any():
        return None
    first = np.argwhere(places[0] != ZERO)
    if not len(first):
        return None
    y, x = (int(n) for n in first[0])
    row, column = divmod(int(places[0, y, x]), shape[2])
    top, left = y - row, x - column
    bottom, right = (places.shape[1] - shape[1] - top, places.shape[2] - shape[2] - left)
    sides = [(max(0, n), max(0, m)) for n, m in ((top, bottom), (left, right))]
    whole = np.pad(in_order(shape), [(0, 0), *sides], constant_values=ZERO)
    cut = whole[:, max(0, -top) :, max(0, -left) :][:, : places.shape[1], : places.shape[2]]
    return (top, bottom, left, right) if np.array_equal(cut, places) else None


def windows_of(
    places: Places, dims: set[int], shape: Shape
) -> tuple[Pair, Pair, Pair, Places] | None:
    """Find the windows of a reduction over dimensions of a value.

    Parameters
    ----------
    places : of the value.
    dims : of ``places``, that are reduced.
    shape : (C, H, W) of the tensor that it is made of.

    Returns
    -------
    Kernel, stride and size (down, across) of a pooling from the plane's corner on, and the places
    of the value in its output, without the dimensions; None if no pooling is the same.
    """
    kept = [axis for axis in range(places.ndim) if axis not in dims]
    parts = places.transpose([*kept, *dims])
    outer = parts.shape[: len(kept)]
    parts = np.sort(parts.reshape(int(np.prod(outer)), -1), axis=1)
    if not parts.size or parts[:, 0].min() == ZERO:
        return None
    # All windows are the first one, moved.
    start = parts[:, :1]
    c, y, x = np.unravel_index(parts[0] - parts[0, 0], shape)
    height, width = int(y.max()) + 1, int(x.max()) + 1
    box = np.arange(height)[:, None] * shape[2] + np.arange(width)
    if c.any() or not np.array_equal(box.ravel(), parts[0] - parts[0, 0]):
        return None
    channel, top, left = np.unravel_index(start[:, 0], shape)
    if not np.array_equal(parts - start, np.broadcast_to(box.ravel(), parts.shape)):
        return None
    if (top + height > shape[1]).any() or (left + width > shape[2]).any():
        return None
    down, across = _steps(np.unique(top)), _steps(np.unique(left))
    if down is None or across is None:
        return None
    size = int(top.max()) // down + 1, int(left.max()) // across + 1
    made = (channel * size[0] + top // down) * size[1] + left // across
    return (height, width), (down, across), size, made.reshape(outer)


def _steps(starts: Places) -> int | None:
    """Return the distance of windows, the first of which is in the corner."""
    steps = set(np.diff(starts).tolist())
    if starts[0] or len(steps) > 1:
        return None
    return steps.pop() if steps else 1


def pad_conv(conv: FloatConv, sides: Sides) -> FloatConv | None:
    """Make zeros around, or a cut of, the plane that a convolution reads a part of it.

    Returns
    -------
    None where it would see what is cut away.
    """
    own = conv.padding, conv.padding if conv.after is None else conv.after
    given = (sides[0], sides[2]), (sides[1], sides[3])
    for pads, more in zip(own, given, strict=True):
        if any(side < 0 < pad for pad, side in zip(pads, more, strict=True)):
            return None
    before, after = (
        tuple(pad + side for pad, side in zip(pads, more, strict=True))
        for pads, more in zip(own, given, strict=True)
    )
    # Zeros in the kernel stand for rows and columns at the beginning that are cut away.
    stuffing = [(max(0, -pad), 0) for pad in before]
    return replace(
        conv,
        weight=np.pad(conv.weight, [(0, 0), (0, 0), *stuffing]),
        padding=(max(0, before[0]), max(0, before[1])),
        after=(after[0], after[1]),
    )


def pad_pool(
    pool: FloatPool, plane: Pair, sides: Sides, *, never_negative: bool
) -> FloatPool | None:
    """Make zeros around, or a cut of, the plane that a pooling reads a part of it.

    Parameters
    ----------
    pool : as it reads the padded and cut plane.
    plane : rows and columns of that.
    sides : of the tensor itself.
    never_negative : nothing in the tensor is negative, so zeros never are the only maximum.

    Returns
    -------
    None where that would be something else.
    """
    padding: list[int] = []
    for axis, (before, after) in enumerate((sides[:2], sides[2:])):
        first = np.arange(pool.out_size[axis]) * pool.stride[axis] - pool.padding[axis]
        last = first + pool.kernel[axis]
        if before < 0 or (after < 0 and last.max() > plane[axis]):
            return None
        inside = np.minimum(last, plane[axis] - max(0, after)) > np.maximum(first, before)
        if pool.kind == "max" and not inside.all():
            return None
        padding.append(pool.padding[axis] + before)
    made = replace(pool, padding=(padding[0], padding[1]))
    if pool.kind == "max":
        return made if never_negative or max(sides) <= 0 else None
    counts = np.unique(divisors(pool, plane))
    return replace(made, divisor=int(counts[0])) if counts.size == 1 else None
