"""LSTM and GRU cells from the weights that torch's modules have, for each direction of a layer."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import FloatCell
from zeroskip.compiler.ir.sequences import Sweep

__all__ = ["made_cell", "sweeps_of"]


def made_cell(
    name: str,
    source: str,
    kind: Literal["lstm", "gru"],
    arrays: list[NDArray[np.float64]],
    steps: int,
    sweep: Sweep = "forward",
) -> FloatCell:
    """Return a cell with torch's weights, gates in the order of :class:`.FloatCell`."""
    weight, recurrent = (np.asarray(array, np.float64) for array in arrays[:2])
    units = len(weight) // (4 if kind == "lstm" else 3)
    zeros = np.zeros(len(weight))
    biases = [np.asarray(array, np.float64) for array in arrays[2:]] or [zeros, zeros]
    inner, outer = (array.reshape(-1, units) for array in biases)
    of_input, of_past = (array.reshape(-1, units, array.shape[1]) for array in (weight, recurrent))
    if kind == "lstm":
        # torch has input gate, forget gate, candidate, output gate.
        order = [0, 2, 1, 3]
        of_input, of_past, bias = of_input[order], of_past[order], (inner + outer)[order]
    else:
        # torch has reset gate, update gate, candidate; the first is a factor of its hidden part.
        nothing = np.zeros_like(of_input[0]), np.zeros_like(of_past[0])
        of_input = np.stack([of_input[0], nothing[0], of_input[1], of_input[2]])
        of_past = np.stack([of_past[0], of_past[2], of_past[1], nothing[1]])
        bias = np.stack([inner[0] + outer[0], outer[2], inner[1] + outer[1], inner[2]])
    return FloatCell(
        name=name,
        inputs=(source,),
        kind=kind,
        weight=np.ascontiguousarray(of_input.reshape(4 * units, -1)),
        recurrent=np.ascontiguousarray(of_past.reshape(4 * units, -1)),
        bias=bias.ravel(),
        steps=steps,
        sweep=sweep,
    )


def sweeps_of(args: Mapping[str, Any]) -> tuple[Sweep, ...]:
    """Return the directions of a recurrent layer, in the order of its weights."""
    if args.get("bidirectional"):
        return "forward", "reverse"
    return ("reverse",) if args.get("reverse") else ("forward",)
