"""What an SCNN layer computes, bit for bit: integers in, integers out.

The arithmetic is that of ``docs/scnn.md``: sums (or maxima) of integer products that wrap at
``acc_bits``, a shift that rounds half up, saturation, ReLU.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph

__all__ = ["LayerResult", "concatenate", "layer_results", "run_graph", "run_layer"]

_WORD_BITS = 64
_EXACT = 2.0**52
"""float64 holds every whole number below twice this, so sums that stay below it are exact, also
if the bound itself was rounded."""

_BLOCK = 1 << 23
"""Elements of unfolded windows at a time, to bound memory."""


@dataclass(frozen=True, eq=False)
class LayerResult:
    """What a layer made.

    Parameters
    ----------
    layer : which.
    output : (samples, K, P, Q) int64.
    saturated : (samples,) int64, outputs that saturation changed; a negative output that ReLU
        clips anyway is not one of them.
    """

    layer: QuantConv
    output: NDArray[np.int64]
    saturated: NDArray[np.int64]


def run_graph(
    graph: QuantGraph, inputs: NDArray[np.int64], acc_bits: int, act_bits: int
) -> dict[str, NDArray[np.int64]]:
    """Run all layers.

    Parameters
    ----------
    graph : what to compute.
    inputs : (samples, C, H, W) integers within ``act_bits``.
    acc_bits : width of an accumulator, at most 64.
    act_bits : width of an activation, signed.

    Returns
    -------
    (samples, K, P, Q) int64 of every tensor by name, the input included.

    Raises
    ------
    ValueError
        As :func:`run_layer` does.
    """
    tensors = {INPUT: np.asarray(inputs)}
    for result in layer_results(graph, inputs, acc_bits, act_bits):
        tensors[result.layer.name] = result.output
    return tensors


def layer_results(
    graph: QuantGraph, inputs: NDArray[np.int64], acc_bits: int, act_bits: int
) -> Iterator[LayerResult]:
    """Yield every layer's result, in order; tensors that no later layer reads are let go.

    Parameters and errors are those of :func:`run_graph`.
    """
    inputs = np.asarray(inputs)
    if inputs.ndim != 4 or inputs.shape[1:] != graph.input_shape:
        shape = ", ".join(["samples", *map(str, graph.input_shape)])
        raise ValueError(f"inputs must be ({shape}), not {inputs.shape}")
    last = {name: at for at, layer in enumerate(graph.layers) for name in layer.inputs}
    tensors = {INPUT: inputs}
    for at, layer in enumerate(graph.layers):
        x = concatenate(tensors, layer.inputs)
        output, saturated = run_layer(layer, x, acc_bits=acc_bits, act_bits=act_bits)
        tensors[layer.name] = output
        for name in layer.inputs:
            if last[name] == at:
                tensors.pop(name, None)
        yield LayerResult(layer, output, saturated)


def concatenate(tensors: dict[str, NDArray[np.int64]], names: tuple[str, ...]) -> NDArray[np.int64]:
    """Put tensors (samples, C, H, W) side by side along the channels."""
    if missing := [name for name in names if name not in tensors]:
        raise ValueError(f"tensor {missing[0]!r} must be made before it is read")
    if len(names) == 1:
        return tensors[names[0]]
    return np.concatenate([tensors[name] for name in names], axis=1)


def run_layer(
    layer: QuantConv, x: NDArray[np.int64], *, acc_bits: int, act_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute ``y = saturate((conv(x) + bias + half) >> shift)``, then ReLU.

    The accumulator wraps at ``acc_bits``, so products may be added in any order. ``half`` is half
    an output step: the shift rounds half up (towards plus infinity). With ``op`` "max" the sum is
    the maximum over the elements of the window that lie inside the plane. Areas have weights of
    their own.

    Parameters
    ----------
    layer : what to compute.
    x : (samples, C, H, W) activations within ``act_bits``.
    acc_bits : width of the accumulator, at most 64.
    act_bits : width of an activation, signed.

    Returns
    -------
    (samples, K, P, Q) outputs, and (samples,) how many of a sample's outputs saturation changed;
    a negative output that ReLU clips anyway is not one of them.

    Raises
    ------
    ValueError
        If shapes disagree, or a shift or an activation is out of range.
    """
    low, high = -(1 << (act_bits - 1)), (1 << (act_bits - 1)) - 1
    x = np.asarray(x)
    _check(layer, x, low, high)
    x = x.astype(np.int64, copy=False)
    if layer.op == "max":
        acc = _maxima(layer, x).view(np.uint64)
    elif layer.areas:
        acc = _averages(layer, x)
    else:
        acc = _sums(layer, x).view(np.uint64)
    half = np.uint64((1 << layer.shift) >> 1)
    acc += (layer.bias.astype(np.int64).view(np.uint64) + half)[:, None, None]
    y = _wrap(acc, acc_bits) >> np.int64(layer.shift)
    too_high = y > high
    clipped = too_high if layer.relu else too_high | (y < low)
    y = np.clip(y, 0 if layer.relu else low, high)
    return y, np.count_nonzero(clipped, axis=(1, 2, 3)).astype(np.int64)


