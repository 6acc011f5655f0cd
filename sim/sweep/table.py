"""The table of a sweep: its columns, and CSV and Parquet files of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path

__all__ = ["SUFFIXES", "Columns", "check_suffix", "read_table", "write_table"]

SUFFIXES = (".csv", ".parquet")
"""Formats of tables."""

Columns = Mapping[str, tuple[type[pl.DataType], str]]
"""Columns of a table by name: of what type, and what each is."""


def check_suffix(path: Path) -> None:
    """Refuse names that do not say the format.

    Raises
    ------
    InputError
        If the suffix is none of :data:`SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"the table must end in {' or '.join(SUFFIXES)}, not {path.name!r}")


def write_table(rows: Sequence[Mapping[str, Any]], path: Path, columns: Columns) -> None:
    """Write a table with these columns, whole or not at all.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    check_suffix(path)
    table = pl.DataFrame(rows, schema={name: kind for name, (kind, _) in columns.items()})
    with replaced_path(path) as draft:
        if path.suffix == ".csv":
            table.write_csv(draft)
        else:
            table.write_parquet(draft)


def read_table(path: Path, columns: Columns) -> pl.DataFrame:
    """Read a table with these columns.

    Raises
    ------
    InputError
        If it is missing, damaged or no table of a sweep.
    """
    schema = {name: kind for name, (kind, _) in columns.items()}
    check_suffix(path)
    if not path.is_file():
        raise InputError(f"table {path} {'is a folder' if path.is_dir() else 'does not exist'}")
    try:
        if path.suffix == ".csv":
            table = pl.read_csv(path, infer_schema=False)
        else:
            table = pl.read_parquet(path)
        if missing := [name for name in schema if name not in table.columns]:
            raise InputError(f"{path} is no table of a sweep: it has no column {missing[0]}")
        if path.suffix == ".csv":
            booleans = [name for name, kind in schema.items() if kind == pl.Boolean]
            table = table.with_columns(pl.col(name) == "true" for name in booleans)
        return table.select(pl.col(name).cast(kind) for name, kind in schema.items())
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        text = str(error).split("\n", 1)[0]
        raise InputError(f"{path} is no table of a sweep, or damaged: {text}") from error
