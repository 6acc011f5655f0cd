"""Write values whose elements were moved as convolutions with one weight, a 1, a channel."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.moves import ZERO, Places, in_order
from zeroskip.compiler.ir.graph import FloatConv, Shape

__all__ = ["MOST_WEIGHTS", "copies", "grouped", "selections"]


MOST_WEIGHTS = 1 << 24
"""Of a kernel that makes planes of a vector, most of which are zeros."""


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
    if (moved := _selection(name, source, shape, places)) is not None:
        return [moved]
    if shape[1:] == (1, 1):
        made = _unfolded(name, source, shape[0], places)
        return None if made is None else [made]
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


def grouped(name: str, source: str, weight: NDArray[np.float64], groups: int) -> FloatConv:
    """Return a convolution of ``groups``, without bias, stride and padding."""
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


def _selection(name: str, source: str, shape: Shape, places: Places) -> FloatConv | None:
    """Return the convolution that makes ``places``, if one can."""
    channels, height, width = shape
    depth, rows, columns = places.shape
    k, p, q = np.nonzero(places != ZERO)
    if not k.size:
        return None
    c, y, x = np.unravel_index(places[k, p, q], shape)
    down, across = _stride(k, p, y), _stride(k, q, x)
    # Each output channel is one of the source with an offset of its own, as its first element says.
    kept, first = np.unique(k, return_index=True)
    c, top, left = c[first], (y - p * down)[first], (x - q * across)[first]
    y = top[:, None, None] + (np.arange(rows) * down)[:, None]
    x = left[:, None, None] + np.arange(columns) * across
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    made = np.full(places.shape, ZERO)
    made[kept] = np.where(inside, (c[:, None, None] * height + y) * width + x, ZERO)
    if not np.array_equal(made, places):
        return None
    above, before = max(0, -int(top.min())), max(0, -int(left.min()))
    kernel = int(top.max()) + above + 1, int(left.max()) + before + 1
    apart = depth == channels and np.array_equal(c, kept)
    weight = np.zeros((depth, 1 if apart else channels, *kernel))
    weight[kept, 0 if apart else c, top + above, left + before] = 1.0
    after = (
        (rows - 1) * down + kernel[0] - height - above,
        (columns - 1) * across + kernel[1] - width - before,
    )
    plain = grouped(name, source, weight, groups=channels if apart else 1)
    return replace(plain, stride=(down, across), padding=(above, before), after=after)


def _stride(channel: Places, place: Places, origin: Places) -> int:
    """Return how far apart in the source those elements are that are next to each other."""
    steps = (np.diff(channel) == 0) & (np.diff(place) > 0)
    return int((np.diff(origin)[steps] // np.diff(place)[steps]).max(initial=1))


def _unfolded(name: str, source: str, channels: int, places: Places) -> FloatConv | None:
    """Return the convolution that makes ``places`` of a vector.

    The vector's one place moves over the whole kernel if there are enough zeros around it, and so
    each output element has a weight of its own for each of ``channels``.

    Returns
    -------
    None if that would be too many weights, zeros included.
    """
    depth, rows, columns = places.shape
    k, y, x = np.nonzero(places != ZERO)
    chosen, fan = places[k, y, x], channels // depth
    # Often each plane is made of channels of its own.
    apart = fan * depth == channels and np.array_equal(chosen // fan, k)
    sizes = depth, fan if apart else channels, rows, columns
    if math.prod(sizes) > MOST_WEIGHTS:
        return None
    weight = np.zeros(sizes)
    weight[k, chosen - k * fan if apart else chosen, rows - 1 - y, columns - 1 - x] = 1.0
    plain = grouped(name, source, weight, groups=depth if apart else 1)
    return replace(plain, padding=(rows - 1, columns - 1))
