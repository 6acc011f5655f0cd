"""Work out every net of gates without feedback, in all cycles at once."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.flow.synth.function import evaluate
from zeroskip.flow.synth.gates import Bit, Gate, Gates
from zeroskip.flow.synth.liberty import Liberty

__all__ = ["gate_values", "word_bits"]

Bits = NDArray[np.bool_]


def word_bits(values: NDArray[np.int64], width: int) -> list[Bits]:
    """Return the bits of numbers, the lowest first, each in every cycle."""
    return [(values >> bit & 1).astype(np.bool_) for bit in range(width)]


def gate_values(
    gates: Gates, inputs: Mapping[str, NDArray[np.int64]], library: Liberty
) -> dict[Bit, Bits]:
    """Work out every net in every cycle.

    Flip-flops give what they were given in the cycle before, 0 at first.

    Parameters
    ----------
    gates : of cells of ``library``.
    inputs : (cycles,) number at each port that nothing in ``gates`` drives.
    library : the cells.

    Raises
    ------
    SimulationError
        If a net depends on itself, or nothing drives it.
    """
    cycles = len(next(iter(inputs.values())))
    nets: dict[Bit, Bits] = {"0": np.zeros(cycles, np.bool_), "1": np.ones(cycles, np.bool_)}
    for port, values in inputs.items():
        bits = gates.ports[port]
        nets.update(zip(bits, word_bits(values, len(bits)), strict=True))
    waiting = list(gates.gates)
    while waiting:
        left = [gate for gate in waiting if not _work_out(gate, nets, library)]
        if len(left) == len(waiting):
            raise SimulationError("gates of an operation have a net that nothing drives, or a loop")
        waiting = left
    return nets


def _work_out(gate: Gate, nets: dict[Bit, Bits], library: Liberty) -> bool:
    """Compute the outputs of a gate; False if an input is not known yet."""
    cell = library.cells[gate.kind]
    reads = [pin for pin in gate.pins if pin not in cell.functions and pin != cell.clock]
    if any(gate.pins[pin] not in nets for pin in reads):
        return False
    if cell.sequential:
        # What sets or resets it is never at work.
        (data,) = (gate.pins[pin] for pin in reads if isinstance(gate.pins[pin], int))
        state = np.concatenate([[False], nets[data][:-1]])
        nets.update({net: state for pin, net in gate.pins.items() if pin in cell.functions})
        return True
    values = enumerate(nets[gate.pins[pin]] for pin in reads)
    at = sum((value.astype(np.intp) << place for place, value in values), start=np.intp(0))
    for pin, function in cell.functions.items():
        if pin in gate.pins:
            table = [
                evaluate(function, dict(zip(reads, values[::-1], strict=True)))
                for values in product((False, True), repeat=len(reads))
            ]
            nets[gate.pins[pin]] = np.array(table)[at]
    return True
