"""Lay out a unit: one netlist, placed, routed, timed and checked."""

import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import staged_directory
from zeroskip.flow.flow import flow
from zeroskip.flow.layout.block import Block, map_block
from zeroskip.flow.layout.checks import Checks, check_block, finished_def
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.lef import read_lef, with_wide_vias
from zeroskip.flow.layout.picture import draw
from zeroskip.flow.layout.place import place
from zeroskip.flow.layout.programs import OSU018, Technology, check_programs
from zeroskip.flow.layout.route import route
from zeroskip.flow.layout.timing import TimedPath, time_block
from zeroskip.flow.layout.unit import UnitName, find_unit
from zeroskip.flow.layout.wires import make_tree, read_wires, wire_um
from zeroskip.flow.synth.liberty import Liberty, read_liberty
from zeroskip.flow.synth.sram_area import sram_area
from zeroskip.flow.synth.yosys import check_yosys

__all__ = ["MOST_CELLS", "SCALED_NM", "UNCHECKED", "Layout", "lay_out"]

MOST_CELLS = 20_000
"""What graywolf comes to an end with."""

SCALED_NM = 45
"""Process that an array's area is estimated for: that of the model of SRAMs."""

UNCHECKED = (
    "the clock's tree: its edge is taken to come to all flip-flops at once",
    "insides of cells: rules see their pins and obstructions, netlist and GDS have them as boxes",
    "SRAMs, which stand outside: their pins are pins of the unit, with no time of their own",
    "voltage drops, antennas, electromigration, and coupling between wires",
)
"""What no program here checks."""

_KEPT = (".v", ".def", ".gds", ".spef", ".svg", ".spice")
_LOGS = ("graywolf", "qrouter", "sta", "magic", "netgen-lvs")


@dataclass(frozen=True)
class Layout:
    """What became of a unit.

    Parameters
    ----------
    unit, preset, params : which one, and of which array.
    floor : what was laid out, and where.
    clock_ps : delay that mapping aimed at.
    flip_flops : of the netlist.
    failed : nets that were not routed.
    wires_um : length of wires by metal.
    vias, loose : vias, and ends of nets at which no wire was found.
    paths : the longest, ``without`` wires and ``with`` them, by kind, see :func:`.time_block`;
        ``hold``: how much later than the clock's edge the first datum comes.
    checks : against the process's rules and the netlist.
    seconds : that each step took, and how many of them of processors.
    """

    unit: UnitName
    preset: str
    params: Any
    floor: Floor
    clock_ps: int
    flip_flops: int
    failed: int
    wires_um: Mapping[str, float]
    vias: int
    loose: int
    paths: Mapping[str, Mapping[str, TimedPath]]
    checks: Checks
    seconds: Mapping[str, tuple[float, float]]

    @property
    def sound(self) -> bool:
        """All nets are routed, no rule is broken, and the layout is the netlist."""
        return not (self.failed or self.loose or self.checks.drc) and self.checks.lvs

    @property
    def period_ns(self) -> float:
        """Period of the clock, with wires."""
        return self.paths["with"]["all"].ns

    @property
    def um2(self) -> float:
        """Area of all, with pins and rails around the rows."""
        width, height = self.floor.die
        return width * height

    @property
    def array(self) -> dict[str, float] | None:
        """Estimate of a PE's array at 45 nm: its layout by the square of the scale, and SRAMs.

        None where the unit is no PE.
        """
        if not self.unit.whole:
            return None
        design = flow(self.unit.engine)
        pes = design.num_pes(self.params)
        logic = self.um2 * (SCALED_NM / self.floor.technology.nm) ** 2
        return {
            "pe_logic_um2": round(logic),
            "pe_sram_um2": round(self.sram_um2),
            "pes": pes,
            "mm2": round(pes * (logic + self.sram_um2) / 1e6, 2),
            "paper_mm2": round(pes * (design.paper_total or 0.0) / 1e6, 2),
        }

    @property
    def sram_um2(self) -> float:
        """Area of the SRAMs that stand outside, at 45 nm: an estimate."""
        return sram_area(self.floor.block.srams).model

    def to_dict(self) -> dict[str, Any]:
        """Return what ``summary.json`` has."""
        floor, block = self.floor, self.floor.block
        return {
            "unit": block.name,
            "engine": self.unit.engine,
            "preset": self.preset,
            "technology": floor.technology.name,
            "clock_ps": self.clock_ps,
            "cells": len(block.instances),
            "flip_flops": self.flip_flops,
            "nets": len(block.nets),
            "pins": len(block.pins),
            "constant_outputs": block.constant,
            "srams_outside": [asdict(sram) for sram in block.srams],
            "cell_um2": round(floor.cell_um2, 1),
            "rows": len(floor.placement.rows),
            "core_um": [round(edge, 2) for edge in floor.core],
            "die_um": [round(edge, 2) for edge in floor.die],
            "die_um2": round(self.um2, 1),
            "utilization": round(floor.utilization, 4),
            "fill_cells": floor.fills,
            "failed_nets": self.failed,
            "loose_ends": self.loose,
            "wire_um": round(sum(self.wires_um.values())),
            "wire_um_by_metal": {name: round(um) for name, um in sorted(self.wires_um.items())},
            "vias": self.vias,
            "period_ns": self.period_ns,
            "period_ns_without_wires": self.paths["without"]["all"].ns,
            "paths": {
                wires: {kind: asdict(path) for kind, path in kinds.items()}
                for wires, kinds in self.paths.items()
            },
            "drc": {"violations": self.checks.drc, "rules": self.checks.rules},
            "lvs": self.checks.lvs,
            "sound": self.sound,
            "not_checked": UNCHECKED,
            "array_estimate_45nm": self.array,
            "seconds": {step: round(took, 1) for step, (took, _) in self.seconds.items()},
            "cpu_seconds": {step: round(used, 1) for step, (_, used) in self.seconds.items()},
        }


