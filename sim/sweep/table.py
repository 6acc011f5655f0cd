"""The table of a sweep: its columns, and CSV and Parquet files of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_path
from zeroskip.hw.eie.formats import StallClass

__all__ = [
    "COLUMNS",
    "EIE_COLUMNS",
    "SUFFIXES",
    "Columns",
    "check_suffix",
    "read_table",
    "write_table",
]

SUFFIXES = (".csv", ".parquet")
"""Formats of tables."""

Columns = Mapping[str, tuple[type[pl.DataType], str]]
"""Columns of a table by name: of what type, and what each is."""

EIE_COLUMNS: Columns = {
    "sweep": (pl.String, "fingerprint of the sweep's settings"),
    "layer": (pl.String, "name"),
    "num_pes": (pl.Int64, "of the array, as are the next ones"),
    "queue_depth": (pl.Int64, "columns"),
    "run_bits": (pl.Int64, "width of the zero count in an entry"),
    "word_bits": (pl.Int64, "width of a word of the Spmat SRAM"),
    "placement": (pl.String, "of rows and columns"),
    "pointers_first": (pl.Boolean, "pointers are read before the queue"),
    "skip_padding": (pl.Boolean, "padding goes together with the entry after it"),
    "spmat_words": (pl.Int64, "of each PE"),
    "num_pointers": (pl.Int64, "of each PE"),
    "num_acts": (pl.Int64, "of each PE"),
    "num_accs": (pl.Int64, "of each PE"),
    "inputs": (pl.Int64, "that were run; cycles and reads are sums over them"),
    "possible": (pl.Boolean, "whether the layer can be mapped on the array"),
    "reason": (pl.String, "why not"),
    "cycles": (pl.Int64, "from the descriptor to the last output"),
    "bound_no_padding_cycles": (pl.Float64, "useful multiplications per PE"),
    "max_pe_cycles": (pl.Int64, "in which the busiest PE issues an entry, padding included"),
    "mean_pe_cycles": (pl.Float64, "the same, mean of the PEs"),
    "balance": (pl.Float64, "mean_pe_cycles / max_pe_cycles: what no queue can improve"),
    "load_balance": (pl.Float64, "1 - bubbles / all cycles of all PEs; bubbles issue nothing"),
    **{
        f"{c.name.lower()}_pe_cycles": (pl.Int64, "sum over the PEs; the classes sum to all")
        for c in StallClass
    },
    "nonzeros": (pl.Int64, "weights"),
    "entries": (pl.Int64, "stored, over all PEs, padding included"),
    "padding_entries": (pl.Int64, "stored"),
    "spmat_words_read": (pl.Int64, "fetches from the Spmat SRAMs, over all PEs"),
    "entry_bits_per_nonzero": (pl.Float64, "bits of Spmat words in use over non-zero weights"),
    "pointer_bits_per_nonzero": (pl.Float64, "bits of pointers over non-zero weights"),
    "stored_bits_per_nonzero": (pl.Float64, "the two, and the layer's codebook"),
    "segments": (pl.Int64, "runs of the program that the network takes; 1 if all fits"),
    "passes": (pl.Int64, "over the layer's input"),
    "model_seconds": (pl.Float64, "that the cycle model took for the network, all inputs"),
}

COLUMNS: Mapping[str, str] = {name: what for name, (_, what) in EIE_COLUMNS.items()}
"""What each column of a sweep of EIE is."""


def check_suffix(path: Path) -> None:
    """Refuse names that do not say the format.

    Raises
    ------
    InputError
        If the suffix is none of :data:`SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"the table must end in {' or '.join(SUFFIXES)}, not {path.name!r}")


def write_table(
    rows: Sequence[Mapping[str, Any]], path: Path, columns: Columns = EIE_COLUMNS
) -> None:
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


def read_table(path: Path, columns: Columns = EIE_COLUMNS) -> pl.DataFrame:
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
