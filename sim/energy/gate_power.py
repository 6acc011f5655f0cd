"""Add up what changes of cells' pins take, and find the constants of the estimate in a library."""

from collections import Counter
from collections.abc import Mapping
from statistics import fmean

from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.flow.synth.power import Power
from zeroskip.sim.energy.gate_cells import CELL, CellPath, cell_at
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.energy.toggles import Toggles

__all__ = ["cell_energy", "library_technology", "module_energies"]

_LOADS = 2.5
"""Inputs of gates behind a flip-flop that its count stands for, as the usual table has it."""


def module_energies(
    toggles: Toggles, cells: Mapping[CellPath, str], library: Liberty, power: Power
) -> dict[str, tuple[float, float, float]]:
    """Add up energies by module in the PE: clock, registers and gates, in pJ, of all PEs."""
    pins: dict[CellPath, dict[str, int]] = {}
    for (path, name), net in toggles.nets.items():
        pins.setdefault(path, {})[name] = toggles.changes.get(net, 0)
    spent: dict[str, list[float]] = {}
    for path, changes in pins.items():
        place = cell_at(path, cells)
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


def library_technology(netlist: Netlist, library: Liberty, power: Power) -> Technology:
    """Return the constants of the estimate in a library.

    Those of its NAND2 and of the flip-flop that a netlist has most of; those of multiplications
    and additions are of the usual process.
    """
    kinds = Counter(kind for kind, _ in CELL.findall(netlist.verilog))
    registers = [kind for kind in kinds if kind in library.cells and library.cells[kind].sequential]
    flip_flop = max(registers, key=lambda kind: kinds[kind])
    clock = library.cells[flip_flop].clock or ""
    known = read_technology()
    register, gate = power.cells[flip_flop], power.cells[library.nand2]
    input_fj = power.load_fj(fmean(gate.pins_ff.values()))
    switch = fmean(value for pin, value in gate.inside_fj.items() if pin not in gate.pins_ff)
    outputs = [fj for pin, fj in register.inside_fj.items() if pin not in register.pins_ff]
    clocked = register.inside_fj.get(clock, 0.0) + power.load_fj(register.pins_ff[clock])
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
        }
    )
