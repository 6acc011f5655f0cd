"""Check a routed block with magic and netgen, and write its GDS."""

import re
from dataclasses import dataclass
from pathlib import Path

from zeroskip.base.errors import ToolError
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.lef import Rect
from zeroskip.flow.layout.place import UNITS
from zeroskip.flow.layout.programs import run_program
from zeroskip.flow.layout.wires import read_wires

__all__ = ["Checks", "check_block", "finished_def", "is_same_netlist", "spice"]

_USES = {"vdd": "POWER", "gnd": "GROUND"}

_LONE_POINT = re.compile(r"(?:ROUTED|NEW) \S+ \d+ \( (\d+) (\d+) \)(?=\s*(?:NEW|;))")

_STARTUP = """\
path sys +{folder}
tech load {magic} -noprompt
set GND gnd
set VDD vdd
drc euclidean on
drc off
"""

_SCRIPT = """\
box 0 0 0 0
snap int
lef read cells.lef
def read {name}.def
load {name}
select top cell
expand
gds write {name}.gds
drc on
drc check
drc catchup
puts "drc: [drc list count total]"
foreach {{what places}} [drc listall why] {{
  puts "rule: [llength $places] $what"
}}
drc off
extract all
ext2spice hierarchy on
ext2spice format ngspice
ext2spice scale off
ext2spice renumber off
ext2spice cthresh infinite
ext2spice rthresh infinite
ext2spice blackbox on
ext2spice subcircuit top auto
ext2spice global off
ext2spice -o {name}_layout.spice
quit -noprompt
"""


@dataclass(frozen=True)
class Checks:
    """What checks found.

    Parameters
    ----------
    drc : places at which a rule of the process is broken.
    rules : number of places by rule.
    lvs : the netlist that magic finds in the layout is the one that was placed.
    """

    drc: int
    rules: dict[str, int]
    lvs: bool


def check_block(floor: Floor, folder: Path) -> Checks:
    """Check ``<name>.def``, with ``cells.lef`` beside it; write ``<name>.gds``.

    Cells are what LEF has of them: pins and obstructions to rules, boxes to the netlist.

    Raises
    ------
    ToolError
        If magic or netgen fails.
    """
    name, technology = floor.block.name, floor.technology
    startup = _STARTUP.format(folder=technology.folder, magic=technology.magic)
    (folder / "magicrc").write_text(startup)
    (folder / "magic.tcl").write_text(_SCRIPT.format(name=name))
    run_program("magic", ["-dnull", "-noconsole", "-rcfile", "magicrc", "magic.tcl"], folder)
    log = (folder / "magic.log").read_text(errors="replace")
    count = re.search(r"^drc: (\d+)$", log, re.MULTILINE)
    if count is None or not (folder / f"{name}_layout.spice").is_file():
        raise ToolError("magic did not come to its end, and does not say why")
    rules = {what: int(n) for n, what in re.findall(r"^rule: (\d+) (.*)$", log, re.MULTILINE)}
    (folder / f"{name}.spice").write_text(spice(floor))
    sides = [f"{name}_layout.spice {name}", f"{name}.spice {name}"]
    setup = str(technology.file("tcl"))
    run_program("netgen-lvs", ["-batch", "lvs", *sides, setup, "lvs.txt", "-blackbox"], folder)
    text = (folder / "lvs.txt").read_text(errors="replace")
    return Checks(int(count[1]), rules, is_same_netlist(text))


def is_same_netlist(text: str) -> bool:
    """Tell from what netgen says if both netlists are the same, and have their pins alike."""
    # Pins are compared after all else; those that have changed places are marked in their list.
    same = "Circuits match uniquely" in text and "Cell pin lists are equivalent" in text
    return same and "Mismatch" not in text


def spice(floor: Floor) -> str:
    """Write the netlist as SPICE, in which cells are boxes."""
    lines = ["* Netlist of cells as boxes"]
    kinds = {cell.kind: floor.lef.macros[cell.kind] for cell in floor.cells}
    for kind, macro in sorted(kinds.items()):
        lines += [f".subckt {kind} {' '.join(macro.pins)}", ".ends"]
    lines.append(f".subckt {floor.block.name} {' '.join(floor.block.pins)} vdd gnd")
    for cell in floor.cells:
        instance = floor.block.instances.get(cell.name)
        nets = {} if instance is None else instance.nets
        ends = (nets.get(pin, pin) for pin in kinds[cell.kind].pins)
        lines.append(f"X{cell.name} {' '.join(ends)} {cell.kind}")
    return "\n".join([*lines, ".ends", ""])


def finished_def(floor: Floor, text: str) -> str:
    """Return what was routed with whole ends of wires, and with the rails of power and ground."""
    text = _with_whole_ends(text)
    rails: dict[str, list[Rect]] = {}
    for net, rect in floor.rails():
        rails.setdefault(net, []).append(rect)
    pins, wires = [], []
    for net, rects in rails.items():
        left, bottom, right, top = (round(edge * UNITS) for edge in rects[0])
        half = (right - left) // 2
        pins.append(f"- {net} + NET {net} + DIRECTION INOUT + USE {_USES[net]}")
        pins.append(f"  + LAYER metal1 ( -{half} -{half} ) ( {half} {half} )")
        pins.append(f"  + PLACED ( {(left + right) // 2} {(bottom + top) // 2} ) N ;")
        pieces = "\n  NEW ".join(map(_wire, rects))
        wires.append(f"- {net}\n+ ROUTED {pieces} + USE {_USES[net]} ;")
    if "SPECIALNETS" not in text:
        text = text.replace("\nEND DESIGN", "\nSPECIALNETS 0 ;\nEND SPECIALNETS\nEND DESIGN")
    for section, lines in (("PINS", pins), ("SPECIALNETS", wires)):
        count = re.search(rf"^{section} (\d+) ;$", text, re.MULTILINE)
        assert count is not None
        head = f"{section} {int(count[1]) + len(rails)} ;"
        text = text[: count.start()] + "\n".join([head, *lines]) + text[count.end() :]
    return text


def _with_whole_ends(text: str) -> str:
    """Complete the wide ends of wires at pins, of which qrouter leaves out one of two points.

    A wire as wide as usual leaves a notch beside the via that it comes from.
    """
    wires = read_wires(text)

    def completed(net: str, found: re.Match[str]) -> str:
        x, y = int(found[1]), int(found[2])
        near = [
            (abs(to_x - x) + abs(to_y - y), to_x, to_y)
            for _, to_x, to_y in wires[net].vias
            if (to_x == x) != (to_y == y)
        ]
        distance, to_x, to_y = min(near, default=(UNITS, 0, 0))
        return f"{found[0]} ( {to_x} {to_y} )" if distance < UNITS else found[0]

    def of_net(found: re.Match[str]) -> str:
        return _LONE_POINT.sub(lambda point: completed(found[1], point), found[0])

    start = text.find("\nSPECIALNETS")
    nets = re.compile(r"^- (\S+)\n.*?;", re.MULTILINE | re.DOTALL)
    return text if start < 0 else text[:start] + nets.sub(of_net, text[start:])


def _wire(rect: Rect) -> str:
    left, bottom, right, top = (round(edge * UNITS) for edge in rect)
    if right - left >= top - bottom:
        y = (bottom + top) // 2
        return f"metal1 {top - bottom} ( {left} {y} ) ( {right} {y} )"
    x = (left + right) // 2
    return f"metal1 {right - left} ( {x} {bottom} ) ( {x} {top} )"
