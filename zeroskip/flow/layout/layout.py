"""Lay out a unit: one netlist, placed, routed, timed and checked."""

import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import staged_directory
from zeroskip.flow.layout.block import Block, map_block
from zeroskip.flow.layout.checks import check_block, finished_def
from zeroskip.flow.layout.clock import CLOCK, grow_clock
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.lef import read_lef, with_wide_vias
from zeroskip.flow.layout.picture import draw
from zeroskip.flow.layout.place import place
from zeroskip.flow.layout.programs import OSU018, Technology, check_programs
from zeroskip.flow.layout.result import SCALED_NM, Layout
from zeroskip.flow.layout.route import route
from zeroskip.flow.layout.tiling import draw_tiling
from zeroskip.flow.layout.timing import time_block
from zeroskip.flow.layout.unit import UnitName, find_unit
from zeroskip.flow.layout.wires import Wires, make_tree, read_wires, wire_um
from zeroskip.flow.synth.liberty import Liberty, read_liberty
from zeroskip.flow.synth.yosys import check_yosys

__all__ = ["MOST_CELLS", "lay_out"]

MOST_CELLS = 20_000
"""What graywolf comes to an end with."""

_KEPT = (".v", ".def", ".gds", ".spef", ".spice")
_LOGS = ("graywolf", "qrouter", "sta", "magic", "netgen-lvs")


def lay_out(
    unit: UnitName,
    preset: str,
    params: Any,
    output: Path,
    *,
    clock_ps: int,
    metals: int,
    utilization: float,
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
    metals : metals that wires may take, from the lowest.
    utilization : share of the rows that cells take, as far as they fit.
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
    if not 2 <= metals <= len(lef.metals):
        raise ParameterError("metals", metals, f"from 2 to {len(lef.metals)}")
    liberty = read_liberty(technology.file("lib"))
    seconds: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="zeroskip-layout-") as made:
        folder = Path(made)
        with _timed(seconds, "map"):
            text, top, inside = find_unit(unit, params)
            block = map_block(text, top, unit.name, liberty, clock_ps, report)
        if CLOCK not in block.inputs:
            raise InputError(f"unit {block.name} has no clock: lay out one that has flip-flops")
        _check_size(unit, block, inside)
        (folder / "cells.lef").write_text(with_wide_vias(lef_text))
        with _timed(seconds, "place"):
            placement = place(
                block, lef, technology, folder, utilization=utilization, seed=seed, progress=report
            )
            block, placement = grow_clock(block, lef, technology, placement)
        floor = Floor(block, lef, technology, placement, metals)
        with _timed(seconds, "route"):
            failed = route(floor, folder, metals=metals, progress=report)
        routed = (folder / f"{block.name}_routed.def").read_text()
        (folder / f"{block.name}.def").write_text(finished_def(floor, routed))
        wires = read_wires(routed)
        with _timed(seconds, "time"):
            report("time paths", 0, 1)
            trees = {net: make_tree(floor, net, wires[net]) for net in block.nets if net in wires}
            timing = time_block(floor, liberty, trees, folder)
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
            timing,
            checks,
            seconds,
        )
        _write(output, folder, layout, _pictures(layout, wires, registers))
    return layout


def _write(output: Path, folder: Path, layout: Layout, pictures: Mapping[str, str]) -> None:
    """Write a folder of what was made in another, of pictures, logs and a summary."""
    with staged_directory(output) as new:
        for end in _KEPT:
            shutil.copy(folder / f"{layout.floor.block.name}{end}", new)
        for name, text in pictures.items():
            (new / name).write_text(text)
        (new / "logs").mkdir()
        for log in _LOGS:
            shutil.copy(folder / f"{log}.log", new / "logs")
        shutil.copy(folder / "lvs.txt", new / "logs")
        (new / "summary.json").write_text(json.dumps(layout.to_dict(), indent=1) + "\n")


def _pictures(
    layout: Layout, wires: Mapping[str, Wires], registers: frozenset[str]
) -> dict[str, str]:
    """Draw the unit, and the array if the unit is its PE, by names of files."""
    pictures = {f"{layout.floor.block.name}.svg": draw(layout.floor, wires, registers)}
    if (tiling := layout.tiling) is not None and (array := layout.array) is not None:
        title = f"{layout.unit.engine}, preset {layout.preset}, {array['pes']} PEs"
        title = f"{title} at {SCALED_NM} nm: an estimate"
        pictures["array.svg"] = draw_tiling(tiling, title, array["paper_mm2"])
    return pictures


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
