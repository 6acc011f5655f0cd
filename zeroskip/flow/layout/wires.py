"""Read the wires of a routed block, and give each net its resistances and capacitances."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.lef import Lef, Rect
from zeroskip.flow.layout.place import UNITS

__all__ = ["End", "Tree", "Wires", "make_tree", "read_wires", "wire_um"]

End = tuple[str, str]
"""A cell and a pin of it; of pins of the block, the cell is called ``PIN``."""

Point = tuple[str, int, int]
"""A point of a wire: layer and coordinates, in database units."""

Node = Point | End

VIA_OHM = 6.0
"""Resistance of a via, as magic's description of the process has it for the lowest."""

_PIN_OHM = 0.1
_NEAR_UM = 0.21

_NET = re.compile(r"^- (\S+)(.*?);", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"(?:ROUTED|NEW)\s+(\S+)\s+(?:\d+\s+)?(.*?)(?=\sNEW\s|\Z)", re.DOTALL)
_STEP = re.compile(r"\(\s*(\S+)\s+(\S+)[^)]*\)|(\w+)")


@dataclass
class Wires:
    """Wires of a net: straight pieces on a layer, and vias by name and place."""

    pieces: list[tuple[str, tuple[int, int], tuple[int, int]]] = field(default_factory=list)
    vias: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass
class Tree:
    """Resistances and capacitances of a net, from where it is driven.

    Parameters
    ----------
    ohms : between two nodes by their numbers; node 0 is the driver's.
    pf : at each node.
    driver : cell and pin that drive the net.
    loads : nodes of all cells and pins, that of the driver with them.
    loose : ends that no wire joins to the driver; they are taken to be at it.
    """

    ohms: list[tuple[int, int, float]]
    pf: list[float]
    driver: End
    loads: dict[End, int]
    loose: int = 0


def read_wires(text: str) -> dict[str, Wires]:
    """Read wires by net from DEF, of usual width and of others."""
    found: dict[str, Wires] = defaultdict(Wires)
    for section in ("NETS", "SPECIALNETS"):
        match = re.search(rf"^{section} \d+ ;(.*?)^END {section}", text, re.MULTILINE | re.DOTALL)
        for name, body in _NET.findall(match[1] if match else ""):
            for layer, path in _PATH.findall(body):
                _follow(found[name], layer, path)
    return dict(found)


def _follow(wires: Wires, layer: str, path: str) -> None:
    """Add the pieces and vias of a path; ``*`` stands for the coordinate before."""
    at: tuple[int, int] | None = None
    for x, y, via in _STEP.findall(path):
        if via:
            assert at is not None
            wires.vias.append((via, *at))
            continue
        old = at or (0, 0)
        to = (old[0] if x == "*" else int(x), old[1] if y == "*" else int(y))
        if at is not None:
            wires.pieces.append((layer, at, to))
        at = to


def wire_um(wires: Mapping[str, Wires]) -> dict[str, float]:
    """Return the length of wires by layer, in um."""
    found: dict[str, float] = defaultdict(float)
    for net in wires.values():
        for layer, (x, y), (to_x, to_y) in net.pieces:
            found[layer] += (abs(to_x - x) + abs(to_y - y)) / UNITS
    return dict(found)


def make_tree(floor: Floor, net: str, wires: Wires) -> Tree:
    """Give a net its resistances and capacitances; where wires run in rings, one piece is cut."""
    ohms, pf = _graph(floor.lef, wires)
    points = list(ohms)
    graph: dict[Node, dict[Node, float]] = {point: {**near} for point, near in ohms.items()}
    ends = dict(_ends(floor, net))
    for end, shapes in ends.items():
        # Wires of a net may go on from any place of a pin.
        graph[end] = {}
        for point in points:
            if _touches(point, shapes):
                graph[end][point] = graph[point][end] = _PIN_OHM
    driver = next((end for end in ends if _drives(floor, end)), next(iter(ends)))
    numbers: dict[Node, int] = {driver: 0}
    tree = Tree([], [0.0], driver, {})
    waiting: list[Node] = [driver]
    while waiting:
        node = waiting.pop()
        for other, ohm in graph[node].items():
            if other not in numbers:
                numbers[other] = len(tree.pf)
                tree.pf.append(pf.get(other, 0.0))
                tree.ohms.append((numbers[node], numbers[other], ohm))
                waiting.append(other)
    for end in ends:
        tree.loose += end not in numbers
        tree.loads[end] = numbers.get(end, 0)
    # What is not joined to the driver is a load of it all the same.
    tree.pf[0] += sum(value for node, value in pf.items() if node not in numbers)
    return tree


