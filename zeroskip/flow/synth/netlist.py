"""Synthesis: Verilog of a design to a netlist of a library's cells."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.flow.synth.gates import Gates, read_gates
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.path import LongestPath, path_commands, read_path
from zeroskip.flow.synth.yosys import Progress, run_yosys
from zeroskip.hw.common.sram import SRAM_MODULES

__all__ = ["DEFAULT_CLOCK_PS", "SRAM_PORTS", "Module", "Netlist", "Sram", "sram_of", "synthesize"]

DEFAULT_CLOCK_PS = 1150
"""Delay that mapping aims at: the EIE paper's critical path (section VI)."""

SRAM_PORTS = Path(__file__).with_name("srams_bb.v")
"""Verilog of SRAMs as boxes: their ports and nothing else."""


@dataclass(frozen=True)
class Sram:
    """An SRAM: its instance name, rows, and bits of a row."""

    name: str
    depth: int
    width: int

    @property
    def bits(self) -> int:
        """Capacity."""
        return self.depth * self.width


@dataclass(frozen=True)
class Module:
    """Cells of a module itself, without those of the modules in it.

    Parameters
    ----------
    registers, combinational : areas in the library's unit.
    cells : number of the library's cells.
    flipflops : number of those that hold a bit.
    srams : in it.
    children : module by instance name.
    """

    registers: float
    combinational: float
    cells: int
    flipflops: int
    srams: tuple[Sram, ...]
    children: Mapping[str, str]


@dataclass(frozen=True)
class Netlist:
    """A mapped design.

    Parameters
    ----------
    top : name of its top module.
    modules : by name.
    verilog : of all modules; SRAMs are instances of boxes, cells of the library's.
    path : the longest path of the flattened design; None where it was not asked for.
    gates : of the top module; None if it has other modules, or SRAMs, in it.
    """

    top: str
    modules: Mapping[str, Module]
    verilog: str
    path: LongestPath | None
    gates: Gates | None = None

    def below(self, name: str) -> list[str]:
        """Return a module's name and those of all instances in it, once per instance."""
        inner = (self.below(child) for child in self.modules[name].children.values())
        return [name, *(unit for names in inner for unit in names)]


def synthesize(
    verilog: Mapping[str, str],
    top: str,
    liberty: Liberty,
    *,
    boxes: Sequence[str] = (),
    clock_ps: int = DEFAULT_CLOCK_PS,
    path: bool = True,
    progress: Progress | None = None,
) -> Netlist:
    """Map a design to the cells of a library, module by module.

    Parameters
    ----------
    verilog : text by file name; SRAMs are instances of ``SRAM_MODULES``.
    top : name of the top module.
    liberty : the library.
    boxes : modules that are not looked into; they must be in ``verilog``.
    clock_ps : delay to aim at, for libraries that have delays.
    path : find the longest path.
    progress : told of two steps, whose names end with ``top``'s.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="zeroskip-synth-") as name:
        folder = Path(name)
        (folder / "cells.lib").write_text(liberty.text)
        (folder / "sram.v").write_text(SRAM_PORTS.read_text())
        for file, text in verilog.items():
            (folder / file).write_text(text)
        commands = [
            f"read_verilog sram.v {' '.join(verilog)}",
            *(f"blackbox {box}" for box in boxes),
            f"hierarchy -check -top {top}",
            "proc",
            # Gates wake up in any state. A reset must do without what simulators start with.
            "setattr -unset init w:*",
            f"synth -top {top} -booth",
            "design -save synthesized",
            "dfflibmap -liberty cells.lib",
            f"abc -liberty cells.lib -D {clock_ps}",
            "setundef -zero",
            "splitnets",
            "opt_clean -purge",
            "read_liberty -ignore_miss_func -lib cells.lib",
            "check -assert -mapped",
            "tee -q -o cells.json stat -json",
            "write_json design.json",
            "write_verilog -noattr -noexpr netlist.v",
        ]
        more = path_commands(folder, liberty, clock_ps, boxes) if path else []
        report = progress or (lambda *_: None)

        def ran(count: int) -> None:
            report(f"synthesize {top}", min(count, len(commands)), len(commands))
            if path and count >= len(commands):
                report(f"find the longest path of {top}", count - len(commands), len(more))

        run_yosys([*commands, *more], folder, ran)
        cells = json.loads((folder / "cells.json").read_text())["modules"]
        design = json.loads((folder / "design.json").read_text())["modules"]
        return Netlist(
            top,
            _modules(cells, design, liberty, set(boxes)),
            _without_stamp((folder / "netlist.v").read_text()),
            read_path(folder, liberty) if path else None,
            _gates(design[top], liberty),
        )


def _gates(module: Mapping[str, Any], liberty: Liberty) -> Gates | None:
    """Return the gates of a module; None if it has other modules, or SRAMs, in it."""
    plain = all(cell["type"] in liberty.cells for cell in module["cells"].values())
    return read_gates(module) if plain else None


def _modules(
    stats: dict[str, dict], design: dict[str, dict], liberty: Liberty, boxes: set[str]
) -> dict[str, Module]:
    """Take the modules out of what ``stat`` and ``write_json`` say."""
    modules = {}
    for raw, stat in stats.items():
        name = raw.removeprefix("\\")
        if name in boxes:
            continue
        counts: dict[str, int] = stat["num_cells_by_type"]
        gates = {cell: n for cell, n in counts.items() if cell in liberty.cells}
        storing = {cell: n for cell, n in gates.items() if liberty.cells[cell].sequential}
        area = sum(n * liberty.cells[cell].area for cell, n in gates.items())
        registers = sum(n * liberty.cells[cell].area for cell, n in storing.items())
        instances = {
            key: cell for key, cell in design[name]["cells"].items() if cell["type"] not in gates
        }
        modules[name] = Module(
            registers,
            area - registers,
            sum(gates.values()),
            sum(storing.values()),
            tuple(
                sram_of(key, cell)
                for key, cell in instances.items()
                if cell["type"] in SRAM_MODULES
            ),
            {
                key: cell["type"]
                for key, cell in instances.items()
                if cell["type"] not in SRAM_MODULES and cell["type"] not in boxes
            },
        )
    return modules


def sram_of(name: str, cell: Mapping[str, Any]) -> Sram:
    """Read depth and width of an SRAM from its instance in Yosys' netlist (JSON)."""
    return Sram(name, *(int(cell["parameters"][size], 2) for size in ("DEPTH", "WIDTH")))


def _without_stamp(verilog: str) -> str:
    """Drop the first line, which names the version of Yosys and of its compiler."""
    return re.sub(r"\A/\* Generated by .*\*/\n", "", verilog)
