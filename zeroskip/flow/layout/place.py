"""Place the cells of a block: graywolf finds their order in rows, which are then made to fit."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from zeroskip.base.errors import ToolError
from zeroskip.base.progress import Progress
from zeroskip.flow.layout.block import Block
from zeroskip.flow.layout.lef import Lef, Macro
from zeroskip.flow.layout.programs import Technology, run_program

__all__ = ["UNITS", "Placement", "Row", "legal_placement", "place", "spread"]

UNITS = 100
"""Database units in a um, of graywolf and of DEF."""

_TEMPERATURES = 158
_SIDES = ("left", "right", "bottom", "top")


@dataclass(frozen=True)
class Row:
    """A row of cells: their names from the left, and where each begins, in places."""

    cells: tuple[str, ...]
    sites: tuple[int, ...]


@dataclass(frozen=True)
class Placement:
    """Where cells and pins are.

    Parameters
    ----------
    rows : from the bottom; every second one is upside down, so that rows share their rails.
    sites : places in each row.
    pins : by side, in order from the left or the bottom.
    """

    rows: tuple[Row, ...]
    sites: int
    pins: Mapping[str, tuple[str, ...]]


def place(
    block: Block,
    lef: Lef,
    technology: Technology,
    folder: Path,
    *,
    utilization: float,
    seed: int,
    progress: Progress,
) -> Placement:
    """Place a block.

    Parameters
    ----------
    block, lef, technology : what to place.
    folder : for files of programs.
    utilization : share of the rows that cells take.
    seed : of graywolf's chance.
    progress : see :data:`.Progress`.

    Raises
    ------
    ToolError
        If graywolf fails.
    """
    (folder / f"{block.name}.cel").write_text("\n".join(_cells(block, lef)) + "\n")
    parameters = technology.file("par").read_text()
    parameters = re.sub(r"(random\.seed\s*:\s*)\d+", rf"\g<1>{seed}", parameters)
    (folder / f"{block.name}.par").write_text(parameters)
    cooled = 0

    def watch(line: str) -> None:
        nonlocal cooled
        # It counts the temperatures that it has come down to.
        if re.fullmatch(r"[\s\d]+", line) and (counts := line.split()):
            cooled = max(cooled, min(int(counts[-1]), _TEMPERATURES))
            progress(f"place {block.name}", cooled, _TEMPERATURES)

    progress(f"place {block.name}", 0, _TEMPERATURES)
    run_program("graywolf", ["-n", block.name], folder, watch)
    progress(f"place {block.name}", _TEMPERATURES, _TEMPERATURES)
    result = folder / f"{block.name}.pl1"
    if not result.is_file():
        raise ToolError("graywolf placed nothing, and does not say why")
    return legal_placement(block, lef, result.read_text(), utilization)


def _cells(block: Block, lef: Lef) -> Iterator[str]:
    """Write what graywolf reads: cells around their middles, and pins."""
    step = _units(lef.site)
    for number, (name, instance) in enumerate(block.instances.items()):
        macro = lef.macros[instance.kind]
        wide, high = _units(macro.width) // 2, _units(macro.height) // 2
        yield f"cell {number} {name}"
        yield f"left {-wide} right {wide} bottom {-high} top {high}"
        for place, x in enumerate(range(step // 2 - wide, wide, step), 1):
            yield f"pin name twfeed{place} signal TW_PASS_THRU layer 1 {x} {-high}"
            yield f"   equiv name twfeed{place} layer 1 {x} {high}"
        for pin, net in instance.nets.items():
            x, y = _middle(macro, pin)
            yield f"pin name {pin} signal {net} layer 1 {x - wide} {y - high}"
    half = step // 2
    for number, pin in enumerate(block.pins, 1):
        yield f"pad {number} name twpin_{pin}"
        yield f"corners 4 -{half} -{half} -{half} {half} {half} {half} {half} -{half}"
        yield f"pin name {pin} signal {pin} layer 1 0 0"


def _middle(macro: Macro, pin: str) -> tuple[int, int]:
    _, (left, bottom, right, top) = macro.pins[pin].shapes[0]
    return _units((left + right) / 2), _units((bottom + top) / 2)


def _units(um: float) -> int:
    return round(um * UNITS)


def legal_placement(block: Block, lef: Lef, text: str, utilization: float) -> Placement:
    """Read what graywolf says, and move cells to places, none over another.

    graywolf leaves no gaps; where rows are to be less full, there is one after every few cells.
    """
    step = _units(lef.site)
    rows: dict[int, list[tuple[int, str]]] = {}
    for line in text.splitlines():
        name, left, _, _, _, _, row = line.split()[:7]
        if name in block.instances:
            rows.setdefault(int(row), []).append((int(left), name))
    placed = {name for row in rows.values() for _, name in row}
    if missing := block.instances.keys() - placed:
        raise ToolError(f"graywolf left out {len(missing)} cells, {min(missing)} among them")
    widths = {
        name: round(lef.macros[cell.kind].width / lef.site)
        for name, cell in block.instances.items()
    }
    edge = min(left for row in rows.values() for left, _ in row)
    longest = max(sum(widths[name] for _, name in row) for row in rows.values())
    sites = max(longest, math.ceil(sum(widths.values()) / (len(rows) * utilization)))
    scale = sites / longest / step
    legal = []
    for _, row in sorted(rows.items()):
        row.sort()
        names = [name for _, name in row]
        wanted = [round((left - edge) * scale) for left, _ in row]
        legal.append(Row(tuple(names), spread(wanted, [widths[name] for name in names], sites)))
    return Placement(tuple(legal), sites, _pins(block, lef, legal, sites))


def _pins(block: Block, lef: Lef, rows: Sequence[Row], sites: int) -> dict[str, tuple[str, ...]]:
    """Spread pins evenly around the rows, each as near to its cells as the others let it be."""
    width, height = sites * lef.site, len(rows) * lef.row
    around = 2 * (width + height)
    places = {
        name: (site * lef.site, (number + 0.5) * lef.row)
        for number, row in enumerate(rows)
        for name, site in zip(row.cells, row.sites, strict=True)
    }
    wanted = []
    for pin in block.pins:
        near = [places[cell] for cell, _ in block.nets[pin]]
        x, y = fmean(x for x, _ in near), fmean(y for _, y in near)
        # Along the edge from the lower left corner, counterclockwise, where that is nearest.
        ways = ((y, x), (width - x, width + y), (height - y, around - height - x), (x, around - y))
        wanted.append((min(ways)[1], pin))
    wanted.sort()
    step = around / max(1, len(wanted))
    ideal = np.array([along for along, _ in wanted])
    slots = (np.arange(len(wanted)) + 0.5) * step

    def distance(turn: int) -> float:
        apart = np.abs(np.roll(slots, turn) - ideal)
        return float(np.minimum(apart, around - apart).sum())

    best = min(range(len(wanted)), key=distance, default=0)
    sides: dict[str, list[tuple[float, str]]] = {side: [] for side in _SIDES}
    for along, (_, pin) in zip(np.roll(slots, best).tolist(), wanted, strict=True):
        if along < width:
            sides["bottom"].append((along, pin))
        elif along < width + height:
            sides["right"].append((along - width, pin))
        elif along < around - height:
            sides["top"].append((around - height - along, pin))
        else:
            sides["left"].append((around - along, pin))
    return {side: tuple(pin for _, pin in sorted(pins)) for side, pins in sides.items()}


def spread(wanted: Sequence[int], widths: Sequence[int], sites: int) -> tuple[int, ...]:
    """Give cells of a row places near those wanted, in the same order, within ``sites``.

    Parameters
    ----------
    wanted, widths : of each cell, in places.
    sites : of the row.
    """
    found: list[int] = []
    free = 0
    for place, width in zip(wanted, widths, strict=True):
        found.append(max(place, free))
        free = found[-1] + width
    limit = sites
    for index in reversed(range(len(found))):
        limit = found[index] = min(found[index], limit - widths[index])
    return tuple(found)
