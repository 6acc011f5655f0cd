"""Lay a region of a convolution on a block of PEs: taps, halos, accumulators."""

from dataclasses import dataclass, replace
from functools import lru_cache

from zeroskip.compiler.ir.graph import QuantConv

__all__ = [
    "Region",
    "Tap",
    "axis_needs",
    "cut",
    "cut_axis",
    "kernel_pieces",
    "phase_taps",
    "reach",
    "sample_regions",
    "spilled",
    "whole_plane",
]


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a layer's output plane, and the part of the input plane that it is made from.

    Parameters
    ----------
    y0, x0, height, width : outputs.
    in_y0, in_x0, in_height, in_width : inputs that exist; a height or width of 0 is possible
        where a window holds padding only.
    padding : (down, across) of the region as a convolution of its own.
    """

    y0: int
    x0: int
    height: int
    width: int
    in_y0: int
    in_x0: int
    in_height: int
    in_width: int
    padding: tuple[int, int]


@dataclass(frozen=True)
class Tap:
    """A kernel position (r, s); element (v, u) of its phase reaches output (v + dy, u + dx)."""

    r: int
    s: int
    dy: int
    dx: int


def cut_axis(
    first: int, count: int, kernel: int, stride: int, padding: int, size: int
) -> tuple[int, int, int]:
    """Find first input, inputs, and padding before them, of ``count`` outputs from ``first`` on.

    Where there are no inputs there is nothing that padding could move, and so it is 0: it may be
    longer than the accumulators around a tile reach.
    """
    begin = first * stride - padding
    end = min(size, begin + (count - 1) * stride + kernel)
    start = min(max(begin, 0), size)
    return (start, end - start, start - begin) if start < end else (start, 0, 0)


def cut(conv: QuantConv, y0: int, x0: int, height: int, width: int) -> Region:
    """Find the inputs of a region of outputs."""
    (in_y0, in_height, top), (in_x0, in_width, left) = (
        cut_axis(
            first,
            count,
            conv.weight.shape[2 + axis],
            conv.stride[axis],
            conv.padding[axis],
            conv.in_shape[1 + axis],
        )
        for axis, first, count in ((0, y0, height), (1, x0, width))
    )
    return Region(
        y0=y0,
        x0=x0,
        height=height,
        width=width,
        in_y0=in_y0,
        in_x0=in_x0,
        in_height=in_height,
        in_width=in_width,
        padding=(top, left),
    )


def whole_plane(conv: QuantConv) -> Region:
    """Return the region that is all outputs of a layer."""
    return cut(conv, 0, 0, *conv.out_shape[1:])


def kernel_pieces(
    conv: QuantConv, step: tuple[int, int]
) -> tuple[tuple[tuple[slice, slice], QuantConv], ...]:
    """Cut a kernel into parts of at most ``step`` rows and columns, whose sums are the layer.

    Returns
    -------
    For each part its rows and columns, and a layer that has only them; its padding may be negative.
    """
    rows, columns = conv.weight.shape[2:]
    found: list[tuple[tuple[slice, slice], QuantConv]] = []
    for r in range(0, rows, step[0]):
        for s in range(0, columns, step[1]):
            part = slice(r, min(r + step[0], rows)), slice(s, min(s + step[1], columns))
            weight = conv.weight[:, :, part[0], part[1]]
            padding = conv.padding[0] - r, conv.padding[1] - s
            found.append((part, replace(conv, weight=weight, padding=padding)))
    return tuple(found)


def sample_regions(conv: QuantConv, region_h: int, region_w: int) -> list[Region]:
    """Give a region of every kind: at the edges, where padding reaches in, and elsewhere."""
    _, rows, columns = conv.out_shape
    return [
        cut(conv, y, x, min(region_h, rows - y), min(region_w, columns - x))
        for y in _sample_starts(rows, region_h, conv.stride[0], conv.padding[0])
        for x in _sample_starts(columns, region_w, conv.stride[1], conv.padding[1])
    ]


def _sample_starts(outputs: int, step: int, stride: int, padding: int) -> list[int]:
    """List where regions of every kind begin in one direction."""
    every = range(0, outputs, step)
    padded = every[: max(0, -(-padding // (stride * step)))]
    return sorted({0, *padded, *every[len(padded) :][:1], *every[-2:]})


def phase_taps(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[tuple[Tap, ...], ...]:
    """Sort the kernel's positions by the phase that they work on (``docs/scnn.md``).

    Returns
    -------
    For each phase, row-major, its taps in ascending (r, s); a phase may have none.
    """
    (sy, sx), (top, left) = stride, padding
    phases: list[list[Tap]] = [[] for _ in range(sy * sx)]
    for r in range(kernel[0]):
        for s in range(kernel[1]):
            a, b = (r - top) % sy, (s - left) % sx
            tap = Tap(r, s, (a + top - r) // sy, (b + left - s) // sx)
            phases[a * sx + b].append(tap)
    return tuple(tuple(taps) for taps in phases)


def reach(kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """Count the outputs before, and after, a PE's tile that its inputs reach, in one direction."""
    offsets = [((r - padding) % stride + padding - r) // stride for r in range(kernel)]
    return max(0, -min(offsets)), max(0, *offsets)


def spilled(inputs: int, tile: int, pes: int) -> int:
    """Count what the last PE of a block holds besides its tile, in one direction.

    A PE without neighbours has all of the plane as its tile.
    """
    return max(0, inputs - pes * tile) if pes > 1 else 0


@lru_cache(maxsize=1 << 14)
def axis_needs(
    kernel: int,
    step: int,
    *,
    stride: int,
    padding: int,
    inputs: int,
    outputs: int,
    region: int,
    pes: int,
    spills: bool = False,
) -> tuple[int, int, int, int]:
    """Find what all parts of a kernel and all regions of a plane need in one direction.

    What a layer needs down does not depend on what it needs across, so that a kernel in many
    parts is looked at by its rows and by its columns, and not by its taps.

    Parameters
    ----------
    kernel, step : taps, and the most of a part.
    stride, padding, inputs, outputs : of the layer.
    region : outputs of a region.
    pes : of a block.
    spills : the last PE of a block may hold more inputs than its outputs stand for.

    Returns
    -------
    The fewest outputs of a PE, which must hold its outputs and its inputs, and which only its next
    neighbours may reach; the outputs before and after them that its inputs reach; and the most
    inputs of a phase. A PE that has no neighbours holds what its outputs need, however many inputs
    these are: all that is no output is behind them.
    """
    least, before, after, most = 1, 0, 0, 0
    for first in range(0, kernel, step):
        taps = min(step, kernel - first)
        for start in _sample_starts(outputs, region, stride, padding - first):
            count = min(region, outputs - start)
            _, size, pad = cut_axis(start, count, taps, stride, padding - first, inputs)
            # With all outputs come all inputs, also those below that no window has.
            around = reach(taps, stride, pad)
            held = -(-(inputs if count == outputs else size) // stride)
            behind = around[1] + (held - count if pes == 1 else 0)
            kept = 0 if spills else size
            least = max(least, count if pes == 1 else _least(count, kept, stride, pes, around))
            before, after, most = max(before, around[0]), max(after, behind), max(most, held)
    return least, before, after, most


def _least(outputs: int, inputs: int, stride: int, pes: int, around: tuple[int, int]) -> int:
    return max(-(-outputs // pes), -(-inputs // (pes * stride)), *(around if pes > 1 else ()))
