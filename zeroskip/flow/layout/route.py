"""Route a placed block with qrouter."""

import re
from collections.abc import Iterator
from pathlib import Path

from zeroskip.base.errors import ToolError
from zeroskip.base.progress import Progress
from zeroskip.flow.layout.floor import MARGIN_UM, Floor
from zeroskip.flow.layout.lef import Rect
from zeroskip.flow.layout.programs import run_program

__all__ = ["obstacles", "route"]

_LEFT = re.compile(r"Nets remaining: (\d+)")
_FAILED = re.compile(r"^Final: (?:No failed routes|Failed net routes: (\d+))", re.MULTILINE)

_HAIR_UM = 0.1

_SCRIPT = """\
verbose 1
read_lef cells.lef
layers {metals}
via stack 2
vdd vdd
gnd gnd
{obstructions}
read_def {name}_placed.def
qrouter::standard_route {name}_routed.def false
quit
"""


def route(floor: Floor, folder: Path, *, metals: int, progress: Progress) -> int:
    """Route the block; return the number of nets that failed.

    It is left in ``<name>_routed.def``; ``cells.lef`` must be in the folder.

    Raises
    ------
    ToolError
        If qrouter fails.
    """
    name, nets = floor.block.name, len(floor.block.nets)
    (folder / f"{name}_placed.def").write_text(floor.to_def())
    obstructions = "\n".join(
        f"obstruction {' '.join(f'{edge:.2f}' for edge in box)} {metal}"
        for metal, box in obstacles(floor, metals)
    )
    script = _SCRIPT.format(metals=metals, name=name, obstructions=obstructions)
    (folder / f"{name}.cfg").write_text(script)

    def watch(line: str) -> None:
        if found := _LEFT.search(line):
            progress(f"route {name}", nets - int(found[1]), nets)

    run_program("qrouter", ["-nog", "-s", f"{name}.cfg"], folder, watch)
    if not (folder / f"{name}_routed.def").is_file():
        raise ToolError("qrouter wrote no routes, and does not say why")
    failed = _FAILED.findall((folder / "qrouter.log").read_text(errors="replace"))
    if not failed:
        raise ToolError("qrouter did not say how many nets failed")
    return int(failed[-1] or 0)


def obstacles(floor: Floor, metals: int) -> Iterator[tuple[str, Rect]]:
    """Give the metals and places, in um, in which no wires may be.

    Parameters
    ----------
    floor : what is routed.
    metals : metals that wires may take, from the lowest.
    """
    width, height = floor.die
    inner = MARGIN_UM - 0.4
    # None of the lowest metal around the rows, where rails are.
    yield "metal1", (0.0, 0.0, width, inner)
    yield "metal1", (0.0, height - inner, width, height)
    yield "metal1", (0.0, 0.0, inner, height)
    yield "metal1", (width - inner, 0.0, width, height)
    # None at all outside: qrouter has a track more than the block at its right and top.
    left, right, low, high = -_HAIR_UM, width + _HAIR_UM, -_HAIR_UM, height + _HAIR_UM
    for metal in [*floor.lef.metals][:metals]:
        yield metal, (left - MARGIN_UM, low - MARGIN_UM, right + MARGIN_UM, low)
        yield metal, (left - MARGIN_UM, high, right + MARGIN_UM, high + MARGIN_UM)
        yield metal, (left - MARGIN_UM, low - MARGIN_UM, left, high + MARGIN_UM)
        yield metal, (right, low - MARGIN_UM, right + MARGIN_UM, high + MARGIN_UM)
