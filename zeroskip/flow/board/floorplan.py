"""Floorplan: where an ECP5 has the block memories and multipliers of each PE."""

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.board.synthesize import NETLIST, TOP
from zeroskip.hw.board.boards import Board
from zeroskip.hw.board.shell import TOP_INSTANCE

__all__ = ["plan_floor", "ring_of_sites"]

# The ECP5-85F, by nextpnr's coordinates: block memories stand in rows, four in each 9 columns, with
# multipliers in rows between them.
_BLOCKS, _MULTIPLIER = "DP16KD", "MULT18X18D"
_FIRST, _PITCH, _SITE_BLOCKS = 4, 9, 4
_LOW, _MIDDLE, _HIGH = 22, 46, 70
# By the row of block memories: the row of the multiplier, and its number in the 9 columns.
_MULTIPLIERS = {_LOW: (34, 0), _MIDDLE: (34, 4), _HIGH: (58, 0)}

# Of fewer PEs, nextpnr finds good places by itself; more do not fit beside one another in three
# rows of block memories without being far from the middle.
_PES = range(5, 17)


def plan_floor(board: Board, array: BoardArray[Any], folder: Path) -> bool:
    """Give block memories and multipliers of PEs their places, in the netlist in ``folder``.

    nextpnr begins with all cells in one place, and cannot move block memories far later: those of a
    PE came to stand up to 55 columns from its logic. Each PE gets four memories in a row and the
    multiplier beside them, the PEs a ring around what all of them wait for; all else is placed
    by nextpnr, near to them.

    Returns
    -------
    Whether there is a plan: not for other families, designs without PEs that are mapped by
    themselves, fewer than 5 or more than 16 PEs, or PEs with more memories.
    """
    if board.family != "ecp5" or len(array.apart) not in _PES:
        return False
    document = json.loads((folder / NETLIST).read_text())
    cells = document["modules"][TOP]["cells"]
    sites = ring_of_sites(len(array.apart))
    for instance, (column, row) in zip(array.apart, sites, strict=True):
        inside = f"{TOP_INSTANCE}.{instance}."
        blocks = _cells_of(cells, inside, _BLOCKS)
        multipliers = _cells_of(cells, inside, _MULTIPLIER)
        if len(blocks) > _SITE_BLOCKS or len(multipliers) > 1:
            return False
        for number, cell in enumerate(blocks):
            _place(cell, column + 2 * number, row, f"EBR{number}")
        for cell in multipliers:
            at, number = _MULTIPLIERS[row]
            _place(cell, column + number, at, f"MULT18_{number}")
    (folder / NETLIST).write_text(json.dumps(document))
    return True


def ring_of_sites(count: int) -> list[tuple[int, int]]:
    """Return column and row of the first block memory of each of ``count`` PEs.

    The ring goes around two sites in the middle; PEs that follow each other stand side by side.
    """
    width = 4 if count <= 10 else 6
    beside = range(width // 2 - 1)
    sites = [(number, _LOW) for number in range(width)]
    sites += [(width - 1 - number, _MIDDLE) for number in beside]
    sites += [(width - 1 - number, _HIGH) for number in range(width)]
    sites += [(number, _MIDDLE) for number in beside]
    return [(_FIRST + _PITCH * number, row) for number, row in sites[:count]]


def _cells_of(
    cells: Mapping[str, MutableMapping[str, Any]], inside: str, kind: str
) -> list[MutableMapping[str, Any]]:
    """Return the cells of a kind in an instance, in the order of their names."""
    names = [name for name in cells if name.startswith(inside) and cells[name]["type"] == kind]
    return [cells[name] for name in sorted(names)]


def _place(cell: MutableMapping[str, Any], column: int, row: int, site: str) -> None:
    cell["attributes"]["BEL"] = f"X{column}/Y{row}/{site}"
