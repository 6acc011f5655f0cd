"""Tables that runs have in common, on whatever they ran."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.tables import Table

__all__ = ["outputs_table"]

_SHOWN = 10
"""Inputs, and outputs of each, that are shown."""


def outputs_table(
    outputs: NDArray[np.float64], cycles: NDArray[np.int64] | None
) -> Iterator[Table | str]:
    """Give the outputs of the first inputs.

    Parameters
    ----------
    outputs : (n, ...) of a run.
    cycles : (n,) that each input took; None if they were not counted.
    """
    rows: list[list[object]] = []
    for number, y in enumerate(outputs.reshape(len(outputs), -1)[:_SHOWN]):
        values = " ".join(f"{value:.4g}" for value in y[:_SHOWN])
        more = " ..." if len(y) > _SHOWN else ""
        spent = "-" if cycles is None else int(cycles[number])
        rows.append([number, spent, int(np.argmax(y)), values + more])
    yield Table("Outputs", ["input", "cycles", "largest", "outputs"], rows)
    if len(outputs) > _SHOWN:
        yield f"... and {len(outputs) - _SHOWN} inputs more; write all with -o Y.npy"
