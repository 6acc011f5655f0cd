"""Energies of a library's cells, of what its liberty file says of power."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from zeroskip.base.errors import InputError
from zeroskip.flow.synth.liberty import Group, Liberty, parse_groups

__all__ = ["CellPower", "Power", "read_power"]

_UNITS = {"ff": 1.0, "pf": 1e3}
_TABLES = ("rise_power", "fall_power", "power")
_FIRST = re.compile(r'values\s*\([\s\\]*"\s*([-\d.eE+]+)')
_WATTS = {"1w": 1e9, "1mw": 1e6, "1uw": 1e3, "1nw": 1.0, "1pw": 1e-3, "1fw": 1e-6}


@dataclass(frozen=True)
class CellPower:
    """Energies of a cell.

    Parameters
    ----------
    pins_ff : capacitance of each input.
    inside_fj : energy inside of a change of each pin, mean of both directions, of all conditions
        and of all inputs that an output may follow; without what loads take.
    leakage_nw : power at rest.
    """

    pins_ff: Mapping[str, float]
    inside_fj: Mapping[str, float]
    leakage_nw: float


@dataclass(frozen=True)
class Power:
    """Energies of a library's cells.

    Parameters
    ----------
    volts : of its supply.
    cells : by name.
    """

    volts: float
    cells: Mapping[str, CellPower]

    def load_fj(self, ff: float) -> float:
        """Return what a change of a net of ``ff`` fF takes, in fJ: the mean of rise and fall."""
        return ff * self.volts**2 / 2


def read_power(liberty: Liberty, path: Path) -> Power:
    """Read what a library says of power.

    Energies are those of the steepest edges and the smallest load that its tables have.

    Parameters
    ----------
    liberty : the library.
    path : of its file, for messages.

    Raises
    ------
    InputError
        If it has no unit of capacitance, no voltage, or no energies.
    """
    try:
        return _read(liberty, path)
    except ValueError as error:
        raise InputError(
            f"liberty file {path}: what is to be a number is no number: {error}"
        ) from error


def _read(liberty: Liberty, path: Path) -> Power:
    library = parse_groups(liberty.text, path)
    unit = re.search(r'capacitive_load_unit\s*\(\s*([\d.eE+-]+)\s*,\s*"?(\w+)"?\s*\)', library.text)
    volts = _volts(library)
    if unit is None or unit[2].lower() not in _UNITS or volts is None:
        raise InputError(
            f"liberty file {path} says nothing of power: it lacks a unit of capacitance or a "
            "voltage; name a library that was measured"
        )
    ff = float(unit[1]) * _UNITS[unit[2].lower()]
    watts = _WATTS.get((library.value("leakage_power_unit") or "1nW").lower(), 1.0)
    cells = {
        group.name: _cell(group, ff, watts)
        for group in library.groups
        if group.kind == "cell" and group.name in liberty.cells
    }
    if not any(cell.inside_fj for cell in cells.values()):
        raise InputError(
            f"liberty file {path} has no internal_power: name a library whose cells have energies"
        )
    return Power(volts, cells)


def _volts(library: Group) -> float | None:
    """Return the supply voltage that a liberty file names, None if it names none."""
    conditions = [
        group.value("voltage") for group in library.groups if group.kind.startswith("oper")
    ]
    for text in (*conditions, library.value("nom_voltage")):
        if text:
            return float(text)
    return None


def _cell(group: Group, ff: float, watts: float) -> CellPower:
    pins_ff: dict[str, float] = {}
    inside: dict[str, float] = {}
    for pin in group.groups:
        if pin.kind != "pin":
            continue
        if pin.value("direction") == "input":
            pins_ff[pin.name] = float(pin.value("capacitance") or 0) * ff
        # The unit of energy is that of capacitance, times a volt squared.
        if found := list(_energies(pin)):
            inside[pin.name] = fmean(found) * ff
    leakage = group.value("cell_leakage_power")
    return CellPower(pins_ff, inside, float(leakage or 0) * watts)


def _energies(pin: Group) -> Iterator[float]:
    """Give the energy of a change of a pin, mean of both directions, for each condition."""
    for power in pin.groups:
        if power.kind != "internal_power":
            continue
        tables = [table for table in power.groups if table.kind in _TABLES]
        firsts = [first for table in tables if (first := _FIRST.search(table.text))]
        # A zero stands where something else has the energy, as an output that changes.
        if ways := [float(first[1]) for first in firsts if float(first[1])]:
            yield fmean(ways)
