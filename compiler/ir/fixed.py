"""Compute layers and graphs in fixed point, bit for bit as the hardware does."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.compiler.ir.cells import SUMS, argument_shifts, step_cell
from zeroskip.compiler.ir.changes import next_references, references
from zeroskip.compiler.ir.graph import INPUT, QuantCell, QuantConv, QuantGraph, QuantLayer, Shape
from zeroskip.compiler.ir.sequences import Sequences, row_shape, rows_as_steps
from zeroskip.compiler.ir.windows import convolve, maxima

__all__ = [
    "LayerResult",
    "Matrix",
    "concatenate",
    "layer_results",
    "limits",
    "run_cell",
    "run_layer",
]

_EXACT = 2.0**52
"""float64 holds every whole number below twice this, so sums that stay below it are exact, also
if the bound itself was rounded."""

_WORD_BITS = 64


def limits(bits: int) -> tuple[int, int]:
    """Return the smallest and the largest integer of ``bits`` bits, two's complement."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


class Matrix(Protocol):
    """What the arithmetic needs of a Linear layer, see :class:`.QuantLinear`."""

    @property
    def codes(self) -> csc_array: ...

    @property
    def codebook(self) -> NDArray[np.int64]: ...

    @property
    def bias(self) -> NDArray[np.int64]: ...

    @property
    def shift(self) -> int: ...

    @property
    def relu(self) -> bool: ...


LayerT = TypeVar("LayerT", bound=QuantLayer)


@dataclass(frozen=True, eq=False)
class LayerResult(Generic[LayerT]):
    """What a layer made.

    Parameters
    ----------
    layer : which.
    output : (samples, K, P, Q) int64.
    saturated : (samples,) int64, outputs that saturation changed; a negative output that ReLU
        clips anyway is not one of them.
    """

    layer: LayerT
    output: NDArray[np.int64]
    saturated: NDArray[np.int64]


def layer_results(
    graph: QuantGraph[LayerT],
    inputs: NDArray[np.int64],
    acc_bits: int | Mapping[str, int],
    act_bits: int,
) -> Iterator[LayerResult[LayerT]]:
    """Yield every layer's result, in order; tensors that no later layer reads are let go.

    Parameters
    ----------
    graph : what to compute.
    inputs : (samples, C, H, W) integers within ``act_bits``.
    acc_bits : width of an accumulator, at most 64; or that of each layer by name.
    act_bits : width of an activation, signed.

    Raises
    ------
    ValueError
        As :func:`run_layer` does.
    """
    inputs = np.asarray(inputs)
    if inputs.ndim != 4 or inputs.shape[1:] != graph.input_shape:
        shape = ", ".join(["samples", *map(str, graph.input_shape)])
        raise ValueError(f"inputs must be ({shape}), not {inputs.shape}")
    last = {name: number for number, layer in enumerate(graph.layers) for name in layer.inputs}
    tensors = {INPUT: inputs}
    for number, layer in enumerate(graph.layers):
        x = concatenate(tensors, layer.inputs, layer.in_shape)
        bits = acc_bits if isinstance(acc_bits, int) else acc_bits[layer.name]
        output, saturated = run_layer(
            layer, x, acc_bits=bits, act_bits=act_bits, projection=graph.projection(layer)
        )
        tensors[layer.name] = output
        for name in layer.inputs:
            if last[name] == number:
                tensors.pop(name, None)
        yield LayerResult(layer, output, saturated)


