"""Check the energy of an array's logic: changes of every gate's pins, beside counts of accesses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zeroskip.base.errors import InputError, SimulationError
from zeroskip.base.progress import Progress
from zeroskip.base.tables import Table, percent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.flow.synth.liberty import read_liberty
from zeroskip.flow.synth.power import read_power
from zeroskip.flow.synth.yosys import check_yosys
from zeroskip.hw.common.params import ArrayParams
from zeroskip.sim.energy.activity import Event, LayerActivity, Sram, Unit
from zeroskip.sim.energy.gate_cells import build_pes, cell_at, cells_of
from zeroskip.sim.energy.gate_power import library_technology, module_energies
from zeroskip.sim.energy.measure import LEAKAGE, priced
from zeroskip.sim.energy.model import EnergyModel
from zeroskip.sim.energy.operations import with_operations
from zeroskip.sim.energy.technology import Technology
from zeroskip.sim.energy.toggles import count_toggles
from zeroskip.sim.machine import machine
from zeroskip.sim.rtl.jobs import job_folder
from zeroskip.sim.run import counts_of, run

__all__ = [
    "MOST_PES", "GateEnergy", "UnitEnergy", "gate_energy", "gate_report",
]  # fmt: skip

MOST_PES = 4
"""PEs of gates that are simulated in minutes."""


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
    :func:`.energy`, with the library's flip-flop and NAND2 for its constants, and what its
    multiplier and its adder take by themselves, see :func:`.with_operations`; rows of queues are
    clocked in every cycle, as they are in the netlist. Memories are in neither.

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
    part, model = _small_part(image)
    params, array = part.params, machine(part.engine)
    library = read_liberty(liberty)
    power = read_power(library, liberty)
    result = run(image, np.asarray(x)[:1], "cycles", progress=progress)
    (counted,) = result.parts
    counts = counts_of(counted)
    netlist, program = build_pes(part.engine, params, library, power, progress)
    cells = dict(cells_of(netlist, library))
    tensors = {INPUT: result.planes}
    with job_folder() as folder:
        waves = folder / "waves.vcd"
        rtl = array.simulate(part, tensors, counts, waves=waves, program=program, progress=progress)
        for name, values in rtl.tensors.items():
            if not np.array_equal(values, counted.tensors[name]):
                raise SimulationError(f"gates computed another {name} than golden")
        toggles = count_toggles(waves, lambda path, _: cell_at(path, cells) is not None)
    tensors |= counted.tensors
    activities = model.layers(part, tensors, counts)
    technology = with_operations(
        library_technology(netlist, library, power),
        [event for activity in activities for event in activity.events],
        model.operands(part, tensors),
        library,
        power,
        fast=model.fast_arithmetic,
        progress=progress,
    )
    estimate = _estimate(part, model, activities, technology)
    units = []
    spent = module_energies(toggles, cells, library, power)
    for unit in Unit:
        keys = [key for key in spent if key and model.unit_of(key) is unit]
        if unit is Unit.CONTROL or not keys:
            continue
        clock, registers, gates = (sum(spent[key][kind] for key in keys) for kind in range(3))
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


def _small_part(image: Image) -> tuple[Any, EnergyModel[Any]]:
    """Return the only part of an image whose gates can be run, and what counts its accesses.

    Raises
    ------
    InputError
        If there is none.
    """
    if len(image.parts) != 1:
        engines = " and ".join(part.engine for part in image.parts)
        raise InputError(
            f"gates of one array are run, and image {image.name!r} has {engines}: give one whose "
            "layers are all of one engine"
        )
    (part,) = image.parts
    model = machine(part.engine).energy
    if model is None:
        raise InputError(f"nothing counts the accesses of engine {part.engine!r}")
    if part.params.num_pes > MOST_PES:
        raise InputError(
            f"gates of at most {MOST_PES} PEs are run, and the image is for "
            f"{part.params.num_pes}: compile it with {_few_pes(part.engine, part.params)}"
        )
    return part, model


def _estimate(
    part: Any,
    model: EnergyModel[Any],
    activities: Sequence[LayerActivity],
    technology: Technology,
) -> Mapping[Unit, float]:
    """Return the estimated pJ of each unit's logic, for all layers; memories are left out."""
    array = model.array(part.params)
    found = dict.fromkeys(Unit, 0.0)
    for activity in activities:
        events: list[Event] = [*activity.events, *array.clock(activity.cycles)]
        logic = [event for event in events if not isinstance(event.cost, Sram)]
        for name, pj in priced(activity, part.engine, array, technology, logic).units.items():
            if name != LEAKAGE:
                unit = Unit(name)
                found[model.inside.get(unit, unit)] += pj
    return found


def _few_pes(engine: str, params: ArrayParams) -> str:
    """Say which options give an array of few enough PEs: of a grid, both of its sides."""
    sides = [field.name for field in params.fields() if field.name.startswith("pes_")]
    most = {side: isqrt(MOST_PES) for side in sides} or {"num_pes": MOST_PES}
    return " ".join(f"--set {engine}.{name}={number}" for name, number in most.items())


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