def _graph(lef: Lef, wires: Wires) -> tuple[dict[Point, dict[Point, float]], dict[Node, float]]:
    """Return the resistances from each point to its neighbours, and its capacitance."""
    points: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for layer, begin, end in wires.pieces:
        points[layer].update((begin, end))
    for via, x, y in wires.vias:
        for layer in lef.vias[via]:
            points[layer].add((x, y))
    graph: dict[Point, dict[Point, float]] = {
        (layer, *point): {} for layer, places in points.items() for point in places
    }

    def join(a: Point, b: Point, ohm: float) -> None:
        graph[a].setdefault(b, ohm)
        graph[b].setdefault(a, ohm)

    pf: dict[Node, float] = defaultdict(float)
    for layer, (x, y), (to_x, to_y) in wires.pieces:
        metal = lef.metals[layer]
        low, high = (min(x, to_x), min(y, to_y)), (max(x, to_x), max(y, to_y))
        # Other wires of the net may end in the midst of a piece.
        on = sorted(
            point
            for point in points[layer]
            if low[0] <= point[0] <= high[0] and low[1] <= point[1] <= high[1]
        )
        for one, two in pairwise(on):
            um = (abs(two[0] - one[0]) + abs(two[1] - one[1])) / UNITS
            join((layer, *one), (layer, *two), metal.ohm_square * um / metal.width)
            for point in (one, two):
                farads = um * (metal.width * metal.pf_um2 + 2 * metal.pf_um)
                pf[layer, *point] += farads / 2
    for via, x, y in wires.vias:
        lower, upper = lef.vias[via]
        join((lower, x, y), (upper, x, y), VIA_OHM)
        for layer in (lower, upper):
            # qrouter moves vias a little, to where a pin is; they still overlap their wire.
            for other in points[layer] - {(x, y)}:
                if max(abs(other[0] - x), abs(other[1] - y)) <= _NEAR_UM * UNITS:
                    join((layer, x, y), (layer, *other), _PIN_OHM)
    return graph, pf


def _drives(floor: Floor, end: End) -> bool:
    cell, pin = end
    if cell == "PIN":
        return pin in floor.inputs
    kind = floor.block.instances[cell].kind
    return floor.lef.macros[kind].pins[pin].direction == "OUTPUT"


def _ends(floor: Floor, net: str) -> Iterator[tuple[End, Sequence[tuple[str, Rect]]]]:
    """Give what a net connects, (cell, pin) or (PIN, net), with the metal shapes of each, in um."""
    if net in floor.pins:
        layer, x, y = floor.pins[net]
        half = floor.lef.metals[layer].width / 2
        yield ("PIN", net), [(layer, (x - half, y - half, x + half, y + half))]
    for cell, pin in floor.block.nets[net]:
        yield (cell, pin), floor.shapes(cell, pin)


def _touches(point: Point, shapes: Sequence[tuple[str, Rect]]) -> bool:
    """Tell if a point of a wire is at a pin, or as near as half the width of a via."""
    layer, x, y = point[0], point[1] / UNITS, point[2] / UNITS
    return any(
        on == layer
        and left - _NEAR_UM <= x <= right + _NEAR_UM
        and bottom - _NEAR_UM <= y <= top + _NEAR_UM
        for on, (left, bottom, right, top) in shapes
    )