def concatenate(
    tensors: Mapping[str, NDArray[np.int64]],
    names: tuple[str, ...],
    shape: Shape | None = None,
) -> NDArray[np.int64]:
    """Put tensors (samples, C, H, W) side by side along the channels.

    Parameters
    ----------
    tensors : by name.
    names : of those that are read.
    shape : (C, H, W) in which they are read. If that is the shape of their rows, these are read as
        steps: of a recurrent network behind convolutions of whole sequences.
    """
    if missing := [name for name in names if name not in tensors]:
        raise ValueError(f"tensor {missing[0]!r} must be made before it is read")
    found = [tensors[name] for name in names]
    whole = (sum(tensor.shape[1] for tensor in found), *found[0].shape[2:])
    if len(whole) == 3 and whole != shape == row_shape(whole):
        found = [rows_as_steps(tensor) for tensor in found]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def run_layer(
    layer: QuantConv | QuantCell | Matrix,
    x: NDArray[np.int64],
    *,
    acc_bits: int,
    act_bits: int,
    projection: Matrix | None = None,
    sequences: Sequences | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute ``y = saturate((sum(w * x) + bias + half) >> shift)``, then ReLU.

    The accumulator wraps at ``acc_bits``, so products may be added in any order. ``half`` is half
    an output step: the shift rounds half up (towards plus infinity). Of a maximum, the sum is the
    largest element of the window that lies inside the plane. This is the law that every engine's
    RTL is held to; of a recurrent layer it is :func:`run_cell`. Quantization has proven that no sum
    wraps; that it would here is what makes reports of errors show a proof that is wrong.

    Parameters
    ----------
    layer : what to compute.
    x : (samples, C, H, W) activations within ``act_bits``; of a Linear, (samples, ...).
    acc_bits : width of the accumulator, at most 64.
    act_bits : width of an activation, signed.
    projection : of a recurrent layer that has one, see :attr:`.QuantCell.projection`.
    sequences : which samples are steps of one; all have those of the layer unless given.

    Returns
    -------
    (samples, K, P, Q) outputs, and (samples,) how many of a sample's outputs saturation changed;
    a negative output that ReLU clips anyway is not one of them.

    Raises
    ------
    ValueError
        If shapes disagree, or a code, a shift or an activation is out of range.
    """
    x = np.asarray(x)
    _check_activations(x, act_bits)
    if not 0 <= layer.shift < _WORD_BITS:
        raise ValueError(f"shift must be from 0 to {_WORD_BITS - 1}, not {layer.shift}")
    x = x.astype(np.int64, copy=False)
    if isinstance(layer, QuantCell):
        outputs, beyond = run_cell(
            layer, x, projection, acc_bits=acc_bits, act_bits=act_bits, sequences=sequences
        )
        return outputs[:, :, None, None], beyond.sum(axis=1)
    sums = _conv_sums(layer, x) if isinstance(layer, QuantConv) else _linear_sums(layer, x)
    y, clipped = _requantize(
        sums, layer.bias, layer.shift, layer.relu, act_bits=act_bits, acc_bits=acc_bits
    )
    return y, np.count_nonzero(clipped, axis=(1, 2, 3)).astype(np.int64)


def _requantize(
    sums: NDArray[np.uint64],
    bias: NDArray[np.int64],
    shift: int,
    relu: bool,
    *,
    act_bits: int,
    acc_bits: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Make outputs of sums, as the end of every layer of either engine does.

    Parameters
    ----------
    sums : (samples, K, P, Q) sums of products, right modulo ``2**acc_bits``.
    bias : (K,) in steps of the accumulator.
    shift : right shift from accumulator to output, rounding half up.
    relu : clip negative outputs to 0.
    act_bits, acc_bits : widths of an activation and of an accumulator, which wraps.

    Returns
    -------
    The outputs, and which of them saturation changed.
    """
    # Unsigned arithmetic is the one that C defines to wrap.
    added = bias.astype(np.int64).view(np.uint64) + np.uint64((1 << shift) >> 1)
    unused = _WORD_BITS - acc_bits
    y = (sums + added[:, None, None] << np.uint64(unused)).view(np.int64)
    y = y >> np.int64(unused) >> np.int64(shift)
    low, high = limits(act_bits)
    clipped = y > high if relu else (y > high) | (y < low)
    return np.clip(y, 0 if relu else low, high), clipped


def _check_activations(x: NDArray[np.int64], act_bits: int) -> None:
    low, high = limits(act_bits)
    if x.dtype.kind not in "iu":
        raise ValueError(f"activations must be whole numbers, not of {x.dtype}")
    if x.size and (x.min() < low or x.max() > high):
        raise ValueError(
            f"activations must be from {low} to {high} ({act_bits} bits), "
            f"not {x.min()} to {x.max()}"
        )


def run_cell(
    layer: QuantCell,
    x: NDArray[np.int64],
    projection: Matrix | None = None,
    *,
    acc_bits: int,
    act_bits: int,
    sequences: Sequences | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Compute a recurrent layer, all steps of each sequence; state and outputs are 0 before.

    With thresholds, products are of references instead of activations, see :func:`.references`.
    Sums that are kept, to which the products of their changes are added, are the same in whole
    numbers; and no larger than any that activations can make.

    Parameters
    ----------
    layer : what to compute.
    x : (samples, ...) activations; those of a sequence one behind the other.
    projection, acc_bits, act_bits, sequences : as in :func:`run_layer`.

    Returns
    -------
    (samples, units) outputs, and whether the state was beyond its range.
    """
    if sequences is None:
        sequences = Sequences.equal(len(x), layer.steps)
    kind, units = layer.cell, layer.units
    shifts = argument_shifts(kind, layer.shift)
    halves = np.repeat([(1 << shift) >> 1 for shift in shifts], units)
    added = (layer.bias + halves).astype(np.int64).view(np.uint64)
    of_input, of_past = layer.thresholds or (0, 0)
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    x = x if layer.sweep == "forward" else sequences.reversed(x)
    if layer.thresholds is not None:
        x = sequences.joined(references(sequences.padded(x), of_input))
    sums = _matrix_sums(layer.matrix, layer.codebook, len(layer.bias), x) + added
    sums = sequences.padded(sums)
    past, state = (
        np.zeros((len(sums), size), np.int64) for size in (layer.recurrent.indptr.size - 1, units)
    )
    read = past
    outputs = np.empty((*sums.shape[:2], units), np.int64)
    beyond = np.empty(outputs.shape, np.bool_)
    unused = np.uint64(_WORD_BITS - acc_bits)
    for step in range(sums.shape[1]):
        before = _matrix_sums(layer.recurrent, layer.recurrent_codebook, len(layer.bias), read)
        totals = (sums[:, step] + before << unused).view(np.int64) >> unused.astype(np.int64)
        totals = totals.reshape(-1, SUMS, units)
        made = step_cell(kind, totals, state, layer.shift, act_bits, layer.peepholes)
        past, state = made.output, made.state
        if projection is not None:
            past, _ = run_layer(projection, past, acc_bits=acc_bits, act_bits=act_bits)
            past = past.reshape(len(past), -1)
        read = past if layer.thresholds is None else next_references(past, read, of_past)
        outputs[:, step], beyond[:, step] = made.output, made.saturated
    hidden, wide = sequences.joined(outputs), sequences.joined(beyond)
    if layer.sweep == "reverse":
        return sequences.reversed(hidden), sequences.reversed(wide)
    return hidden, wide


def _linear_sums(layer: Matrix, x: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return (samples, rows, 1, 1) sums of products, modulo ``2**64``."""
    return _matrix_sums(layer.codes, layer.codebook, layer.bias.size, x)[:, :, None, None]


def _matrix_sums(
    codes: Any, codebook: NDArray[np.int64], rows: int, x: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return (samples, rows) sums of products, modulo ``2**64``."""
    columns = codes.indptr.size - 1
    x = x.reshape(len(x), math.prod(x.shape[1:]))
    if x.shape[1] != columns:
        raise ValueError(f"a Linear layer of {columns} columns must not get {x.shape[1]} values")
    if codes.shape != (rows, columns):
        raise ValueError(f"bias must be ({codes.shape[0]},), not ({rows},)")
    if codes.data.max(initial=0) >= len(codebook):
        raise ValueError(
            f"codes must be below {len(codebook)}, the codebook's size, not {codes.data.max()}"
        )
    values = codebook.astype(np.int64).view(np.uint64)[codes.data]
    matrix = csc_array((values, codes.indices, codes.indptr), shape=(rows, columns))
    sums: NDArray[np.uint64] = matrix @ np.ascontiguousarray(x.T).view(np.uint64)
    return np.ascontiguousarray(sums.T)


def _conv_sums(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return (samples, K, P, Q) sums of products or maxima, modulo ``2**64``."""
    if x.shape[1:] != layer.in_shape:
        raise ValueError(f"layer {layer.name!r} must get {layer.in_shape}, not {x.shape[1:]}")
    plane = layer.out_shape[1:]
    if layer.op == "max":
        kernel = layer.weight.shape[2], layer.weight.shape[3]
        return maxima(x, kernel, layer.stride, layer.padding, plane).view(np.uint64)
    if not layer.areas:
        return _products(layer, layer.weight.astype(np.int64), x)
    # What is summed over a window is weighted afterwards, by the weight of its area.
    sums = _products(layer, np.ones_like(layer.weight), x)
    return sums * _area_weights(layer).view(np.uint64)


def _products(
    layer: QuantConv, weight: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Return (samples, K, P, Q) sums of products, in float64 where that is exact, and fast."""
    places = layer.stride, layer.padding, layer.out_shape[1:], layer.groups
    largest = max(-float(x.min(initial=0)), float(x.max(initial=0)))
    exact = weight.astype(np.float64)
    # No partial sum is beyond this.
    if np.abs(exact).sum(axis=(1, 2, 3)).max(initial=0) * largest < _EXACT:
        sums = convolve(x.astype(np.float64), exact, *places)
        return sums.astype(np.int64).view(np.uint64)
    return convolve(x.view(np.uint64), weight.view(np.uint64), *places)


def _area_weights(layer: QuantConv) -> NDArray[np.int64]:
    """Return (P, Q), by what the sum over each window is multiplied."""
    weights = np.zeros(layer.out_shape[1:], np.int64)
    for area in layer.areas:
        weights[area.y0 : area.y0 + area.height, area.x0 : area.x0 + area.width] = area.weight
    return weights
