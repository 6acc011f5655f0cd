"""Build an array whose PEs are gates of a library, and find its cells in waves."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zeroskip.base.errors import InputError, ToolError
from zeroskip.base.progress import Progress, silent
from zeroskip.flow.flow import flow
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import Netlist, synthesize
from zeroskip.flow.synth.power import Power, check_energies
from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.sim.gates import build_gates
from zeroskip.sim.rtl.jobs import job_folder

__all__ = ["CELL", "CellPath", "build_pes", "cell_at", "cells_of"]

CellPath = tuple[str, ...]
"""Names of the instances that lead to a cell, from the PE, and its own."""

CELL = re.compile(r"^  (\w+) (\w+) \(\n", re.MULTILINE)
"""Kind and name of an instance in a netlist."""

_MODULE = re.compile(r"^module (\S+?)\(.*?^endmodule$", re.MULTILINE | re.DOTALL)


def build_pes(
    engine: str, params: Any, library: Liberty, power: Power, progress: Progress | None
) -> tuple[Netlist, Path]:
    """Map a PE to a library, and build the simulation of an array of such PEs, with waves.

    Raises
    ------
    InputError
        If nothing can be mapped to the library, or a cell of the PE has no energies in ``power``.
    ToolError
        If a tool is missing or fails.
    """
    modules = flow(engine).modules(params)
    (pe, make), (top, around) = list(modules.items())
    report = progress or silent
    texts = {"pe.v": emit_verilog(make(), pe)}
    try:
        netlist = synthesize(texts, pe, library, path=False, progress=progress)
    except ToolError as error:
        # What Yosys and abc say does not name the library.
        raise InputError(f"nothing can be mapped to library {library.name}: {error}") from error
    # Signals that begin with _ are not in waves.
    netlist = replace(netlist, verilog=re.sub(r"\b_(\d+)_\b", r"g\1", netlist.verilog))
    kinds = {kind for kind, _ in CELL.findall(netlist.verilog)}
    check_energies(kinds & library.cells.keys(), library, power)
    report("write models of cells", 0, 1)
    models = _models(library, kinds)
    report("write models of cells", 1, 1)
    texts = {"pe.v": netlist.verilog, "array.v": emit_verilog(around(), top)}
    name = f"{engine}_power_{params.num_pes}"
    program = build_gates(name, texts, top, (pe,), progress, models=models, waves=True)
    return netlist, program


def _models(library: Liberty, kinds: set[str]) -> str:
    """Write Verilog of cells, from what the library says of their functions."""
    with job_folder() as folder:
        (folder / "cells.lib").write_text(library.text)
        run_yosys(
            ["read_liberty -ignore_miss_func cells.lib", "write_verilog -noattr models.v"], folder
        )
        text = (folder / "models.v").read_text()
    return "\n".join(found[0] for found in _MODULE.finditer(text) if found[1] in kinds)


def cells_of(netlist: Netlist, library: Liberty) -> Iterator[tuple[CellPath, str]]:
    """Give the kind of each cell by the instances that it is in, in a PE."""
    inside = {
        found[1]: [(kind, name) for kind, name in CELL.findall(found[0])]
        for found in _MODULE.finditer(netlist.verilog)
    }

    def below(module: str, path: CellPath) -> Iterator[tuple[CellPath, str]]:
        children = netlist.modules[module].children
        for kind, name in inside[module]:
            if kind in library.cells:
                yield (*path, name), kind
        for name, child in children.items():
            yield from below(child, (*path, name))

    yield from below(netlist.top, ())


def cell_at(path: Sequence[str], cells: Mapping[CellPath, str]) -> CellPath | None:
    """Return which cell of a PE a scope of waves is; None if it is none."""
    for begin in range(1, len(path)):
        if (inner := tuple(path[begin:])) in cells:
            return inner
    return None
