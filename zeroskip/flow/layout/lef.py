"""Read LEF: metal layers, vias, and the sizes and pins of cells."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zeroskip.base.errors import InputError

__all__ = ["Lef", "Macro", "Metal", "Pin", "Rect", "read_lef", "with_wide_vias"]

_PAD = "-0.200 -0.200 0.200 0.200"
_WIDE_PAD = "-0.200 -0.250 0.200 0.250"

Rect = tuple[float, float, float, float]
"""Left, bottom, right and top, in um."""


@dataclass(frozen=True)
class Metal:
    """A layer of wires.

    Parameters
    ----------
    horizontal : direction of its tracks.
    pitch, width : of tracks and wires, in um.
    ohm_square : resistance of a square.
    pf_um2, pf_um : capacitance of an area, and of a length of edge.
    """

    horizontal: bool
    pitch: float
    width: float
    ohm_square: float
    pf_um2: float
    pf_um: float


@dataclass
class Pin:
    """A pin of a cell: ``INPUT``, ``OUTPUT`` or ``INOUT``, and its shapes by layer."""

    direction: str = ""
    shapes: list[tuple[str, Rect]] = field(default_factory=list)


@dataclass
class Macro:
    """A cell: its size in um, and its pins, those of power with them."""

    width: float = 0.0
    height: float = 0.0
    pins: dict[str, Pin] = field(default_factory=dict)


@dataclass(frozen=True)
class Lef:
    """A library of cells.

    Parameters
    ----------
    metals : layers of wires by name, from the lowest.
    vias : the two metals that each via joins.
    macros : cells by name.
    site, row : width of a place for cells and height of a row of them, in um.
    """

    metals: Mapping[str, Metal]
    vias: Mapping[str, tuple[str, str]]
    macros: Mapping[str, Macro]
    site: float
    row: float


def read_lef(path: Path) -> Lef:
    """Read a LEF file.

    Raises
    ------
    InputError
        If it has no cells, no site for them or no metals.
    """
    text = path.read_text()
    metals: dict[str, Metal] = {}
    for name, body in _blocks(text, "LAYER"):
        if (pitch := _number(body, "PITCH")) is not None:
            metals[name] = Metal(
                bool(re.search(r"^\s*DIRECTION\s+HORIZONTAL", body, re.MULTILINE)),
                pitch,
                _number(body, "WIDTH") or 0.0,
                _number(body, "RESISTANCE RPERSQ") or 0.0,
                _number(body, "CAPACITANCE CPERSQDIST") or 0.0,
                _number(body, "EDGECAPACITANCE") or 0.0,
            )
    vias = {}
    for name, body in _blocks(text, "VIA"):
        joined = [layer for layer in re.findall(r"LAYER\s+(\S+)\s*;", body) if layer in metals]
        if len(joined) == 2:
            vias[name] = (joined[0], joined[1])
    macros = {name: _macro(body) for name, body in _blocks(text, "MACRO")}
    sites = [_size(body) for _, body in _blocks(text, "SITE")]
    if not macros or not sites or not metals:
        raise InputError(f"LEF file {path} lacks cells, a site for them, or metals")
    return Lef(metals, vias, macros, *sites[0])


def with_wide_vias(text: str) -> str:
    """Make pads of vias as large as a via must be that no wire goes on from.

    Where vias stand on each other, the pad between them is all that there is of its metal; 0.4 um
    by 0.4 um is less than the smallest area that the process allows. The lowest metal stays as it
    is: pins of cells are there, which are larger.
    """

    def widened(found: re.Match[str]) -> str:
        layer, rect = found[1], found[2]
        return found[0] if layer == "metal1" else found[0].replace(rect, _WIDE_PAD)

    def of_via(found: re.Match[str]) -> str:
        return re.sub(rf"LAYER (\w+) ;\s+RECT ({_PAD}) ;", widened, found[0])

    return re.sub(r"^VIA (\S+) .*?^END \1$", of_via, text, flags=re.MULTILINE | re.DOTALL)


def _blocks(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Give the names and bodies of what begins with ``kind`` at the start of a line."""
    for found in re.finditer(rf"^{kind}\s+(\S+)[^\n]*\n(.*?)^END\s+\1\s*$", text, re.M | re.S):
        yield found[1], found[2]


def _number(body: str, name: str) -> float | None:
    words = r"\s+".join(name.split())
    found = re.search(rf"^\s*{words}\s+(\S+)\s*;", body, re.MULTILINE)
    return float(found[1]) if found else None


def _size(body: str) -> tuple[float, float]:
    found = re.search(r"^\s*SIZE\s+(\S+)\s+BY\s+(\S+)", body, re.MULTILINE)
    return (float(found[1]), float(found[2])) if found else (0.0, 0.0)


def _macro(body: str) -> Macro:
    macro = Macro(*_size(body))
    for name, inside in re.findall(
        r"^\s+PIN\s+(\S+)\s*\n(.*?)^\s+END\s+\1\s*$", body, re.MULTILINE | re.DOTALL
    ):
        pin = macro.pins.setdefault(name, Pin())
        if found := re.search(r"^\s*DIRECTION\s+(\w+)", inside, re.MULTILINE):
            pin.direction = found[1]
        layer = ""
        for what, rest in re.findall(r"^\s*(LAYER|RECT)\s+(.*?)\s*;", inside, re.MULTILINE):
            if what == "LAYER":
                layer = rest
            else:
                left, bottom, right, top = map(float, rest.split())
                pin.shapes.append((layer, (left, bottom, right, top)))
    return macro
