"""Definitions of figures that stand in the code."""

from zeroskip.sim.definitions import class_meanings
from zeroskip.sim.machine import find_evaluation, machine

__all__ = ["columns", "stall_classes"]


def stall_classes(engine: str) -> str:
    """Return a table of what the multipliers of an engine do in a cycle."""
    return _table("class", class_meanings(machine(engine).classes))


def columns(engine: str) -> str:
    """Return a table of the columns of an engine's sweeps."""
    sweep = find_evaluation(engine).sweep({}, None, None, None)
    return _table("column", {name: what for name, (_, what) in sweep.columns.items()})


def _table(head: str, rows: dict[str, str]) -> str:
    lines = [f"| `{name}` | {what.replace('|', chr(92) + '|')} |" for name, what in rows.items()]
    return "\n".join([f"| {head} | meaning |", "|---|---|", *lines])
