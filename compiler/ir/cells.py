"""Element-wise work of recurrent cells in fixed point, bit for bit as the hardware does it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.activations import sigmoid, tanh
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.common.tanh import ARGUMENT_FRAC, GATE_BITS, VALUE_FRAC

__all__ = ["SUMS", "CellStep", "argument_shifts", "step_cell"]

SUMS = 4
"""Sums of a hidden unit, in the order of :class:`.CellKind`."""

_LEAST, _MOST = -(1 << (GATE_BITS - 1)), (1 << (GATE_BITS - 1)) - 1
_STATE_SHIFT = 2 * VALUE_FRAC - ARGUMENT_FRAC

_SIGMOIDS = {
    CellKind.LSTM: (1, 0, 1, 1),
    CellKind.GRU: (1, 0, 1, 0),
    CellKind.PEEPHOLE: (1, 0, 1, 1),
}
"""Which sums become arguments of a sigmoid."""


@dataclass(frozen=True, eq=False)
class CellStep:
    """What a step makes.

    Parameters
    ----------
    output : (n, units) int64, activations.
    state : (n, units) int64, for the step after it.
    saturated : (n, units), whether the state was beyond its range.
    """

    output: NDArray[np.int64]
    state: NDArray[np.int64]
    saturated: NDArray[np.bool_]


def argument_shifts(kind: CellKind, shift: int) -> tuple[int, ...]:
    """Return by how much each of a unit's sums is shifted to be an argument of its function."""
    return tuple(shift + more for more in _SIGMOIDS[kind])


def step_cell(
    kind: CellKind,
    totals: NDArray[np.int64],
    state: NDArray[np.int64],
    shift: int,
    act_bits: int,
    peepholes: NDArray[np.int64] | None = None,
) -> CellStep:
    """Compute a step of a cell, as :class:`.Cell` of the hardware says.

    Parameters
    ----------
    kind : of the cell.
    totals : (n, 4, units) sums with their biases and half a step of the argument.
    state : (n, units) of the step before.
    shift : from a sum to an argument of tanh.
    act_bits : width of an output, which has one fraction bit fewer.
    peepholes : (3, units), or (n, 3, units), weights of the state for input gate, forget gate and
        output gate.
    """
    if kind != CellKind.GRU:
        i, g, f, o = np.moveaxis(totals >> shift, 1, 0)
        weights = np.zeros((3, 1), np.int64) if peepholes is None else peepholes
        of_i, of_f, of_o = np.moveaxis(weights, -2, 0)
        products = sigmoid(_seen(i, of_i, state)) * tanh(_limited(g))
        products += sigmoid(_seen(f, of_f, state)) * state << VALUE_FRAC - ARGUMENT_FRAC
        wide = products + (1 << _STATE_SHIFT - 1) >> _STATE_SHIFT
        new = _limited(wide)
        hidden = _rounded(sigmoid(_seen(o, of_o, new)) * tanh(new))
        return CellStep(_narrowed(hidden, act_bits), new, wide != new)
    shifts = argument_shifts(kind, shift)
    r, y, z, x = (_limited(totals[:, place] >> by) for place, by in enumerate(shifts))
    inner = (x << VALUE_FRAC) + sigmoid(r) * y
    n, z = tanh(_rounded(inner)), sigmoid(z)
    hidden = _rounded((n << VALUE_FRAC) + z * state - z * n)
    return CellStep(_narrowed(hidden, act_bits), hidden, np.zeros(hidden.shape, np.bool_))


def _seen(
    total: NDArray[np.int64], weight: NDArray[np.int64], state: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Add what a gate sees of the state, rounded, to its sum; return its sigmoid's argument."""
    product = weight * state + (1 << ARGUMENT_FRAC - 1) >> ARGUMENT_FRAC
    return _limited(total + product >> 1)


def _limited(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.clip(numbers, _LEAST, _MOST)


def _rounded(products: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop the fraction bits of a value."""
    return _limited(products + (1 << VALUE_FRAC - 1) >> VALUE_FRAC)


def _narrowed(hidden: NDArray[np.int64], act_bits: int) -> NDArray[np.int64]:
    """Round outputs to the width of an activation, half up."""
    fewer = GATE_BITS - act_bits
    if not fewer:
        return hidden
    return np.minimum(hidden + (1 << fewer >> 1) >> fewer, (1 << act_bits - 1) - 1)
