"""What the library has to say to people: tables and sentences, which the command line lays out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Report", "Table", "percent"]


@dataclass(frozen=True)
class Table:
    """A table; the first column is names, the others are numbers.

    Parameters
    ----------
    title : line above it.
    header : names of the columns.
    rows : cells.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]


Report = Iterable[Table | str]
"""Tables and sentences, in the order in which they are read."""


def percent(share: float) -> str:
    """Write a share as tables do.

    >>> percent(0.25)
    '25.0 %'
    """
    return f"{100 * share:.1f} %"