def _check(layer: QuantConv, x: NDArray[np.int64], low: int, high: int) -> None:
    name = f"layer {layer.name!r}"
    channels, depth = layer.in_shape[0], layer.out_shape[0]
    if x.ndim != 4 or x.shape[1:] != layer.in_shape or x.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must get whole numbers in the shape (samples, *{layer.in_shape}), "
            f"not {x.dtype} in {x.shape}"
        )
    if x.size and (x.min() < low or x.max() > high):
        raise ValueError(f"{name} must get {low} to {high}, not {x.min()} to {x.max()}")
    if layer.groups < 1 or channels % layer.groups or depth % layer.groups:
        raise ValueError(
            f"{name} must have groups that divide {channels} channels and {depth} output "
            f"channels, not {layer.groups}"
        )
    if layer.weight.ndim != 4 or layer.weight.shape[:2] != (depth, channels // layer.groups):
        raise ValueError(
            f"{name} must have weights ({depth}, {channels // layer.groups}, R, S), "
            f"not {layer.weight.shape}"
        )
    if layer.bias.shape != (depth,):
        raise ValueError(f"{name} must have {depth} biases, not {layer.bias.shape}")
    if not 0 <= layer.shift < _WORD_BITS:
        raise ValueError(f"{name} must have a shift from 0 to 63, not {layer.shift}")
    if layer.op == "max" and (
        layer.shift or layer.bias.any() or (layer.weight != 1).any() or layer.weight.shape[1] != 1
    ):
        raise ValueError(f"{name} is a maximum: it must have weights 1, no bias and no shift")


def _windows(layer: QuantConv, x: NDArray, fill: int) -> NDArray:
    """Return a view (samples, C, P, Q, R, S) of each output's window; outside it is ``fill``."""
    (sy, sx), (pt, pl) = layer.stride, layer.padding
    kernel = layer.weight.shape[2:]
    _, p, q = layer.out_shape
    # As much below and to the right as the last window needs; what it does not need is cut off.
    need = (p - 1) * sy + kernel[0], (q - 1) * sx + kernel[1]
    below, right = (
        max(0, n - size - before)
        for n, size, before in zip(need, x.shape[2:], (pt, pl), strict=True)
    )
    padded = np.pad(x, ((0, 0), (0, 0), (pt, below), (pl, right)), constant_values=fill)
    views = sliding_window_view(padded[:, :, : need[0], : need[1]], kernel, axis=(2, 3))
    return views[:, :, ::sy, ::sx]


def _maxima(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (samples, K, P, Q), the largest element of each window."""
    lowest = np.iinfo(np.int64).min
    windows = _windows(layer, x, lowest)
    # Output channel k is of input channel k: depthwise with one output a channel.
    if layer.groups != layer.in_shape[0] or layer.out_shape[0] != layer.groups:
        raise ValueError(f"layer {layer.name!r} is a maximum: it must keep its channels apart")
    best = np.full(windows.shape[:4], lowest)
    for r in range(windows.shape[4]):
        for s in range(windows.shape[5]):
            np.maximum(best, windows[..., r, s], out=best)
    if best.size and best.min() == lowest:
        raise ValueError(f"layer {layer.name!r} has windows that lie outside the plane")
    return best


def _sums(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (samples, K, P, Q) sums of products, modulo 2**64."""
    weight = layer.weight.astype(np.int64)
    depth, fan, rows, cols = weight.shape
    _, p, q = layer.out_shape
    groups, taps = layer.groups, fan * rows * cols
    # No partial sum is beyond ``reach``. Floats are exact below ``_EXACT``, and BLAS is fast.
    largest = max(-float(x.min(initial=0)), float(x.max(initial=0)))
    reach = np.abs(weight.astype(np.float64)).sum(axis=(1, 2, 3)).max(initial=0) * largest
    exact = reach < _EXACT
    windows = _windows(layer, x.astype(np.float64) if exact else x.view(np.uint64), 0)
    matrix = weight.astype(np.float64) if exact else weight.view(np.uint64)
    matrix = matrix.reshape(groups, depth // groups, taps)
    out = np.empty((len(x), depth, p, q), np.int64)
    samples = max(1, _BLOCK // (groups * taps * p * q))
    lines = max(1, _BLOCK // (groups * taps * q))
    for first in range(0, len(x), samples):
        for top in range(0, p, lines):
            part = windows[first : first + samples, :, top : top + lines].transpose(
                0, 1, 4, 5, 2, 3
            )
            sums = matrix @ part.reshape(len(part), groups, taps, -1)
            out[first : first + samples, :, top : top + lines] = (
                sums.astype(np.int64) if exact else sums.view(np.int64)
            ).reshape(len(part), depth, -1, q)
    return out


def _averages(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return (samples, K, P, Q) sums times their area's weight, modulo 2**64."""
    weight = np.zeros(layer.out_shape[1:], np.int64)
    made = np.zeros(weight.shape, np.int64)
    for one in layer.areas:
        place = slice(one.y0, one.y0 + one.height), slice(one.x0, one.x0 + one.width)
        weight[place] = one.weight
        made[place] += 1
    size = sum(one.height * one.width for one in layer.areas)
    if (
        (made != 1).any()
        or size != made.size
        or layer.weight.shape[1] != 1
        or np.unique(layer.weight).size != 1
    ):
        raise ValueError(
            f"layer {layer.name!r} has areas: they must cover each output once, and each of its "
            "channels must have the same weights, and be by itself"
        )
    ones = replace(layer, weight=np.ones_like(layer.weight), areas=())
    return _sums(ones, x).view(np.uint64) * weight.view(np.uint64)


def _wrap(value: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Read the lowest ``bits`` of each value as two's complement."""
    unused = np.uint64(_WORD_BITS - bits)
    return (value << unused).view(np.int64) >> unused.astype(np.int64)
