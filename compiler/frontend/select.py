"""Write values whose elements were moved as convolutions with one weight, a 1, a channel."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.moves import ZERO, Places, in_order
from zeroskip.compiler.ir.graph import FloatConv

__all__ = ["copies", "selections"]

Shape = tuple[int, int, int]


def selections(name: str, source: str, shape: Shape, places: Places) -> list[FloatConv] | None:
    """Return convolutions, one after the other, that move elements of planes.

    They can pad planes with zeros, cut them, take every n-th row or column, put channels into
    another order, with an offset of its own for each, and make planes of vectors; all exactly, and
    zeros stay zeros.

    Parameters
    ----------
    name, source : of the last convolution's output, and of the tensor of ``shape`` (C, H, W).
    places : (channels, rows, columns) of the output.

    Returns
    -------
    One, or two where something is cut away and zeros are put in its place; None if that is not
    all that is done.
    """
    if (one := _selection(name, source, shape, places)) is not None:
        return [one]
    if shape[1:] == (1, 1):
        return [_unfolded(name, source, shape[0], places)]
    where = np.argwhere((places != ZERO).any(axis=0))
    if not len(where):
        return None
    (top, left), (bottom, right) = where.min(axis=0), where.max(axis=0) + 1
    inner = places[:, top:bottom, left:right]
    sides = (top, places.shape[1] - bottom), (left, places.shape[2] - right)
    cut = _selection(f"{name}.cut", source, shape, inner)
    again = np.pad(
        in_order(inner.shape), [(0, 0), *((int(a), int(b)) for a, b in sides)],
        constant_values=ZERO,
    )  # fmt: skip
    middle = inner.shape[0], inner.shape[1], inner.shape[2]
    pad = _selection(name, f"{name}.cut", middle, again)
    return None if cut is None or pad is None else [cut, pad]


def copies(shape: Shape, places: Places) -> NDArray[np.float64] | None:
    """Return the weights (K, 1, H, W) that make an output channel of each element of ``places``.

    Parameters
    ----------
    shape : (C, H, W) of the tensor that is read, each channel by itself.
    places : of any shape.

    Returns
    -------
    None unless, in order, each channel is copied equally often.
    """
    channels, plane = shape[0], shape[1] * shape[2]
    flat = places.ravel()
    if flat.size % channels or (flat == ZERO).any():
        return None
    if not np.array_equal(flat // plane, np.arange(flat.size) // (flat.size // channels)):
        return None
    weight = np.zeros((flat.size, plane))
    weight[np.arange(flat.size), flat % plane] = 1.0
    return weight.reshape(flat.size, 1, *shape[1:])


def _plain(name: str, source: str, weight: NDArray[np.float64], groups: int) -> FloatConv:
    return FloatConv(
        name=name,
        inputs=(source,),
        weight=weight,
        bias=np.zeros(len(weight)),
        stride=(1, 1),
        padding=(0, 0),
        groups=groups,
        relu=False,
    )


def _selection(name: str, source: str, shape: Shape, places: Places) -> FloatConv | None:
    """Return the convolution that makes ``places``, if one can."""
    channels, height, width = shape
    found = [_origin(channel, shape) for channel in places]
    origins = [one for one in found if one is not None]
    if not origins:
        return None
    down, across = (max(one[axis] for one in origins) for axis in (3, 4))
    # What has one row only says nothing of the stride.
    starts = [
        (one[0], one[1] - one[5] * down, one[2] - one[6] * across) if one else None for one in found
    ]
    rows, columns = (np.arange(size) for size in places.shape[1:])
    for start, channel in zip(starts, places, strict=True):
        made = np.full(channel.shape, ZERO)
        if start is not None:
            c, dy, dx = start
            y, x = (rows * down + dy)[:, None], (columns * across + dx)[None]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            made = np.where(inside, (c * height + y) * width + x, ZERO)
        if not np.array_equal(made, channel):
            return None
    (top, bottom), (left, right) = (
        (max(0, -min(offsets)), max(offsets))
        for offsets in ([one[axis] for one in starts if one] for axis in (1, 2))
    )
    kernel = bottom + top + 1, right + left + 1
    apart = len(places) == channels and all(
        start is None or start[0] == number for number, start in enumerate(starts)
    )
    weight = np.zeros((len(places), 1 if apart else channels, *kernel))
    for number, start in enumerate(starts):
        if start is not None:
            c, dy, dx = start
            weight[number, 0 if apart else c, dy + top, dx + left] = 1.0
    after = (
        (len(rows) - 1) * down + kernel[0] - height - top,
        (len(columns) - 1) * across + kernel[1] - width - left,
    )
    plain = _plain(name, source, weight, groups=channels if apart else 1)
    return replace(plain, stride=(down, across), padding=(top, left), after=after)


def _unfolded(name: str, source: str, channels: int, places: Places) -> FloatConv:
    """Return the convolution that makes ``places`` of a vector.

    The vector's one place moves over the whole kernel if there are enough zeros around it, and so
    each output element has a weight of its own for each of ``channels``.
    """
    depth, rows, columns = places.shape
    k, y, x = np.nonzero(places != ZERO)
    chosen, fan = places[k, y, x], channels // depth
    # Often each plane is made of channels of its own.
    apart = fan * depth == channels and np.array_equal(chosen // fan, k)
    weight = np.zeros((depth, fan if apart else channels, rows, columns))
    weight[k, chosen - k * fan if apart else chosen, rows - 1 - y, columns - 1 - x] = 1.0
    plain = _plain(name, source, weight, groups=depth if apart else 1)
    return replace(plain, padding=(rows - 1, columns - 1))


def _origin(channel: Places, shape: Shape) -> tuple[int, int, int, int, int, int, int] | None:
    """Return where an output channel's first element comes from, with which strides, and its place.

    Returns
    -------
    Channel, row, column, (down, across), row and column in the output; None if it is all zeros.
    """
    where = np.argwhere(channel != ZERO)
    if not len(where):
        return None
    first, last = where[0], where[-1]
    c, y, x = (int(n) for n in np.unravel_index(channel[tuple(first)], shape))
    _, y1, x1 = (int(n) for n in np.unravel_index(channel[tuple(last)], shape))
    rows, columns = (int(n) for n in last - first)
    down = max(1, (y1 - y) // rows) if rows > 0 else 1
    across = max(1, (x1 - x) // columns) if columns > 0 else 1
    return c, y, x, down, across, int(first[0]), int(first[1])
