"""The longest path of a design: from where to where, through how many gates, how long."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroskip.base.errors import ToolError
from zeroskip.flow.synth.ends import Ends
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.hw.common.sram import SRAM_MODULES

__all__ = ["LongestPath", "fast_mapping", "path_commands", "read_path"]

# The usual script of Yosys, but with a pass that shortens paths before mapping.
_FAST = """\
strash
&get -n
&fraig -x
&put
scorr
dretime
strash
&get -n
&if -g -K 6
&dch -f
&nf -D {clock}
&put
"""

# Where there are delays: gates of the sizes that their loads ask for.
_SIZES = """\
buffer -p
topo
upsize -D {clock}
dnsize -D {clock}
stime -p
"""

_LOAD_FF = 6.0
"""What outputs and SRAM inputs are loaded with, a few gates."""


@dataclass(frozen=True)
class LongestPath:
    """A path through combinational gates, between registers, SRAMs and ports.

    Parameters
    ----------
    start, end : the register, SRAM or port at its ends.
    levels : gates on it.
    delay_ps : how long it takes, without clock-to-output of the first register, set-up of the
        last, and wires; None where the library has no delays.
    area : of all combinational cells of the design that has this path, in the library's unit.
    """

    start: str
    end: str
    levels: int
    delay_ps: float | None
    area: float | None


def path_commands(folder: Path, liberty: Liberty, clock_ps: int, boxes: Sequence[str]) -> list[str]:
    """Return the commands that find the longest path of the design ``synthesized``.

    Modules are dissolved first, all but ``boxes``: a path may go through several of them.
    """
    commands = [
        "design -load synthesized",
        "flatten",
        "opt",
        # Registers of the library's kind, with gates for what it has none for. They are where
        # paths begin and end; once mapped, all between them is one network to abc.
        "dfflibmap -prepare -liberty cells.lib",
        "opt_clean",
        "write_json flat.json",
        "dfflibmap -map-only -liberty cells.lib",
    ]
    mapping = fast_mapping(folder, liberty, clock_ps)
    if not liberty.has_timing:
        ends = [*SRAM_MODULES, *boxes]
        ends += [name for name, cell in liberty.cells.items() if cell.sequential]
        return [
            *commands,
            mapping,
            "opt_clean -purge",
            f"delete {' '.join(f't:{kind}' for kind in ends)}",
            "read_liberty -ignore_miss_func -lib cells.lib",
            "tee -q -o path.txt ltp -noff",
        ]
    return [*commands, f"tee -q -o path.txt {mapping}"]


def fast_mapping(folder: Path, liberty: Liberty, clock_ps: int) -> str:
    """Return the command that maps a design without hierarchy for speed, to ``cells.lib``.

    What it reads is written to ``folder``.
    """
    script = _FAST + (_SIZES if liberty.has_timing else "")
    (folder / "fast.abc").write_text(script.format(clock=clock_ps))
    if not liberty.has_timing:
        return "abc -liberty cells.lib -script fast.abc"
    (folder / "load.txt").write_text(f"set_driving_cell {liberty.buffer}\nset_load {_LOAD_FF}\n")
    return f"abc -liberty cells.lib -D {clock_ps} -constr load.txt -script fast.abc"


def read_path(folder: Path, liberty: Liberty) -> LongestPath:
    """Read what the commands have found.

    Raises
    ------
    ToolError
        If it cannot be understood.
    """
    text = (folder / "path.txt").read_text()
    (module,) = (
        module
        for module in json.loads((folder / "flat.json").read_text())["modules"].values()
        if "top" in module["attributes"]
    )
    where = Ends(module)
    if liberty.has_timing:
        if text.count("Start-point = ") != 1:
            raise ToolError("abc of Yosys did not see the design as one network")
        summary = re.search(r"Area = *([\d.]+).*?Delay = *([\d.]+) ps", text)
        steps = re.findall(r"Path +(\d+) --", text)
        ends = re.search(r"Start-point = \S+ \((.*?)\)\. +End-point = \S+ \((.*?)\)\.", text)
        if not (summary and steps and ends):
            raise ToolError("abc of Yosys did not say which path is the longest")
        return LongestPath(
            where.start(_signal(ends[1])),
            where.end(_signal(ends[2])),
            int(steps[-1]),
            float(summary[2]),
            float(summary[1]),
        )
    length = re.search(r"\(length=(\d+)\)", text)
    steps = re.findall(r"^ +(\d+): (.*?)(?: \(via .*)?$", text, re.MULTILINE)
    if not (length and steps):
        raise ToolError("ltp of Yosys did not say which path is the longest")
    start, end = where.start(_signal(steps[0][1])), where.end(_signal(steps[-1][1]))
    return LongestPath(start, end, int(length[1]), None, None)


def _signal(name: str) -> str:
    return name.replace("\\", "").replace(" [", "[").strip()
