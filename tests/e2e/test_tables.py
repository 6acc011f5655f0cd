"""Every table that the commands print, at the widths of usual terminals."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from zeroskip.cli import output
from zeroskip.cli.table_layout import format_table

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> list[Table]:
    """Collect the tables that are printed."""
    printed: list[Table] = []

    def keep(title: str, header: Any, rows: Any, *_: Any, **options: Any) -> str:
        printed.append((title, header, rows))
        return format_table(title, header, rows, **options)

    monkeypatch.setattr(output, "format_table", keep)
    return printed


def _check(tables: list[Table]) -> None:
    for title, header, rows in tables:
        for width in (60, 80, 100):
            text = format_table(title, header, rows, width)
            assert max(map(len, text.splitlines())) <= width, title
            lines, words = text.splitlines(), text.split()
            for row in rows:
                for cell in filter(None, map(str, row)):
                    whole = any(f" {cell} " in f" {line} " for line in lines)
                    assert whole or len(cell) > width // 2, (title, cell)
                    assert whole or all(word in words for word in cell.split()), (title, cell)


def test_tables_of_images(
    cli: Callable[..., Any], files: Any, cnn: Any, tmp_path: Path, tables: list[Table]
) -> None:
    for image, x in ((files.image, files.inputs), (cnn.image, cnn.inputs)):
        assert cli("info", image).code == 0
        for on in ("golden", "cycles"):
            assert cli("run", image, "--input", x, "--on", on).code == 0
        assert cli("energy", image, "--input", x).code == 0
    assert cli(*files.compile(tmp_path / "image")).code == 0
    assert cli(*cnn.compile(tmp_path / "cnn")).code == 0
    assert len(tables) > 12
    _check(tables)


@pytest.mark.cosim
def test_tables_of_a_verification(
    cli: Callable[..., Any], files: Any, cnn: Any, tables: list[Table]
) -> None:
    assert cli("verify", files.image, "--input", files.inputs).code == 0
    assert cli("verify", cnn.image, "--input", cnn.inputs).code == 0
    assert len(tables) == 6
    _check(tables)


def test_tables_of_benches(cli: Callable[..., Any], tables: list[Table]) -> None:
    assert cli("bench", "--layers", "NT-We").code == 0
    assert tables
    _check(tables)
