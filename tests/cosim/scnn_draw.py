"""Layers and small networks in fixed point, drawn for the SCNN array."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT, Area, QuantConv, QuantGraph
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["draw_graph", "draw_layer", "draw_planes"]

_DENSITIES = (0.0, 0.05, 0.2, 0.5, 1.0)


def draw_planes(
    rng: np.random.Generator, shape: tuple[int, int, int], samples: int, p: ScnnParams, *, low: int
) -> NDArray[np.int64]:
    """Draw inputs: sparse, dense or nothing; with empty channels, of the largest values, too."""
    x = rng.integers(max(low, p.min_act), p.max_act, (samples, *shape), endpoint=True)
    for one in x:
        one[rng.random(shape) >= rng.choice(_DENSITIES)] = 0
        if rng.random() < 0.3:
            one[rng.random(shape[0]) < 0.5] = 0
        if rng.random() < 0.2:
            one[one != 0] = p.max_act
    return x


def draw_layer(
    rng: np.random.Generator,
    name: str,
    inputs: Sequence[tuple[str, tuple[int, int, int]]],
    p: ScnnParams,
    *,
    kind: str | None = None,
    most_channels: int = 9,
    signed_input: bool = True,
) -> QuantConv:
    """Draw a layer that reads ``inputs``, names and shapes of tensors of one plane size.

    Parameters
    ----------
    kind : ``conv``, ``depthwise``, ``groups``, ``max``, ``avg``, ``add``, or ``windows``, a maximum
        of windows side by side that cover the plane; drawn unless given.
    most_channels : that the output has.
    signed_input : an input may have negative values.
    """
    shapes = [shape for _, shape in inputs]
    channels, (height, width) = sum(shape[0] for shape in shapes), shapes[0][1:]
    kind = kind or str(rng.choice(["conv"] * 5 + ["depthwise", "groups", "max", "avg"]))
    if kind == "add":
        return _add(rng, name, inputs, p, signed_input=signed_input)
    stride: tuple[int, int] = tuple(int(v) for v in rng.integers(1, 4, 2))  # type: ignore[assignment]
    if rng.random() < 0.5:
        stride = (1, 1)
    pooling = kind in ("max", "avg", "windows")
    if kind == "windows":
        kind, kernel, padding = "max", _dividing(rng, (height, width)), (0, 0)
        stride, out = kernel, (height // kernel[0], width // kernel[1])
    else:
        kernel, padding, out = _window(rng, (height, width), stride, pooling=pooling)
    depth, groups = _channels(rng, kind, channels, most_channels)
    shape = (depth, channels // groups, *kernel)
    common: dict[str, Any] = {
        "name": name,
        "kind": kind if pooling else "conv",
        "inputs": tuple(one for one, _ in inputs),
        "in_shape": (channels, height, width),
        "out_shape": (depth, *out),
        "stride": stride,
        "padding": padding,
        "groups": groups,
        "signed_input": signed_input,
    }
    if kind == "max":
        return QuantConv(
            weight=np.ones(shape, np.int64),
            codebook=np.array([0, 1]),
            bias=np.zeros(depth, np.int64),
            relu=bool(rng.random() < 0.3),
            op="max",
            in_frac=4,
            weight_frac=0,
            out_frac=4,
            **common,
        )
    weight, codebook = _weights(rng, shape, p, same=kind == "avg")
    areas: tuple[Area, ...] = ()
    if kind == "avg" and rng.random() < 0.4:
        areas = _areas(rng, out, p)
    # Mostly such that outputs are neither 0 nor saturated, where a wrong weight is not seen.
    shift = int(rng.choice([1, p.weight_bits - 1, p.weight_bits, p.weight_bits + 2]))
    return QuantConv(
        weight=weight,
        codebook=codebook,
        bias=_bias(rng, depth, min(p.acc_bits, p.act_bits + shift)),
        relu=bool(rng.random() < 0.6),
        op="add",
        in_frac=4,
        weight_frac=shift,
        out_frac=4,
        areas=areas,
        **common,
    )


def draw_graph(
    rng: np.random.Generator,
    p: ScnnParams,
    layers: int,
    size: int = 12,
    channels: int = 6,
    *,
    windows: bool = False,
) -> QuantGraph:
    """Draw a network: every layer reads one tensor, or several of the same plane, made before.

    With ``windows``, most convolutions whose planes can be cut into windows have a maximum of these
    behind them.
    """
    shape = (int(rng.integers(1, channels + 1)), *(int(v) for v in rng.integers(1, size + 1, 2)))
    known: dict[str, tuple[int, int, int]] = {INPUT: shape}  # type: ignore[dict-item]
    made: list[QuantConv] = []
    clipped: set[str] = set()
    for number in range(layers):
        last = list(known)[-1]
        plane = known[last][1:]
        fitting = [one for one, other in known.items() if other[1:] == plane]
        reads = [last]
        if len(fitting) > 1 and rng.random() < 0.4:
            reads = [str(one) for one in rng.choice(fitting, 2, replace=False)]
        if rng.random() < 0.15:  # as x + x, and cat(x, y, x), do
            reads.append(str(rng.choice(reads)))
        inputs = [(one, known[one]) for one in reads]
        twins = len(reads) > 1 and len({shape for _, shape in inputs}) == 1
        kind = "add" if twins and rng.random() < 0.6 else None
        even = any(size % 2 == 0 for size in plane)
        if windows and even and made and made[-1].op == "add" and rng.random() < 0.9:
            inputs, reads, kind = [(last, known[last])], [last], "windows"
        signed = any(one not in clipped for one in reads)
        layer = draw_layer(rng, f"layer{number}", inputs, p, kind=kind, signed_input=signed)
        if layer.relu:
            clipped.add(layer.name)
        made.append(layer)
        known[layer.name] = layer.out_shape
    return QuantGraph(input_shape=known[INPUT], layers=tuple(made), outputs=(made[-1].name,))


def _dividing(rng: np.random.Generator, plane: tuple[int, int]) -> tuple[int, int]:
    """Draw rows and columns of windows that divide a plane's, mostly two of each."""
    rows, columns = (
        int(rng.choice([n for n in (1, 2, 2, 2, 2, 3, 4) if size % n == 0])) for size in plane
    )
    return rows, columns


