"""The longest path of a routed design, in the names of the design."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.hw.board.shell import TOP_INSTANCE

__all__ = ["LongestPath", "longest_path", "name_of_cell"]

# Names of the design are of small letters; Yosys and nextpnr append types and ports of cells, and
# the row and column of a memory's block.
_APPENDED = re.compile(r"\.\d+\.\d+|_?[A-Z$]")

# Signals that have no name in Verilog.
_UNNAMED = re.compile(r"\._[\d_]*$")


@dataclass(frozen=True)
class LongestPath:
    """A path from a register or memory to another that takes the longest.

    Parameters
    ----------
    begin, end : instances and register or memory, from the board's top on.
    ns : it takes.
    wires_ns : of these, wires take.
    longest_wire_ns : the longest of the wires takes.
    """

    begin: str
    end: str
    ns: float
    wires_ns: float
    longest_wire_ns: float


def longest_path(report: Mapping[str, Any]) -> LongestPath | None:
    """Find the longest path between registers in nextpnr's ``timing.json``; None if it has none."""
    paths = [path["path"] for path in report["critical_paths"] if path["from"] == path["to"]]
    if not paths:
        return None
    path = max(paths, key=_delay)
    wires = [step["delay"] for step in path if step["type"] == "routing"]
    return LongestPath(
        begin=name_of_cell(path[0]["from"]["cell"]),
        end=name_of_cell(path[-1]["to"]["cell"]),
        ns=round(_delay(path), 2),
        wires_ns=round(sum(wires), 2),
        longest_wire_ns=round(max(wires, default=0.0), 2),
    )


def name_of_cell(cell: str) -> str:
    """Give the design's name for a register or memory that a cell of the netlist is part of.

    A cell that a tool has made without one keeps its own name.
    """
    name = _APPENDED.split(cell.removeprefix(f"{TOP_INSTANCE}."), maxsplit=1)[0]
    return _UNNAMED.sub("", name).removesuffix(".rows") or cell


def _delay(path: list[dict[str, Any]]) -> float:
    return sum(step["delay"] for step in path)
