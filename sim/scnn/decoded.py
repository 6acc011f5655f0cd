"""Put decoded parts of a layer together, and see that they are all of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import QuantConv, QuantGraph

__all__ = ["DecodedConv", "Part", "as_decoded", "assemble", "reachable", "source_channels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some output channels of a region of the plane, as passes compute them.

    Parameters
    ----------
    channels : output channels of the layer.
    first, size : of the region: row and column, rows and columns.
    weight : (len(channels), C, R, S) int64, of all input channels; taps that reach no input of
        the region may be 0.
    bias : (len(channels),) int64, without the half step for rounding.
    shift, relu, maximum, keep_zeros : as in the descriptor.
    """

    channels: range
    first: tuple[int, int]
    size: tuple[int, int]
    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: int
    relu: bool
    maximum: bool
    keep_zeros: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedConv:
    """A layer as the hardware will compute it.

    Parameters
    ----------
    weight : (areas, K, C, R, S) int64, of all input channels whatever the groups; taps that reach
        no input anywhere are 0. A layer without areas has one, of all outputs. Of channels that
        are the same activations, the first has the sum of all their weights, the others 0: the
        hardware cannot tell them apart.
    bias : (K,) int64, without the half step for rounding.
    shift, relu, maximum, keep_zeros : as in the descriptors.
    """

    weight: NDArray[np.int64]
    bias: NDArray[np.int64]
    shift: int
    relu: bool
    maximum: bool
    keep_zeros: bool


def source_channels(conv: QuantConv, graph: QuantGraph) -> NDArray[np.int64]:
    """Give each input channel the number of the first that is the same activations: (C,).

    They are numbered from 0 up where no tensor is read twice.
    """
    firsts: dict[str, int] = {}
    found: list[NDArray[np.int64]] = []
    base = 0
    for name in conv.inputs:
        channels = graph.shape(name)[0]
        found.append(firsts.setdefault(name, base) + np.arange(channels))
        base += channels
    return np.concatenate(found)


def reachable(
    conv: QuantConv, first: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Say which taps (R, S) reach an input from outputs of a region; all outputs unless given."""
    sides: list[NDArray[np.bool_]] = []
    for axis in range(2):
        count = conv.out_shape[1 + axis] if size is None else size[axis]
        positions = (first[axis] + np.arange(count))[:, None] * conv.stride[axis] - conv.padding[
            axis
        ]
        inputs = positions + np.arange(conv.weight.shape[2 + axis])
        sides.append(((inputs >= 0) & (inputs < conv.in_shape[1 + axis])).any(axis=0))
    return np.outer(*sides)


def _areas(conv: QuantConv) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Return first row and column, rows and columns, of each area."""
    areas = tuple(((area.y0, area.x0), (area.height, area.width)) for area in conv.areas)
    return areas or (((0, 0), (conv.out_shape[1], conv.out_shape[2])),)


def _area_of(conv: QuantConv, part: Part) -> int:
    """Return in which area all outputs of a part are."""
    for number, (first, size) in enumerate(_areas(conv)):
        ends = zip(first, size, part.first, part.size, strict=True)
        if all(a <= b and b + m <= a + n for a, n, b, m in ends):
            return number
    raise ValueError(
        f"a pass of layer {conv.name!r} has outputs beyond {conv.out_shape} or an area of it"
    )


def assemble(conv: QuantConv, parts: Sequence[Part]) -> DecodedConv:
    """Put the parts of a layer together.

    Raises
    ------
    ValueError
        If parts disagree, or if an output is never computed.
    """
    kinds = {(part.shift, part.relu, part.maximum, part.keep_zeros) for part in parts}
    if len(kinds) != 1:
        raise ValueError(
            f"passes of layer {conv.name!r} must agree in shift, relu, maximum and keep_zeros, "
            f"but they have {len(kinds)} kinds"
        )
    depth, rows, columns = conv.out_shape
    made = np.zeros((depth, rows, columns), np.bool_)
    areas, kernel = len(_areas(conv)), conv.weight.shape[2:]
    weights = np.zeros((areas, depth, conv.in_shape[0], *kernel), np.int64)
    every = np.zeros((areas, depth, *kernel), bool)
    bias, biased = np.zeros(depth, np.int64), np.zeros(depth, bool)
    for part in parts:
        channels = slice(part.channels.start, part.channels.stop)
        (y, x), (height, width) = part.first, part.size
        area = _area_of(conv, part)
        if part.channels.stop > depth:
            raise ValueError(f"a pass of layer {conv.name!r} has outputs beyond {conv.out_shape}")
        weight, known = weights[area], every[area]
        made[channels, y : y + height, x : x + width] = True
        reached = np.broadcast_to(reachable(conv, part.first, part.size), known[channels].shape)
        for old, new, where in (
            (
                weight[channels],
                part.weight,
                np.broadcast_to((known[channels] & reached)[:, None], weight[channels].shape),
            ),
            (bias[channels], part.bias, biased[channels]),
        ):
            if (old[where] != new[where]).any():
                raise ValueError(f"passes of layer {conv.name!r} disagree in weights or biases")
        weight[channels] = np.where(reached[:, None], part.weight, weight[channels])
        bias[channels] = part.bias
        known[channels] |= reached
        biased[channels] = True
    if not made.all():
        k, y, x = np.argwhere(~made)[0]
        raise ValueError(
            f"output {(int(k), int(y), int(x))} of layer {conv.name!r} must be computed"
        )
    shift, relu, maximum, keep_zeros = kinds.pop()
    return DecodedConv(
        weight=weights,
        bias=bias,
        shift=shift,
        relu=relu,
        maximum=maximum,
        keep_zeros=keep_zeros,
    )


def as_decoded(conv: QuantConv, graph: QuantGraph) -> DecodedConv:
    """Return what decoding an image of ``conv``, a layer of ``graph``, must give."""
    depth, fan = conv.weight.shape[:2]
    areas = _areas(conv)
    weight = np.zeros((len(areas), depth, conv.in_shape[0], *conv.weight.shape[2:]), np.int64)
    source = source_channels(conv, graph)
    for number, place in enumerate(areas):
        own = conv.weight
        if conv.areas:
            own = np.where(own != 0, conv.areas[number].weight, 0)
        own = own * reachable(conv, *place)
        for k in range(depth):
            first = k // (depth // conv.groups) * fan
            np.add.at(weight[number, k], source[first : first + fan], own[k])
    maximum = conv.op == "max"
    return DecodedConv(
        weight=weight,
        bias=conv.bias.astype(np.int64),
        shift=conv.shift,
        relu=conv.relu,
        maximum=maximum,
        keep_zeros=maximum and conv.signed_input,
    )
