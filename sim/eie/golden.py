"""What an EIE layer computes, bit for bit: integers in, integers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

__all__ = ["GoldenLayer", "NetworkResult", "run_layer", "run_network"]

_WORD_BITS = 64


class GoldenLayer(Protocol):
    """What the model needs of a layer; the compiler's and the decoder's layers both have it."""

    @property
    def codes(self) -> csc_array:
        """(rows, cols) uint8 codes."""
        ...

    @property
    def codebook(self) -> NDArray[np.int64]:
        """(2**code_bits,) weights."""
        ...

    @property
    def bias(self) -> NDArray[np.int64]:
        """(rows,) biases, in steps of the accumulator."""
        ...

    @property
    def shift(self) -> int:
        """Right shift from accumulator to output."""
        ...

    @property
    def relu(self) -> bool:
        """Clip negative outputs to 0."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkResult:
    """Outputs of every layer.

    Parameters
    ----------
    outputs : per layer (rows, batch) int64.
    saturated : per layer (batch,) int64, outputs that saturation changed.
    """

    outputs: tuple[NDArray[np.int64], ...]
    saturated: tuple[NDArray[np.int64], ...]


def _wrap(value: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """Read the lowest ``bits`` of each value as two's complement."""
    unused = np.uint64(_WORD_BITS - bits)
    return (value << unused).view(np.int64) >> unused.astype(np.int64)


def _measure(codes: Any) -> tuple[int, int, int]:
    """Return rows, columns and largest code."""
    rows, cols = codes.shape
    return rows, cols, int(codes.data.max(initial=0))


def _look_up(codes: Any, codebook: NDArray[np.int64]) -> Any:
    """Replace codes by weights, modulo 2**64."""
    weights = codebook.astype(np.int64).view(np.uint64)[codes.data]
    return csc_array((weights, codes.indices, codes.indptr), shape=codes.shape)


def run_layer(
    codes: csc_array,
    codebook: NDArray[np.int64],
    bias: NDArray[np.int64],
    shift: int,
    relu: bool,
    x: NDArray[np.int64],
    *,
    act_bits: int,
    acc_bits: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute ``y = saturate((codebook[codes] @ x + bias + half) >> shift)``, then ReLU.

    The accumulator wraps at ``acc_bits``, so products may be added in any order. ``half`` is
    half an output step: the shift rounds half up (towards plus infinity).

    Parameters
    ----------
    codes : (rows, cols) uint8 indices of ``codebook``; what is not stored is weight 0.
    codebook : (2**code_bits,) weights.
    bias : (rows,) biases, in steps of the accumulator.
    shift : bits from accumulator to output, 0 to 63.
    relu : clip negative outputs to 0.
    x : (cols, batch) activations within ``act_bits``.
    act_bits : width of an activation, signed.
    acc_bits : width of the accumulator, at most 64.

    Returns
    -------
    (rows, batch) outputs, and (batch,) how many of a sample's outputs saturation changed;
    a negative output that ReLU clips anyway is not one of them.

    Raises
    ------
    ValueError
        If shapes disagree, or a code, a shift or an activation is out of range.
    """
    rows, cols, max_code = _measure(codes)
    if x.ndim != 2 or x.shape[0] != cols:
        raise ValueError(f"x must be ({cols}, batch), not {x.shape}")
    if bias.shape != (rows,):
        raise ValueError(f"bias must be ({rows},), not {bias.shape}")
    if not 0 <= shift < _WORD_BITS:
        raise ValueError(f"shift must be from 0 to {_WORD_BITS - 1}, not {shift}")
    if max_code >= len(codebook):
        raise ValueError(
            f"codes must be below {len(codebook)}, the codebook's size, not {max_code}"
        )
    low, high = -(1 << (act_bits - 1)), (1 << (act_bits - 1)) - 1
    if x.size and (x.min() < low or x.max() > high):
        raise ValueError(
            f"x must be from {low} to {high} ({act_bits} bits), not {x.min()} to {x.max()}"
        )

    # Sums modulo 2**64 wrap to the same acc_bits as sums modulo 2**acc_bits do, and unsigned
    # arithmetic is the one that C++ defines to wrap.
    matrix = _look_up(codes, codebook)
    acc: NDArray[np.uint64] = matrix @ np.ascontiguousarray(x, np.int64).view(np.uint64)
    acc += (bias.astype(np.int64).view(np.uint64) + np.uint64((1 << shift) >> 1))[:, None]

    y = _wrap(acc, acc_bits) >> np.int64(shift)
    too_high = y > high
    clipped = too_high if relu else too_high | (y < low)
    y = np.clip(y, 0 if relu else low, high)
    return y, np.count_nonzero(clipped, axis=0).astype(np.int64)


def run_network(
    layers: Sequence[GoldenLayer], x: NDArray[np.int64], *, act_bits: int, acc_bits: int
) -> NetworkResult:
    """Run a chain of layers.

    Parameters
    ----------
    layers : at least one, each with as many columns as its predecessor has rows.
    x : (cols, batch) activations of the first layer.
    act_bits : width of an activation, signed.
    acc_bits : width of the accumulator.

    Raises
    ------
    ValueError
        As :func:`run_layer` does.
    """
    outputs: list[NDArray[np.int64]] = []
    saturated: list[NDArray[np.int64]] = []
    for layer in layers:
        x, count = run_layer(
            layer.codes,
            layer.codebook,
            layer.bias,
            layer.shift,
            layer.relu,
            x,
            act_bits=act_bits,
            acc_bits=acc_bits,
        )
        outputs.append(x)
        saturated.append(count)
    return NetworkResult(tuple(outputs), tuple(saturated))
