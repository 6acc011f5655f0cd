"""Tile an array with its PEs, SRAMs as blocks beside a PE's laid-out logic: an estimate."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zeroskip.base.errors import ParameterError

__all__ = ["LOGIC", "Box", "Tiling", "draw_tiling", "tile_array"]

LOGIC = "logic"
"""Name of the block that is no SRAM."""

_COLOURS = ("#9fb8d8", "#c7b3de", "#a8cfae", "#e6c58f", "#d8a9a3", "#9fcfd2")
_LOGIC, _AROUND, _PAPER = "#b5473c", "#5a5a5a", "#101010"
_LETTER = 5.5
"""Width of a letter of a block's name; a block has its name in it if there is room."""


@dataclass(frozen=True)
class Box:
    """A block: its name, its lower left corner and its edges, in um."""

    name: str
    left: float
    bottom: float
    width: float
    height: float

    @property
    def um2(self) -> float:
        """Its area."""
        return self.width * self.height


@dataclass(frozen=True)
class Tiling:
    """An array of equal PEs.

    Parameters
    ----------
    pe : blocks of a PE, its lower left corner at 0.
    columns, rows : of PEs.
    around : what is around the PEs, a strip along the lower edge; its area in um2.
    """

    pe: tuple[Box, ...]
    columns: int
    rows: int
    around: float = 0.0

    @property
    def pe_um(self) -> tuple[float, float]:
        """Width and height of a PE."""
        return (
            max(box.left + box.width for box in self.pe),
            max(box.bottom + box.height for box in self.pe),
        )

    @property
    def strip_um(self) -> float:
        """Height of the strip."""
        return self.around / (self.columns * self.pe_um[0])

    @property
    def um(self) -> tuple[float, float]:
        """Width and height of the array."""
        width, height = self.pe_um
        return self.columns * width, self.rows * height + self.strip_um

    @property
    def mm2(self) -> float:
        """Area of the array."""
        width, height = self.um
        return width * height / 1e6


