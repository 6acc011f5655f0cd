"""Check the energy of an array's logic: changes of every gate's pins, beside counts of accesses."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zeroskip.base.errors import InputError, SimulationError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Table, percent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.flow.flow import flow
from zeroskip.flow.synth.liberty import Liberty, read_liberty
from zeroskip.flow.synth.netlist import Netlist, synthesize
from zeroskip.flow.synth.power import Power, read_power
from zeroskip.flow.synth.yosys import check_yosys, run_yosys
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.sim.energy.activity import Event, Sram, Unit
from zeroskip.sim.energy.measure import LEAKAGE, priced
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.energy.toggles import Toggles, count_toggles
from zeroskip.sim.gates import build_gates
from zeroskip.sim.machine import machine
from zeroskip.sim.rtl.jobs import job_folder
from zeroskip.sim.run import counts_of, run

__all__ = [
    "MOST_PES", "GateEnergy", "UnitEnergy", "cell_energy", "gate_energy", "gate_report",
]  # fmt: skip

MOST_PES = 4
"""PEs of gates that are simulated in minutes."""

_LOADS = 2.5
"""Inputs of gates behind a flip-flop that its count stands for, as the usual table has it."""

_CELL = re.compile(r"^  (\w+) (\w+) \(\n", re.MULTILINE)
_MODULE = re.compile(r"^module (\S+?)\(.*?^endmodule$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class UnitEnergy:
    """Energy of a unit's logic in an inference, of all PEs, in pJ.

    Parameters
    ----------
    unit : which.
    clock, registers, gates : of gates: what the clock takes in flip-flops, what their bits take
        that change, and what is between them.
    counted : the estimate of the same, from counts of accesses.
    """

    unit: Unit
    clock: float
    registers: float
    gates: float
    counted: float

    @property
    def pj(self) -> float:
        """Of gates."""
        return self.clock + self.registers + self.gates

    @property
    def over(self) -> float:
        """How much the estimate is over the gates, as a share of these."""
        return self.counted / self.pj - 1 if self.pj else 0.0


@dataclass(frozen=True)
class GateEnergy:
    """Energy of the logic of an array's PEs, in one inference.

    Parameters
    ----------
    name : of the network.
    library, volts : of cells.
    pes, cells, cycles : PEs, cells of each, and cycles that were counted.
    units : without the control of the array, and what only counts cycles.
    technology : constants of the estimate, in this library.
    """

    name: str
    library: str
    volts: float
    pes: int
    cells: int
    cycles: int
    units: tuple[UnitEnergy, ...]
    technology: Technology

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "name": self.name,
            "library": self.library,
            "volts": self.volts,
            "pes": self.pes,
            "cells": self.cells,
            "cycles": self.cycles,
            "clock_fj": self.technology.flip_flop.clock_fj,
            "data_fj": self.technology.flip_flop.data_fj,
            "switch_fj": self.technology.gate.switch_fj,
            "units": {
                unit.unit.value: {
                    "clock_pj": unit.clock,
                    "registers_pj": unit.registers,
                    "gates_pj": unit.gates,
                    "pj": unit.pj,
                    "counted_pj": unit.counted,
                    "over": unit.over,
                }
                for unit in self.units
            },
        }


def gate_energy(
    image: Image, x: ArrayLike, liberty: Path, *, progress: Progress | None = None
) -> GateEnergy:
    """Run an input on gates, and add up what every change of a pin takes.

    PEs are netlists of the library's cells, what is around them is RTL, and all is simulated
    without delays, so that no gate changes twice in a cycle. The estimate is that of
    :func:`.energy`, with the library's flip-flop and NAND2 for its constants and multiplications
    and additions scaled as its NAND2 is; rows of queues are clocked in every cycle, as they are in
    the netlist. Memories are in neither.

    Parameters
    ----------
    image : of one array of few PEs.
    x : inputs, of which the first is run.
    liberty : a library of cells with energies.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If the image has several arrays or many PEs, or the library has no energies.
    ToolError, SimulationError
        If a tool is missing, or the simulation fails or computes something else than golden.
    """
    check_yosys()
    if len(image.parts) != 1:
        raise InputError(f"gates of one array are run, and image {image.name!r} has several")
    (part,) = image.parts
    params, array = part.params, machine(part.engine)
    model = array.energy
    if model is None:
        raise InputError(f"nothing counts the accesses of engine {part.engine!r}")
    if params.num_pes > MOST_PES:
        raise InputError(
            f"gates of at most {MOST_PES} PEs are run, and the image is for {params.num_pes}: "
            f"compile it with --set {part.engine}.num_pes={MOST_PES}"
        )
    library = read_liberty(liberty)
    power = read_power(library, liberty)
    result = run(image, np.asarray(x)[:1], "cycles", progress=progress)
    (counted,) = result.parts
    counts = counts_of(counted)
    netlist, program = _build(part.engine, params, library, progress)
    cells = dict(_cells(netlist, library))
    with job_folder() as folder:
        waves = folder / "waves.vcd"
        tensors = {INPUT: result.planes}
        rtl = array.simulate(part, tensors, counts, waves=waves, program=program, progress=progress)
        for name, values in rtl.tensors.items():
            if not np.array_equal(values, counted.tensors[name]):
                raise SimulationError(f"gates computed another {name} than golden")
        toggles = count_toggles(waves, lambda path, _: _place(path, cells) is not None)
    tables = _flip_flop_and_nand2(netlist, library)
    technology = _technology(power, *tables)
    activities = model.layers(part, {INPUT: result.planes, **counted.tensors}, counts)
    made = model.array(params)
    estimate = dict.fromkeys(Unit, 0.0)
    for activity in activities:
        events: list[Event] = [*activity.events, *made.clock(activity.cycles)]
        logic = [event for event in events if not isinstance(event.cost, Sram)]
        for name, pj in priced(activity, part.engine, made, technology, logic).units.items():
            if name != LEAKAGE:
                unit = Unit(name)
                estimate[model.inside.get(unit, unit)] += pj
    units = []
    spent = _spent(toggles, cells, library, power)
    for unit in Unit:
        mine = [key for key in spent if key and model.unit_of(key) is unit]
        if unit is Unit.CONTROL or not mine:
            continue
        clock, registers, gates = (sum(spent[key][kind] for key in mine) for kind in range(3))
        units.append(UnitEnergy(unit, clock, registers, gates, estimate[unit]))
    return GateEnergy(
        image.name,
        library.name,
        power.volts,
        params.num_pes,
        len(cells),
        toggles.cycles,
        tuple(units),
        technology,
    )


def gate_report(found: GateEnergy) -> Iterator[Table | str]:
    """Give a table of units, gates beside the estimate."""
    total = UnitEnergy(
        Unit.CONTROL,
        *(sum(getattr(unit, name) for unit in found.units) for name in _FIELDS),
    )
    rows = [(unit.unit.value, unit) for unit in found.units]
    yield Table(
        f"Energy of logic in pJ a cycle and PE, {found.library}, {found.volts:g} V",
        ["unit", *_FIELDS[:-1], "all of gates", "counted", "over gates"],
        [
            [
                name,
                *(f"{getattr(unit, field) / found.cycles / found.pes:.3f}" for field in _SHOWN),
                percent(unit.over),
            ]
            for name, unit in [*rows, ("all", total)]
        ],
    )
    cell, gate = found.technology.flip_flop, found.technology.gate
    yield (
        f"{found.cycles:,} cycles of {found.pes} PEs of {found.cells:,} cells each; a flip-flop's "
        f"clock {cell.clock_fj:.1f} fJ, its bit {cell.data_fj:.1f}, a NAND2 {gate.switch_fj:.1f}"
    )
    yield "no wires, no glitches, no memories; the array's control is not compared"


_FIELDS = ("clock", "registers", "gates", "counted")
_SHOWN = ("clock", "registers", "gates", "pj", "counted")


def _build(
    engine: str, params: Any, library: Liberty, progress: Progress | None
) -> tuple[Netlist, Path]:
    """Map a PE to a library, and build the simulation of an array of such PEs."""
    modules = flow(engine).modules(params)
    (pe, make), (top, around) = list(modules.items())
    report = progress or silent
    netlist = synthesize(
        {"pe.v": emit_verilog(make(), pe)}, pe, library, path=False, progress=progress
    )
    # Signals that begin with _ are not in waves.
    netlist = replace(netlist, verilog=re.sub(r"\b_(\d+)_\b", r"g\1", netlist.verilog))
    report("write models of cells", 0, 1)
    models = _models(library, set(re.findall(r"^  (\w+) \w+ \(", netlist.verilog, re.MULTILINE)))
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


def _cells(netlist: Netlist, library: Liberty) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the kind of each cell by the instances that it is in, in a PE."""
    inside = {
        found[1]: [(kind, name) for kind, name in _CELL.findall(found[0])]
        for found in _MODULE.finditer(netlist.verilog)
    }

    def below(module: str, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        children = netlist.modules[module].children
        for kind, name in inside[module]:
            if kind in library.cells:
                yield (*path, name), kind
        for name, child in children.items():
            yield from below(child, (*path, name))

    yield from below(netlist.top, ())


def _place(path: Sequence[str], cells: Mapping[tuple[str, ...], str]) -> tuple[str, ...] | None:
    """Return which cell of a PE a scope of waves is; None if it is none."""
    for begin in range(1, len(path)):
        if (inner := tuple(path[begin:])) in cells:
            return inner
    return None


def _spent(
    toggles: Toggles, cells: Mapping[tuple[str, ...], str], library: Liberty, power: Power
) -> dict[str, tuple[float, float, float]]:
    """Add up energies by module in the PE: clock, registers and gates, in pJ, of all PEs."""
    pins: dict[tuple[str, ...], dict[str, int]] = {}
    for (path, name), net in toggles.nets.items():
        pins.setdefault(path, {})[name] = toggles.changes.get(net, 0)
    spent: dict[str, list[float]] = {}
    for path, changes in pins.items():
        place = _place(path, cells)
        assert place is not None
        unit = spent.setdefault(place[0] if len(place) > 1 else "", [0.0, 0.0, 0.0])
        for kind, fj in enumerate(cell_energy(cells[place], changes, library, power)):
            unit[kind] += fj / 1e3
    return {name: (clock, bits, gates) for name, (clock, bits, gates) in spent.items()}


def cell_energy(
    kind: str, changes: Mapping[str, int], library: Liberty, power: Power
) -> tuple[float, float, float]:
    """Return what changes of a cell's pins take, in fJ.

    Each input takes what charges it; each output what its cell takes inside for a change of it.

    Parameters
    ----------
    kind : name of the cell.
    changes : by pin.
    library, power : with the cell.

    Returns
    -------
    Of a flip-flop its clock and all else, of a gate all.
    """
    cell, energies = library.cells[kind], power.cells[kind]
    clock = rest = 0.0
    given = followed = 0
    for pin, count in changes.items():
        inside = energies.inside_fj.get(pin, 0.0)
        if pin in cell.functions:
            followed += count
        elif not cell.sequential:
            given, inside = given + count, 0.0
        fj = count * (power.load_fj(energies.pins_ff.get(pin, 0.0)) + inside)
        if cell.sequential and pin == cell.clock:
            clock += fj
        else:
            rest += fj
    if cell.sequential:
        return clock, rest, 0.0
    # What inputs take inside that no output follows.
    idle = [energies.inside_fj[pin] for pin in cell.inputs if pin in energies.inside_fj]
    return 0.0, 0.0, rest + (max(0, given - followed) * fmean(idle) if idle else 0.0)


def _flip_flop_and_nand2(netlist: Netlist, library: Liberty) -> tuple[str, str, str]:
    """Return the flip-flop that a netlist has most of, its clock's pin, and the NAND2."""
    kinds = Counter(kind for kind, _ in _CELL.findall(netlist.verilog))
    registers = [kind for kind in kinds if kind in library.cells and library.cells[kind].sequential]
    most = max(registers, key=lambda kind: kinds[kind])
    return most, library.cells[most].clock or "", library.nand2


def _technology(power: Power, flip_flop: str, clock: str, nand2: str) -> Technology:
    """Return the constants of the estimate in a library."""
    known = read_technology()
    register, gate = power.cells[flip_flop], power.cells[nand2]
    input_fj = power.load_fj(fmean(gate.pins_ff.values()))
    switch = fmean(value for pin, value in gate.inside_fj.items() if pin not in gate.pins_ff)
    outputs = [fj for pin, fj in register.inside_fj.items() if pin not in register.pins_ff]
    clocked = register.inside_fj.get(clock, 0.0) + power.load_fj(register.pins_ff[clock])
    scale = (switch + input_fj) / known.gate.switch_fj
    return known.model_copy(
        update={
            "flip_flop": known.flip_flop.model_copy(
                update={
                    "gated_rows": False,
                    "clock_fj": 2 * clocked,
                    "data_fj": max(outputs) + _LOADS * input_fj,
                }
            ),
            "gate": known.gate.model_copy(update={"switch_fj": switch + input_fj}),
            **{
                name: (curve := getattr(known, name)).model_copy(
                    update={"pj": [scale * pj for pj in curve.pj]}
                )
                for name in ("multiply", "add")
            },
        }
    )