def lay_out(
    unit: UnitName,
    preset: str,
    params: Any,
    output: Path,
    *,
    clock_ps: int,
    layers: int,
    full: float,
    seed: int = 1,
    technology: Technology = OSU018,
    progress: Progress | None = None,
) -> Layout:
    """Lay out a unit, and write all that became of it to a folder.

    Parameters
    ----------
    unit, preset, params : what to lay out, and of which array it is.
    output : folder to write, whole or not at all; one that is there must be of a layout.
    clock_ps : delay that mapping aims at.
    layers : metals that wires may take, from the lowest.
    full : share of the rows that cells take, as far as they fit.
    seed : of the placer's chance.
    technology : cells and their process.
    progress : see :data:`.Progress`.

    Raises
    ------
    ToolError
        If a program is missing or fails.
    InputError
        If there is no such unit, if it is too large, or if the folder holds something else.
    """
    report = progress or silent
    check_yosys()
    check_programs(technology)
    if output.exists() and not (output / "summary.json").is_file():
        raise InputError(f"{output} is there and is no layout: name another folder")
    lef_text = technology.file("lef").read_text()
    lef = read_lef(technology.file("lef"))
    if not 2 <= layers <= len(lef.metals):
        raise ParameterError("layers", layers, f"from 2 to {len(lef.metals)}")
    liberty = read_liberty(technology.file("lib"))
    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="zeroskip-layout-") as made:
        folder = Path(made)
        with _timed(seconds, "map"):
            text, top, inside = find_unit(unit, params)
            block = map_block(text, top, unit.name, liberty, clock_ps, report)
        _check_size(unit, block, inside)
        (folder / "cells.lef").write_text(with_wide_vias(lef_text))
        with _timed(seconds, "place"):
            placement = place(block, lef, technology, folder, full=full, seed=seed, progress=report)
        floor = Floor(block, lef, technology, placement)
        with _timed(seconds, "route"):
            failed = route(floor, folder, layers=layers, progress=report)
        routed = (folder / f"{block.name}_routed.def").read_text()
        (folder / f"{block.name}.def").write_text(finished_def(floor, routed))
        wires = read_wires(routed)
        with _timed(seconds, "time"):
            report("time paths", 0, 1)
            trees = {net: make_tree(floor, net, wires[net]) for net in block.nets if net in wires}
            paths = time_block(floor, liberty, trees, folder)
            report("time paths", 1, 1)
        with _timed(seconds, "check"):
            report("check rules and netlist", 0, 1)
            checks = check_block(floor, folder)
            report("check rules and netlist", 1, 1)
        registers = _registers(liberty)
        layout = Layout(
            unit,
            preset,
            params,
            floor,
            clock_ps,
            sum(cell.kind in registers for cell in block.instances.values()),
            failed,
            wire_um(wires),
            sum(len(net.vias) for net in wires.values()),
            sum(tree.loose for tree in trees.values()),
            paths,
            checks,
            seconds,
        )
        (folder / f"{block.name}.svg").write_text(draw(floor, wires, registers))
        with staged_directory(output) as new:
            for end in _KEPT:
                shutil.copy(folder / f"{block.name}{end}", new)
            (new / "logs").mkdir()
            for log in _LOGS:
                shutil.copy(folder / f"{log}.log", new / "logs")
            shutil.copy(folder / "lvs.txt", new / "logs")
            (new / "summary.json").write_text(json.dumps(layout.to_dict(), indent=1) + "\n")
    return layout


def _check_size(unit: UnitName, block: Block, inside: list[str]) -> None:
    if len(block.instances) <= MOST_CELLS:
        return
    where = ".".join(unit.path)
    names = [f"{where}.{name}" if where else name for name in inside]
    units = f": lay out its units {', '.join(names)}" if names else ""
    raise InputError(
        f"unit {block.name} has {len(block.instances):,} cells, and graywolf comes to no end with "
        f"more than some {MOST_CELLS:,}{units}"
    )


def _registers(liberty: Liberty) -> frozenset[str]:
    return frozenset(name for name, cell in liberty.cells.items() if cell.sequential)


@contextmanager
def _timed(seconds: dict[str, tuple[float, float]], step: str) -> Iterator[None]:
    begin, used = time.monotonic(), _processor_seconds()
    yield
    seconds[step] = time.monotonic() - begin, _processor_seconds() - used


def _processor_seconds() -> float:
    """Return what programs that have ended took of processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
