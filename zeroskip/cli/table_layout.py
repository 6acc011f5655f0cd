"""Lay out tables for a width: what does not fit moves below, and no number is ever folded."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

__all__ = ["format_table"]

_PAD = 2
"""Columns of the terminal beside each column's text."""

_ELLIPSIS = "…"


def format_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    width: int | None = None,
    *,
    encoding: str = "utf-8",
) -> str:
    """Return a table as text; the first column is names, the others are numbers.

    What is too wide is made narrower step by step: headings wrap between words; names of more than
    half the width lose their middle; columns move to a block of their own below, under the same
    names; only a cell that is too wide all alone wraps, between words.

    Parameters
    ----------
    title : line above it.
    header : of the columns.
    rows : cells.
    width : of the terminal; None to be as wide as it takes.
    encoding : of where it is printed; rules are drawn with letters that it has.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    columns = [[name, *(row[number] for row in cells)] for number, name in enumerate(header)]
    natural = [max(map(cell_len, column)) for column in columns]
    if width is None or _total(natural) <= width:
        blocks = [list(range(len(columns)))]
        widths = natural
    else:
        columns[0] = _shortened(columns[0], max(8, (width - _PAD) // 2))
        widths = [
            max(cell_len(word) for word in [*header[number].split(), *columns[number][1:], ""])
            for number in range(len(columns))
        ]
        blocks = list(_blocks(widths, width))
        # Alone beside its names, a column that is still too wide is text.
        room = width - _total([widths[0], 0])
        widths = [min(width, room) if number else width for number, width in enumerate(widths)]
    console = Console(width=_total(natural) + _PAD, highlight=False, markup=False)
    parts = ["\n".join(_wrapped(title, width or len(title)))]
    for block in blocks:
        table = Table(box=SIMPLE_HEAD)
        for number in block:
            heading = "\n".join(_wrapped(columns[number][0], widths[number]))
            table.add_column(heading, justify="right" if number else "left", no_wrap=True)
        for row in range(len(rows)):
            texts = [_wrapped(columns[number][row + 1], widths[number]) for number in block]
            table.add_row(*map("\n".join, texts))
        with console.capture() as capture:
            console.print(table)
        # Rich pads every line to the table's width, which wraps badly where it is pasted.
        parts.append("\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n"))
    text = "\n\n".join(parts) + "\n\n"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("─", "-").replace(_ELLIPSIS, "...")
    return text


def _total(widths: Sequence[int]) -> int:
    """Return how wide a table of columns of ``widths`` is, with what is beside and between."""
    return sum(width + _PAD for width in widths) + len(widths) - 1 + _PAD


def _blocks(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Share columns out to as few blocks as hold them, each with the column of names before."""
    block = [0]
    for number in range(1, len(widths)):
        if len(block) > 1 and _total([widths[column] for column in [*block, number]]) > width:
            yield block
            block = [0]
        block.append(number)
    yield block


def _shortened(names: Sequence[str], most: int) -> list[str]:
    """Leave out the middle of long names, but let none become another's."""
    while True:
        left = (most - 1) // 2
        right = most - 1 - left
        short = [
            name if cell_len(name) <= most else f"{name[:left]}{_ELLIPSIS}{name[-right:]}"
            for name in names
        ]
        if len(set(short)) == len(set(names)):
            return short
        most += 1


def _wrapped(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
