"""What commands print: results on stdout, progress and errors on stderr."""

import contextlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

from zeroskip.base.tables import Report, Table
from zeroskip.cli.table_layout import format_table

__all__ = [
    "Shown", "Steps", "others_to_stderr", "print_json", "print_line", "print_report",
    "print_table",
]  # fmt: skip


@contextlib.contextmanager
def others_to_stderr() -> Iterator[None]:
    """Let what the body prints, or programs that it starts, go to stderr: results go to stdout."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        kept = -1  # A process without them.
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if kept >= 0:
            os.dup2(kept, 1)
            os.close(kept)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=1, allow_nan=False))


def print_line(text: str = "") -> None:
    """Print a line; on a terminal that is too narrow, broken between words if it is a sentence.

    Lines that are indented are commands to copy.
    """
    width = _terminal_width()
    if width is not None and len(text) > width and not text.startswith(" ") and "\n" not in text:
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    print(text, flush=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    print_report([Table(title, header, rows)])


def print_report(report: Report) -> None:
    """Print tables and sentences of the library."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    for entry in report:
        if isinstance(entry, str):
            print_line(entry)
            continue
        text = format_table(
            entry.title, entry.header, entry.rows, _terminal_width(), encoding=encoding
        )
        print(text, end="", flush=True)


def _terminal_width() -> int | None:
    """Return the width of the terminal; None where output goes to none, which is never cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


class Shown:
    """Bars on stderr while the body of a ``with`` runs, if that is a terminal; else lines.

    Parameters
    ----------
    columns : of a bar.
    """

    def __init__(self, *columns: str | ProgressColumn) -> None:
        self._console = Console(stderr=True)
        self._tasks: dict[str, Any] = {}
        self._bars = Bars(*columns, console=self._console, redirect_stdout=False, transient=True)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def _line(self, text: str) -> None:
        """Print a line with the time since the beginning."""
        seconds = time.monotonic() - self._started
        print(f"[{seconds:6.1f} s] {text}", file=sys.stderr, flush=True)


class Steps(Shown):
    """Show steps on stderr: bars on a terminal, else a line when a step begins.

    Call it as a ``Progress`` of the library: a step's name, how much is done, of how much.
    """

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` of step ``name`` is done."""
        if not self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = None
                self._line(name)
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)

    def print(self, text: str) -> None:
        """Print a line on stdout without disturbing the bars."""
        if self._console.is_terminal:
            self._bars.stop()
        print_line(text)
        if self._console.is_terminal:
            self._bars.start()
