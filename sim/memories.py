"""How full an image makes the memories of an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.tables import Table, percent

__all__ = ["MemoryUse", "memory_document", "memory_table", "spread"]


@dataclass(frozen=True, eq=False)
class MemoryUse:
    """Rows of a memory in use, in each PE that has one.

    Parameters
    ----------
    name : of the parameter that sizes the memory.
    used : (copies,) rows, for the memory of each PE or for the one of the array.
    size : rows there are.
    """

    name: str
    used: NDArray[np.int64]
    size: int


def memory_table(of: str, use: Sequence[MemoryUse]) -> Table:
    """Make the table of the memories; ``of`` says whose rows are counted."""
    return Table(
        f"Memories, rows of one {of}",
        ["memory", "size", "used: min", "mean", "max", "max used"],
        [
            [
                memory.name,
                memory.size,
                memory.used.min(),
                f"{memory.used.mean():.1f}",
                memory.used.max(),
                percent(memory.used.max() / memory.size),
            ]
            for memory in use
        ],
    )


def memory_document(use: Sequence[MemoryUse]) -> list[dict[str, Any]]:
    """Return the same for JSON."""
    return [
        {"name": memory.name, "size": memory.size, "used": spread(memory.used)} for memory in use
    ]


def spread(values: NDArray[np.int64]) -> dict[str, float]:
    """Return the least, the mean and the largest of some numbers."""
    return {"min": int(values.min()), "mean": float(values.mean()), "max": int(values.max())}
