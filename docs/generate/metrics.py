"""Definitions of figures that stand in the code."""

from zeroskip.hw.eie.host import StallClass as EieStall
from zeroskip.hw.scnn.formats import StallClass as ScnnStall
from zeroskip.sim.definitions import class_meanings
from zeroskip.sim.eie.sweep.columns import EIE_COLUMNS
from zeroskip.sim.scnn.sweep.columns import SCNN_COLUMNS

__all__ = ["eie_columns", "eie_stall_classes", "scnn_columns", "scnn_stall_classes"]


def eie_stall_classes() -> str:
    """Return a table of what a PE of EIE does in a cycle."""
    return _table("class", class_meanings(EieStall))


def scnn_stall_classes() -> str:
    """Return a table of what the multipliers of a PE of SCNN do in a cycle."""
    return _table("class", class_meanings(ScnnStall))


def eie_columns() -> str:
    """Return a table of the columns of sweeps of EIE."""
    return _table("column", {name: what for name, (_, what) in EIE_COLUMNS.items()})


def scnn_columns() -> str:
    """Return a table of the columns of sweeps of SCNN."""
    return _table("column", {name: what for name, (_, what) in SCNN_COLUMNS.items()})


def _table(head: str, rows: dict[str, str]) -> str:
    lines = [f"| `{name}` | {what.replace('|', chr(92) + '|')} |" for name, what in rows.items()]
    return "\n".join([f"| {head} | meaning |", "|---|---|", *lines])