def tile_array(blocks: Mapping[str, float], pes: int, around: float = 0.0) -> Tiling:
    """Pack a PE's blocks to a square, and tile a rectangle, as square as can be, with PEs.

    Nothing is left between blocks: neither halos of SRAMs nor channels for wires. Each block takes
    the shape that it is given, which is wrong for memories of fixed shapes.

    Parameters
    ----------
    blocks : area of each block of a PE, in um2.
    pes : PEs of the array.
    around : area of what is around the PEs, in um2.

    Raises
    ------
    ParameterError
        If an area is not above 0, or there is no PE.
    """
    for name, um2 in blocks.items():
        if not um2 > 0:
            raise ParameterError(f"the area of block {name}", um2, "above 0")
    if pes < 1:
        raise ParameterError("pes", pes, "at least 1")
    rows = max(rows for rows in range(1, math.isqrt(pes) + 1) if pes % rows == 0)
    edge = math.sqrt(sum(blocks.values()))
    ordered = sorted(blocks.items(), key=lambda block: -block[1])
    packed = tuple(_pack(ordered, Box("", 0.0, 0.0, edge, edge)))
    return Tiling(packed, pes // rows, rows, around)


def _pack(blocks: Sequence[tuple[str, float]], room: Box) -> Iterator[Box]:
    """Cut a room across its longer edge, in two halves of the blocks, until each has its own."""
    if len(blocks) == 1:
        yield Box(blocks[0][0], room.left, room.bottom, room.width, room.height)
        return
    total = sum(um2 for _, um2 in blocks)
    # From the largest block on, until about a half is there.
    count, first = 1, blocks[0][1]
    while count < len(blocks) - 1 and first + blocks[count][1] / 2 < total / 2:
        first += blocks[count][1]
        count += 1
    share = first / total
    if room.width >= room.height:
        cut = room.width * share
        halves = (
            Box("", room.left, room.bottom, cut, room.height),
            Box("", room.left + cut, room.bottom, room.width - cut, room.height),
        )
    else:
        cut = room.height * share
        halves = (
            Box("", room.left, room.bottom, room.width, cut),
            Box("", room.left, room.bottom + cut, room.width, room.height - cut),
        )
    yield from _pack(blocks[:count], halves[0])
    yield from _pack(blocks[count:], halves[1])


def draw_tiling(tiling: Tiling, title: str, paper_mm2: float = 0.0) -> str:
    """Write an SVG: the array on the left, one PE with its blocks' names on the right.

    Parameters
    ----------
    tiling : the array.
    title : what it is of, a line.
    paper_mm2 : area that the paper has, a dashed square; none if 0.
    """
    width, height = tiling.um
    side = max(width, height, 1e3 * math.sqrt(paper_mm2))
    scale = 480 / side
    line, margin, top = 15, 20, 44
    ordered = sorted(tiling.pe, key=lambda box: -box.um2)
    fills = {
        box.name: _COLOURS[number % len(_COLOURS)]
        for number, box in enumerate(box for box in ordered if box.name != LOGIC)
    }
    fills[LOGIC] = _LOGIC
    under = top + 480 + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 {under + 24}"',
        f'  width="920" height="{under + 24}" font-family="sans-serif" font-size="12">',
        f'<rect width="920" height="{under + 24}" fill="#ffffff"/>',
        f'<text x="{margin}" y="20" font-size="14">{title}</text>',
        f'<g transform="translate({margin} {top + 480}) scale({scale:.6g} -{scale:.6g})">',
        *_array(tiling, fills, 1 / scale),
        "</g>",
    ]
    if paper_mm2:
        edge = 1e3 * math.sqrt(paper_mm2) * scale
        lines.append(
            f'<rect x="{margin}" y="{top + 480 - edge:.1f}" width="{edge:.1f}" '
            f'height="{edge:.1f}" fill="none" stroke="{_PAPER}" stroke-dasharray="6 4"/>'
        )
    beside = f"; dashed: the paper's {paper_mm2:.1f} mm2" if paper_mm2 else ""
    lines.append(
        f'<text x="{margin}" y="{under + 10}">{width / 1e3:.2f} x {height / 1e3:.2f} mm, '
        f"{tiling.mm2:.1f} mm2{beside}</text>"
    )
    lines += _one_pe(tiling, fills, 540, top, line)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _array(tiling: Tiling, fills: Mapping[str, str], stroke: float) -> Iterator[str]:
    wide, high = tiling.pe_um
    strip = tiling.strip_um
    if strip:
        yield f'<rect width="{tiling.um[0]:.1f}" height="{strip:.1f}" fill="{_AROUND}"/>'
    yield '<defs><g id="pe">'
    for box in tiling.pe:
        yield (
            f'<rect x="{box.left:.1f}" y="{box.bottom:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" fill="{fills[box.name]}"/>'
        )
    edge = f'stroke="#ffffff" stroke-width="{stroke:.1f}"'
    yield f'<rect width="{wide:.1f}" height="{high:.1f}" fill="none" {edge}/>'
    yield "</g></defs>"
    for place in range(tiling.rows * tiling.columns):
        row, column = divmod(place, tiling.columns)
        yield f'<use href="#pe" x="{column * wide:.1f}" y="{strip + row * high:.1f}"/>'


def _one_pe(
    tiling: Tiling, fills: Mapping[str, str], left: float, top: float, line: float
) -> Iterator[str]:
    """Draw one PE, and list its blocks below."""
    wide, high = tiling.pe_um
    scale = 300 / max(wide, high)
    for box in tiling.pe:
        x, y = left + box.left * scale, top + (high - box.bottom - box.height) * scale
        yield (
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width * scale:.1f}" '
            f'height="{box.height * scale:.1f}" fill="{fills[box.name]}" stroke="#ffffff" '
            'stroke-width="0.5"/>'
        )
        if box.height * scale > line and box.width * scale > 6 + _LETTER * len(box.name):
            yield f'<text x="{x + 3:.1f}" y="{y + 12:.1f}" font-size="10">{box.name}</text>'
    y = top + 300 + 2 * line
    yield f'<text x="{left}" y="{y}">a PE, {wide:.0f} x {high:.0f} um; um2 of its blocks:</text>'
    for number, box in enumerate(sorted(tiling.pe, key=lambda box: -box.um2)):
        column, row = divmod(number, 6)
        x, below = left + 190 * column, y + (row + 1) * line
        yield (
            f'<rect x="{x}" y="{below - 9}" width="9" height="9" fill="{fills[box.name]}"/>'
            f'<text x="{x + 14}" y="{below}">{box.name} {box.um2:,.0f}</text>'
        )
