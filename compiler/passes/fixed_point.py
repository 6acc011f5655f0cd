"""Fixed-point numbers: ``value = integer * 2**-frac``, with integers of a given width."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import FloatGraph, QuantGraph
from zeroskip.compiler.ir.sequences import Sequences

__all__ = [
    "check_input",
    "check_planes",
    "dequantize",
    "largest_frac",
    "quantize_input",
    "round_half_up",
    "sample_shape",
]

_MAX_FRAC = 256
"""Fractions stay within this either way; float32 numbers need no more."""


def round_half_up(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nearest whole numbers; halves go up, as in the hardware."""
    floor = np.floor(x)
    # x + 0.5 may itself round, so the fraction is compared instead.
    return floor + (x - floor >= 0.5)


def largest_frac(low: float, high: float, bits: int) -> int:
    """Return the most fraction bits with which ``low`` to ``high`` fit ``bits`` bits.

    Rounding included. All of nothing but zeros gives ``bits - 1``, as for numbers below 1.
    """
    least, most = limits(bits)
    largest = max(abs(low), abs(high))
    frac = bits - int(np.frexp(largest)[1]) if largest else bits - 1
    frac = max(-_MAX_FRAC, min(_MAX_FRAC, frac))
    while not (
        round_half_up(np.ldexp(high, frac)) <= most and round_half_up(np.ldexp(low, frac)) >= least
    ):
        frac -= 1
    return frac


def quantize_input(x: NDArray[np.floating[Any]], frac: int, act_bits: int) -> NDArray[np.int64]:
    """Return ``x`` in steps of ``2**-frac``: rounded half up, saturated to ``act_bits``.

    Parameters
    ----------
    x : finite floats of any shape.
    frac : fraction bits.
    act_bits : width of an activation, signed.

    Returns
    -------
    int64 of the shape of ``x``.
    """
    # What overflows on the way is clipped as what only just does not fit.
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = round_half_up(np.ldexp(np.asarray(x, np.float64), frac))
    return np.clip(scaled, *limits(act_bits)).astype(np.int64)


def dequantize(q: NDArray[np.int64], frac: int) -> NDArray[np.float64]:
    """Return the values that the integers ``q`` with ``frac`` fraction bits stand for."""
    return np.ldexp(np.asarray(q, np.float64), -frac)


def check_planes(
    x: Any, graph: FloatGraph | QuantGraph, what: str, *, single: bool = False
) -> NDArray[np.float64]:
    """Check data for a graph of feature maps; return (samples, C, H, W).

    Parameters and errors are those of :func:`check_input`, in the shape that users give. Where the
    graph says lengths, what comes behind them in ``x`` may be anything, and is left out.
    """
    lengths = graph.lengths if isinstance(graph, QuantGraph) else None
    if lengths is not None and graph.sample_shape is not None:
        x = _blank_behind(x, graph.sample_shape, lengths, what)
    of_sequences = ", sequences first, whatever the order of the model's own input"
    samples = check_input(
        x,
        graph.sample_shape or graph.input_shape,
        what,
        single=single,
        order=of_sequences if graph.steps else "",
    )
    # Of a recurrent network, the steps of all samples one behind the other.
    if lengths is not None:
        return Sequences(lengths).joined(samples.reshape(len(samples), -1, *graph.input_shape))
    if graph.sample_axes is not None:
        samples = samples.transpose(0, *(1 + axis for axis in graph.sample_axes))
    return samples.reshape(-1, *graph.input_shape)


def _blank_behind(
    x: Any, shape: tuple[int, ...], lengths: tuple[int, ...], what: str
) -> NDArray[np.floating[Any]]:
    """Return sequences (n, *shape) with zeros behind their lengths; what is no such array as it is.

    Raises
    ------
    InputError
        If there are not as many sequences as lengths.
    """
    try:
        array = np.asarray(_plain(x))
    except (TypeError, ValueError, RuntimeError):
        return x
    array = array[None] if array.ndim == len(shape) else array
    fits = array.ndim == len(shape) + 1 and array.shape[2:] == shape[1:]
    if not fits or array.dtype.kind != "f" or not max(lengths) <= array.shape[1] <= shape[0]:
        return x
    if len(array) != len(lengths):
        raise InputError(f"{what} has {len(array)} sequences, but lengths are of {len(lengths)}")
    sequences = Sequences(lengths)
    return sequences.padded(sequences.joined(array), shape[0])


def sample_shape(x: Any) -> tuple[int, ...] | None:
    """Return the shape of a sample in a batch of them, if it is an array or a tensor."""
    shape = getattr(x, "shape", None)
    return None if shape is None else tuple(shape[1:])


def check_input(
    x: Any,
    input_shape: tuple[int, ...] | None,
    what: str,
    *,
    single: bool = False,
    order: str = "",
) -> NDArray[np.float64]:
    """Return ``x`` as float64 if it is a batch of samples that a network can take.

    Parameters
    ----------
    x : what a user gave: an array, a tensor or lists.
    input_shape : shape of one sample; None where any will do.
    what : what to call ``x`` in messages.
    single : take one sample without a batch, too.
    order : what a message says of the order of dimensions.

    Returns
    -------
    (samples, *input_shape), at least one sample, all finite.

    Raises
    ------
    InputError
        If ``x`` is of another shape or type, empty, or not finite.
    """
    try:
        array = np.asarray(_plain(x))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{what} must be an array of floating-point numbers, all samples of one shape, but "
            f"NumPy makes none of this {type(x).__name__}"
        ) from error
    if array.dtype.kind != "f":
        raise InputError(
            f"{what} must be an array of floating-point numbers, not of {array.dtype}; convert it "
            "to float32, scaled as in training"
        )
    if single and array.shape == input_shape:
        array = array[None]
    if not array.ndim or input_shape not in (None, array.shape[1:]):
        shape = ", ".join(["samples", *map(str, ("...",) if input_shape is None else input_shape)])
        raise InputError(f"{what} must have shape ({shape}){order}, not {array.shape}")
    if not len(array):
        raise InputError(f"{what} has no samples")
    samples = array.astype(np.float64)
    bad = ~np.isfinite(samples)
    if bad.any():
        raise InputError(
            f"{what} has {np.count_nonzero(bad)} values that are NaN or infinite, the first in "
            f"sample {np.argwhere(bad)[0][0]}"
        )
    return samples


def _plain(x: Any) -> Any:
    """Turn tensors into what NumPy reads: whatever their device, gradient or floating type."""
    if isinstance(x, list | tuple):
        # Lists of numbers stay as they are.
        return [_plain(value) for value in x] if any(map(_is_tensor, x)) else x
    if not _is_tensor(x):
        return x
    values = x.detach().cpu()
    return values.double() if values.is_floating_point() else values


def _is_tensor(x: Any) -> bool:
    # Not by its class: torch need not be installed.
    return hasattr(x, "detach") and hasattr(x, "is_floating_point")