def _window(
    rng: np.random.Generator, plane: tuple[int, int], stride: tuple[int, int], *, pooling: bool
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Draw kernel and padding, and say how large the output is."""
    found: list[tuple[int, int, int]] = []
    for size, step in zip(plane, stride, strict=True):
        kernel = int(rng.integers(1, 4 if pooling else 6))
        padding = int(rng.integers(0, kernel // 2 + 1 if pooling else kernel))
        if not pooling and rng.random() < 0.1:
            padding = kernel + int(rng.integers(0, 3))  # outputs that no input reaches
        while size + 2 * padding < kernel:
            kernel -= 1
            padding = min(padding, kernel // 2)
        span = size + 2 * padding - kernel
        out = span // step + 1
        # As with ceil_mode: a window more, if it begins inside the plane or its padding above.
        if pooling and span % step and out * step < size + padding and rng.random() < 0.5:
            out += 1
        found.append((kernel, padding, out))
    (r, pt, rows), (s, pl, columns) = found
    return (r, s), (pt, pl), (rows, columns)


def _channels(rng: np.random.Generator, kind: str, channels: int, most: int) -> tuple[int, int]:
    """Draw output channels and groups."""
    if kind in ("max", "avg"):
        return channels, channels
    if kind == "depthwise":
        return channels * int(rng.integers(1, 3)), channels
    if kind == "groups":
        groups = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
        return groups * int(rng.integers(1, 4)), groups
    return int(rng.integers(1, most + 1)), 1


def _weights(
    rng: np.random.Generator, shape: tuple[int, ...], p: ScnnParams, *, same: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Draw weights: from a codebook or plain values; some output and input channels empty."""
    top = 1 << p.weight_bits - 1
    if same:
        value = int(rng.integers(1, top))
        return np.full(shape, value), np.array([0, value])
    book = None
    if rng.random() < 0.6:
        book = rng.integers(-top, top, int(rng.integers(1, p.num_codes + 1)))
        book = np.unique(book[book != 0])
        rng.shuffle(book)
        book = np.concatenate([[0], book])
        weight = book[rng.integers(min(1, len(book) - 1), len(book), shape)]
    else:
        top = min(top, 1 << p.field_bits - 1)
        weight = rng.integers(-top, top, shape)
    weight[rng.random(shape) >= rng.choice(_DENSITIES)] = 0
    if rng.random() < 0.3:
        weight[rng.random(shape[0]) < 0.5] = 0
    if rng.random() < 0.3:
        weight[:, rng.random(shape[1]) < 0.5] = 0
    return weight, book


def _areas(rng: np.random.Generator, out: tuple[int, int], p: ScnnParams) -> tuple[Area, ...]:
    """Cut a plane at a row and a column, and draw a weight for each part."""
    top = 1 << p.weight_bits - 1
    cuts = [sorted({0, int(rng.integers(0, size)), size}) for size in out]
    return tuple(
        Area(
            y0=y0,
            x0=x0,
            height=y1 - y0,
            width=x1 - x0,
            weight=int(rng.integers(1, top)) * int(rng.choice([-1, 1])),
        )
        for y0, y1 in pairwise(cuts[0])
        for x0, x1 in pairwise(cuts[1])
    )


def _add(
    rng: np.random.Generator,
    name: str,
    inputs: Sequence[tuple[str, tuple[int, int, int]]],
    p: ScnnParams,
    *,
    signed_input: bool,
) -> QuantConv:
    """Add tensors of the same shape, as a residual block does: 1 x 1, weights that stand for 1."""
    shape = inputs[0][1]
    frac = int(rng.integers(0, min(8, p.weight_bits - 2) + 1))
    one = np.eye(shape[0], dtype=np.int64)[:, :, None, None] << frac
    return QuantConv(
        name=name,
        kind="add",
        inputs=tuple(one for one, _ in inputs),
        in_shape=(shape[0] * len(inputs), *shape[1:]),
        out_shape=shape,
        weight=np.concatenate([one] * len(inputs), axis=1),
        codebook=np.array([0, 1 << frac]),
        bias=np.zeros(shape[0], np.int64),
        stride=(1, 1),
        padding=(0, 0),
        groups=1,
        relu=bool(rng.random() < 0.5),
        op="add",
        signed_input=signed_input,
        in_frac=4,
        weight_frac=frac,
        out_frac=4,
    )


def _bias(rng: np.random.Generator, depth: int, bits: int) -> NDArray[np.int64]:
    if rng.random() < 0.2:
        return np.zeros(depth, np.int64)
    top = 1 << bits - 2
    return rng.integers(-top, top, depth)
