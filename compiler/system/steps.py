"""Moves of a part that computes one step at a time, for all steps of a sequence."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from zeroskip.compiler.system.moves import Move, Moves, RowsIn, RowsOut, RowTensor
from zeroskip.hw.system.params import SystemParams

__all__ = ["repeat_steps"]

_STRIDE = 256
"""Bytes of which a step of a tensor has a whole number, for parts whose rows are of other sizes."""


def repeat_steps(made: Moves, steps: int, inner: Sequence[str], port: SystemParams) -> Moves:
    """Repeat the moves of a step, on tensors that have those of all steps behind one another.

    Parameters
    ----------
    made : of a part, for a step.
    steps : of a sequence.
    inner : tensors that the part makes; all but its output are used again by the next step.
    port : of the chip to its memory.
    """
    final = made.tensors[-1].name
    strides = {
        tensor.name: _rows(tensor, port)
        for tensor in made.tensors
        if tensor.name == final or tensor.name not in inner
    }
    lists = {
        name: tuple(
            _moved(move, step, strides) for step in range(steps) for move in getattr(made, name)
        )
        for name in ("inference", "bounded")
    }
    tensors = tuple(
        _all_steps(tensor, strides[tensor.name], steps) if tensor.name in strides else tensor
        for tensor in made.tensors
    )
    return replace(made, tensors=tensors, **lists)


def _rows(tensor: RowTensor, port: SystemParams) -> int:
    """Return the rows from one step to the next."""
    size = tensor.row_bytes(port)
    whole = math.lcm(size, _STRIDE)
    return -(-tensor.rows * size // whole) * whole // size


def _all_steps(tensor: RowTensor, rows: int, steps: int) -> RowTensor:
    first = np.arange(steps)[:, None] * rows * tensor.lanes
    return replace(tensor, rows=rows * steps, positions=(first + tensor.positions).ravel())


def _moved(move: Move, step: int, strides: dict[str, int]) -> Any:
    if not isinstance(move, RowsIn | RowsOut) or move.tensor not in strides:
        return move
    return replace(move, first=move.first + step * strides[move.tensor])
