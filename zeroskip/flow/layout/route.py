"""Route a placed block with qrouter."""

import re
from pathlib import Path

from zeroskip.base.errors import ToolError
from zeroskip.base.progress import Progress
from zeroskip.flow.layout.floor import MARGIN_UM, Floor
from zeroskip.flow.layout.programs import run_program

__all__ = ["route"]

_LEFT = re.compile(r"Nets remaining: (\d+)")
_FAILED = re.compile(r"^Final: (?:No failed routes|Failed net routes: (\d+))", re.MULTILINE)

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
    width, height = floor.die
    inner = MARGIN_UM - 0.4
    # No wires of the lowest metal around the rows, where rails are.
    edges = (
        (0.0, 0.0, width, inner),
        (0.0, height - inner, width, height),
        (0.0, 0.0, inner, height),
        (width - inner, 0.0, width, height),
    )
    obstructions = "\n".join(
        f"obstruction {' '.join(f'{edge:.2f}' for edge in box)} metal1" for box in edges
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
