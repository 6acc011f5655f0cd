"""What the library has to say to people: tables and sentences, which the command line lays out."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Report", "Table", "percent", "to_html"]


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

    def to_html(self) -> str:
        """Write the table for a notebook."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.header)
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>"
            for row in self.rows
        )
        return (
            f"<table><caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


Report = Iterable[Table | str]
"""Tables and sentences, in the order in which they are read."""


def to_html(report: Report) -> str:
    """Write tables and sentences for a notebook; whatever names hold is escaped."""
    return "".join(
        entry.to_html() if isinstance(entry, Table) else f"<p>{html.escape(entry)}</p>"
        for entry in report
    )


def percent(share: float) -> str:
    """Write a share as tables do.

    >>> percent(0.25)
    '25.0 %'
    """
    return f"{100 * share:.1f} %"
