"""Grow the clock's tree: buffers for neighbours, and for neighbouring buffers, up to its pin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from zeroskip.base.errors import ToolError
from zeroskip.flow.layout.block import Block, Instance
from zeroskip.flow.layout.lef import Lef
from zeroskip.flow.layout.place import Placement, Row, spread
from zeroskip.flow.layout.programs import Technology

__all__ = ["CLOCK", "grow_clock"]

CLOCK = "clk"
"""Pin of the clock."""

_FLIP_FLOPS, _BUFFERS = 16, 8
"""What a buffer drives, at most: of these, or of those."""


@dataclass(frozen=True)
class _Sink:
    """A pin that the clock goes to, and where its cell is, in places and rows."""

    cell: str
    pin: str
    x: float
    y: float


def grow_clock(
    block: Block, lef: Lef, technology: Technology, placement: Placement
) -> tuple[Block, Placement]:
    """Give a block that was placed a tree of buffers instead of the one net of its clock.

    Each group of neighbours has a buffer in their midst, and so have groups of buffers; all
    flip-flops are equally many buffers from the pin.

    Raises
    ------
    ToolError
        If rows have no room for the buffers.
    """
    places = {
        cell: (float(site), float(number))
        for number, row in enumerate(placement.rows)
        for cell, site in zip(row.cells, row.sites, strict=True)
    }
    sinks = [_Sink(cell, pin, *places[cell]) for cell, pin in block.nets.get(CLOCK, ())]
    buffer = technology.clock_buffer
    width = round(lef.macros[buffer].width / lef.site)
    widths = {
        cell: round(lef.macros[instance.kind].width / lef.site)
        for cell, instance in block.instances.items()
    }
    rows = [list(zip(row.cells, row.sites, strict=True)) for row in placement.rows]
    instances = dict(block.instances)
    most, level = _FLIP_FLOPS, 0
    # What is above rows counts as far as what is beside them.
    tall = lef.row / lef.site
    while len(sinks) > 1:
        parents: list[_Sink] = []
        for number, group in enumerate(_groups(sinks, most, tall)):
            name, net = f"clock_{level}_{number}", f"clk_{level}_{number}"
            x, y = fmean(sink.x for sink in group), fmean(sink.y for sink in group)
            row = _room(rows, widths, placement.sites, width, y)
            widths[name] = width
            rows[row].append((name, round(x)))
            rows[row].sort(key=lambda cell: cell[1])
            for sink in group:
                old = instances[sink.cell]
                instances[sink.cell] = replace(old, nets={**old.nets, sink.pin: net})
            instances[name] = Instance(buffer, {"A": CLOCK, "Y": net})
            parents.append(_Sink(name, "A", x, row))
        sinks, most, level = parents, _BUFFERS, level + 1
    legal = [
        Row(
            tuple(cell for cell, _ in row),
            spread([at for _, at in row], [widths[cell] for cell, _ in row], placement.sites),
        )
        for row in rows
    ]
    return replace(block, instances=instances), replace(placement, rows=tuple(legal))


def _groups(sinks: Sequence[_Sink], most: int, tall: float) -> list[list[_Sink]]:
    """Part sinks into neighbours, of at most so many each and about equally many."""
    count = -(-len(sinks) // most)
    if count == 1:
        return [list(sinks)]
    across = max(s.x for s in sinks) - min(s.x for s in sinks)
    up = tall * (max(s.y for s in sinks) - min(s.y for s in sinks))
    ordered = sorted(sinks, key=lambda s: (s.x, s.y) if across > up else (s.y, s.x))
    half = len(sinks) * (count // 2) // count
    return _groups(ordered[:half], most, tall) + _groups(ordered[half:], most, tall)


def _room(
    rows: Sequence[Sequence[tuple[str, int]]],
    widths: dict[str, int],
    sites: int,
    width: int,
    y: float,
) -> int:
    """Return the row nearest to ``y`` that has room for a cell of ``width``."""
    free = [sites - sum(widths[cell] for cell, _ in row) for row in rows]
    having = [number for number, room in enumerate(free) if room >= width]
    if not having:
        raise ToolError(
            "rows have no room for the clock's buffers: give --utilization a smaller share"
        )
    return min(having, key=lambda number: abs(number - y))
