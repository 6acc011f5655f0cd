"""The floor plan of a placed block: coordinates of cells, pins and rails, as DEF."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from zeroskip.flow.layout.block import Block
from zeroskip.flow.layout.lef import Lef, Rect
from zeroskip.flow.layout.place import UNITS, Placement
from zeroskip.flow.layout.programs import Technology

__all__ = ["MARGIN_UM", "Floor", "Placed"]

MARGIN_UM = 8.0
"""Around the rows: pins at the outside, and the rails that join those of the rows."""

_BAR_UM = 2.0
_GAP_UM = 1.0
_RAIL_UM = 0.6
_SIDE_LAYERS = {
    "left": ("metal3", "metal5"),
    "right": ("metal3", "metal5"),
    "bottom": ("metal2", "metal4"),
    "top": ("metal2", "metal4"),
}


@dataclass(frozen=True)
class Placed:
    """A cell, its place in um, and whether it is upside down."""

    name: str
    kind: str
    x: float
    y: float
    flipped: bool

    @property
    def orientation(self) -> str:
        """As DEF has it."""
        return "FS" if self.flipped else "N"


@dataclass(frozen=True)
class Floor:
    """Where all is.

    Parameters
    ----------
    block, lef, technology, placement : what is laid out.
    metals : metals that wires may take, from the lowest.
    """

    block: Block
    lef: Lef
    technology: Technology
    placement: Placement
    metals: int

    @property
    def core(self) -> tuple[float, float]:
        """Width and height of the rows, in um."""
        return self.placement.sites * self.lef.site, len(self.placement.rows) * self.lef.row

    @property
    def die(self) -> tuple[float, float]:
        """Width and height of all, in um."""
        width, height = self.core
        return width + 2 * MARGIN_UM, height + 2 * MARGIN_UM

    @property
    def cell_um2(self) -> float:
        """Area of the cells, without fill."""
        kinds = (cell.kind for cell in self.block.instances.values())
        return sum(self.lef.macros[kind].width for kind in kinds) * self.lef.row

    @property
    def utilization(self) -> float:
        """Share of the rows' area that standard cells take, from 0 to 1."""
        width, height = self.core
        return self.cell_um2 / (width * height)

    @cached_property
    def cells(self) -> tuple[Placed, ...]:
        """Cells, and what fills the gaps between them."""
        return tuple(self._cells())

    @property
    def fills(self) -> int:
        """Number of cells that fill gaps."""
        return len(self.cells) - len(self.block.instances)

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Pins that the block is driven by."""
        return frozenset(self.block.inputs)

    @cached_property
    def _places(self) -> dict[str, Placed]:
        return {cell.name: cell for cell in self.cells}

    def shapes(self, cell: str, pin: str) -> list[tuple[str, Rect]]:
        """Return the shapes of a cell's pin where they are, by layer."""
        placed = self._places[cell]
        macro = self.lef.macros[placed.kind]
        found = []
        for layer, (left, bottom, right, top) in macro.pins[pin].shapes:
            if placed.flipped:
                bottom, top = macro.height - top, macro.height - bottom
            x, y = placed.x, placed.y
            found.append((layer, (x + left, y + bottom, x + right, y + top)))
        return found

    def _cells(self) -> Iterator[Placed]:
        site, fill = self.lef.site, self.technology.fill
        for number, row in enumerate(self.placement.rows):
            y, flipped = MARGIN_UM + number * self.lef.row, bool(number % 2)
            free = 0
            ends = [*zip(row.cells, row.sites, strict=True), ("", self.placement.sites)]
            for name, begin in ends:
                for place in range(free, begin):
                    yield Placed(f"f{number}_{place}", fill, MARGIN_UM + place * site, y, flipped)
                if name:
                    kind = self.block.instances[name].kind
                    yield Placed(name, kind, MARGIN_UM + begin * site, y, flipped)
                    free = begin + round(self.lef.macros[kind].width / site)

    @cached_property
    def pins(self) -> dict[str, tuple[str, float, float]]:
        """Layer and middle of each pin: on tracks, as far from each other as there is room.

        Where pins would be on more than half of the tracks, every second one is on a higher metal.
        """
        width, height = self.core
        found: dict[str, tuple[str, float, float]] = {}
        for side, names in self.placement.pins.items():
            low, high = _SIDE_LAYERS[side]
            across = self.lef.metals[low].horizontal
            along = height if across else width
            crowded = 2 * len(names) > int(along / self.lef.metals[low].pitch)
            upper = crowded and high in [*self.lef.metals][: self.metals]
            for index, name in enumerate(names):
                layer = high if upper and index % 2 else low
                metal = self.lef.metals[layer]
                tracks = int(along / metal.pitch)
                track = int((index + 0.5) * tracks / len(names))
                place = MARGIN_UM + (track + 0.5) * metal.pitch
                edge = {"left": 0.0, "bottom": 0.0, "right": self.die[0], "top": self.die[1]}[side]
                inside = edge + metal.width / 2 if edge == 0 else edge - metal.width / 2
                found[name] = (layer, inside, place) if across else (layer, place, inside)
        return found

    def rails(self) -> Iterator[tuple[str, Rect]]:
        """Give what joins the rails of rows: ground at the left, power at the right."""
        width, height = self.core
        left, right = MARGIN_UM - _GAP_UM, MARGIN_UM + width + _GAP_UM
        bottom, top = MARGIN_UM - _RAIL_UM / 2, MARGIN_UM + height + _RAIL_UM / 2
        yield "gnd", (left - _BAR_UM, bottom, left, top)
        yield "vdd", (right, bottom, right + _BAR_UM, top)
        for number in range(len(self.placement.rows) + 1):
            y = MARGIN_UM + number * self.lef.row
            low, high = y - _RAIL_UM / 2, y + _RAIL_UM / 2
            if number % 2:
                yield "vdd", (MARGIN_UM + width, low, right, high)
            else:
                yield "gnd", (left, low, MARGIN_UM, high)

    def to_def(self) -> str:
        """Write DEF: all but wires between cells."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        width, height = self.die
        yield "VERSION 5.6 ;"
        yield 'DIVIDERCHAR "/" ;'
        yield 'BUSBITCHARS "[]" ;'
        yield f"DESIGN {self.block.name} ;"
        yield f"UNITS DISTANCE MICRONS {UNITS} ;"
        yield f"DIEAREA ( 0 0 ) ( {_units(width)} {_units(height)} ) ;"
        for name, metal in self.lef.metals.items():
            way, length = ("Y", height) if metal.horizontal else ("X", width)
            # Tracks go through the middles of places, and so of the cells' pins.
            count = int(length / metal.pitch)
            step = _units(metal.pitch)
            yield f"TRACKS {way} {step // 2} DO {count} STEP {step} LAYER {name} ;"
        yield f"COMPONENTS {len(self.cells)} ;"
        for cell in self.cells:
            x, y = _units(cell.x), _units(cell.y)
            yield f"- {cell.name} {cell.kind} + PLACED ( {x} {y} ) {cell.orientation} ;"
        yield "END COMPONENTS"
        yield f"PINS {len(self.pins)} ;"
        for name, (layer, x, y) in self.pins.items():
            half = _units(self.lef.metals[layer].width) // 2
            way = "INPUT" if name in self.inputs else "OUTPUT"
            yield f"- {name} + NET {name} + DIRECTION {way}"
            yield f"  + LAYER {layer} ( -{half} -{half} ) ( {half} {half} )"
            yield f"  + PLACED ( {_units(x)} {_units(y)} ) N ;"
        yield "END PINS"
        yield f"NETS {len(self.block.nets)} ;"
        for net, ends in self.block.nets.items():
            yield f"- {net}"
            if net in self.pins:
                yield f"  ( PIN {net} )"
            yield from (f"  ( {cell} {pin} )" for cell, pin in ends)
            yield " ;"
        yield "END NETS"
        yield "END DESIGN"


def _units(um: float) -> int:
    return round(um * UNITS)
