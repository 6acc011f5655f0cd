"""Draw a block: its cells, its rails, its pins, and its wires by layer."""

from collections.abc import Iterator, Mapping

from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.place import UNITS
from zeroskip.flow.layout.wires import Wires

__all__ = ["draw"]

_COLOURS = {
    "metal1": "#3b6fb6",
    "metal2": "#b5473c",
    "metal3": "#3f8f4f",
    "metal4": "#8a5fb0",
    "metal5": "#c58a1f",
    "metal6": "#2f9aa0",
}
_REGISTER, _GATE, _FILL, _RAIL, _PIN = "#f2c879", "#cfd8e3", "#f4f4f4", "#5a5a5a", "#101010"


def draw(floor: Floor, wires: Mapping[str, Wires], registers: frozenset[str]) -> str:
    """Write an SVG, a um of the block a unit of it.

    Parameters
    ----------
    floor, wires : the block.
    registers : kinds of cells that hold a bit.
    """
    width, height = floor.die
    legend = 14.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + legend:g}"',
        f'  width="{2 * width:g}" height="{2 * (height + legend):g}" font-family="sans-serif">',
        f'<rect width="{width:g}" height="{height + legend:g}" fill="#ffffff"/>',
        # From the bottom up, as in a layout.
        f'<g transform="translate(0 {height:g}) scale(1 -1)">',
        *_cells(floor, registers),
        *(_rect(*rect, _RAIL) for _, rect in floor.rails()),
        *_wires(floor, wires),
        *(_rect(x - 0.6, y - 0.6, x + 0.6, y + 0.6, _PIN) for _, x, y in floor.pins.values()),
        "</g>",
        *_legend(floor, wires, height + legend - 4),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _cells(floor: Floor, registers: frozenset[str]) -> Iterator[str]:
    for colour, wanted in ((_FILL, "fill"), (_GATE, "gate"), (_REGISTER, "register")):
        path = []
        for cell in floor.cells:
            fill = cell.kind == floor.technology.fill
            kind = "fill" if fill else "register" if cell.kind in registers else "gate"
            if kind == wanted:
                macro = floor.lef.macros[cell.kind]
                x, y, wide, high = cell.x, cell.y, macro.width, macro.height
                path.append(f"M{x:g} {y:g}h{wide:g}v{high:g}h-{wide:g}z")
        if path:
            style = f'fill="{colour}" stroke="#8895a5" stroke-width="0.15"'
            yield f'<path d="{"".join(path)}" {style}/>'


def _wires(floor: Floor, wires: Mapping[str, Wires]) -> Iterator[str]:
    for layer, metal in floor.lef.metals.items():
        path = [
            f"M{x / UNITS:g} {y / UNITS:g}L{to_x / UNITS:g} {to_y / UNITS:g}"
            for net in wires.values()
            for on, (x, y), (to_x, to_y) in net.pieces
            if on == layer
        ]
        if path:
            style = f'stroke="{_COLOURS[layer]}" stroke-width="{metal.width:g}"'
            yield f'<path d="{"".join(path)}" fill="none" {style} stroke-opacity="0.7"/>'


def _legend(floor: Floor, wires: Mapping[str, Wires], y: float) -> Iterator[str]:
    used = {layer for net in wires.values() for layer, _, _ in net.pieces}
    entries = [("flip-flops", _REGISTER), ("gates", _GATE), ("rails", _RAIL)]
    entries += [(layer, _COLOURS[layer]) for layer in floor.lef.metals if layer in used]
    step = floor.die[0] / len(entries)
    size = min(7.0, step / 6)
    for index, (name, colour) in enumerate(entries):
        x = index * step + 2
        yield _rect(x, y - size, x + size, y, colour)
        place = f'x="{x + 1.4 * size:g}" y="{y - 0.1 * size:g}" font-size="{size:g}"'
        yield f"<text {place}>{name}</text>"


def _rect(left: float, bottom: float, right: float, top: float, colour: str) -> str:
    return (
        f'<rect x="{left:.6g}" y="{bottom:.6g}" width="{right - left:.4g}" '
        f'height="{top - bottom:.4g}" fill="{colour}"/>'
    )
