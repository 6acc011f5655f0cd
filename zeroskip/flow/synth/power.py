"""Energies of a library's cells, of what its liberty file says of power."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from zeroskip.base.errors import InputError
from zeroskip.flow.synth.liberty import Group, Liberty, parse_groups

__all__ = ["CellPower", "Power", "check_energies", "read_power"]

_TABLES = ("rise_power", "fall_power", "power")
_FIRST = re.compile(r'values\s*\([\s\\]*"\s*([-\d.eE+]+)')
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_QUANTITY = re.compile(r"([\d.eE+-]*?)\s*([munpf]?)[wvf]", re.IGNORECASE)


@dataclass(frozen=True)
class CellPower:
    """Energies of a cell.

    Parameters
    ----------
    pins_ff : capacitance of each input.
    inside_fj : energy inside of a change of each pin, mean of both directions, of all conditions
        and of all inputs that an output may follow; without what loads take.
    """

    pins_ff: Mapping[str, float]
    inside_fj: Mapping[str, float]


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
        If it has no unit of capacitance, no voltage, no energies, or no capacitances.
    """
    try:
        return _read(liberty, path)
    except ValueError as error:
        raise InputError(
            f"liberty file {path}: what is to be a number is no number: {error}"
        ) from error


def check_energies(kinds: Iterable[str], liberty: Liberty, power: Power) -> None:
    """Check that cells that compute something have energies, or what they take would be left out.

    Raises
    ------
    InputError
        If one has none; the message names it.
    """
    without = sorted(
        kind
        for kind in {*kinds, liberty.nand2}
        if liberty.cells[kind].inputs and not power.cells[kind].inside_fj
    )
    if without:
        more = f" and {len(without) - 1} others" if len(without) > 1 else ""
        raise InputError(
            f"library {liberty.name} has no internal_power for cell {without[0]}{more}, which the "
            "netlist has: name a library with energies of all cells, or mark these dont_use in it"
        )


def _read(liberty: Liberty, path: Path) -> Power:
    library = parse_groups(liberty.text, path)
    load = re.search(r'capacitive_load_unit\s*\(\s*([\d.eE+-]+)\s*,\s*"?(\w+)"?\s*\)', library.text)
    unit = _quantity("".join(load.groups())) if load else None
    voltage = _volts(library)
    if unit is None or voltage is None:
        raise InputError(
            f"liberty file {path} says nothing of power: it lacks a unit of capacitance or a "
            "voltage; name a library that was measured"
        )
    ff = unit * 1e15
    volt = _quantity(library.value("voltage_unit") or "1V") or 1.0
    default_ff = float(library.value("default_input_pin_cap") or 0) * ff
    cells = {
        group.name: _cell(group, ff, ff * volt**2, default_ff)
        for group in library.groups
        if group.kind == "cell" and group.name in liberty.cells
    }
    if not any(cell.inside_fj for cell in cells.values()):
        raise InputError(
            f"liberty file {path} has no internal_power: name a library whose cells have energies"
        )
    if not any(any(cell.pins_ff.values()) for cell in cells.values()):
        raise InputError(
            f"liberty file {path} has no capacitance of any input: name a library that was measured"
        )
    return Power(voltage * volt, cells)


def _quantity(text: str) -> float | None:
    """Read a quantity, as ``1pf``, ``100mV``, in farads or volts; None if it is none."""
    found = _QUANTITY.fullmatch(text.strip())
    return float(found[1] or 1) * _PREFIXES[found[2].lower()] if found else None


def _volts(library: Group) -> float | None:
    """Return the supply voltage that a liberty file names, in its unit; None if it names none.

    Of several conditions it is that of those that count by default, else the nominal one.
    """
    conditions = [group for group in library.groups if group.kind == "operating_conditions"]
    default = library.value("default_operating_conditions")
    chosen = [group for group in conditions if group.name == default or len(conditions) == 1]
    supplies = re.findall(r"voltage_map\s*\([^,()]*,\s*([-+\d.eE]+)\s*\)", library.text)
    texts = [
        *(group.value("voltage") for group in chosen),
        library.value("nom_voltage"),
        *sorted(supplies, key=float, reverse=True)[:1],
    ]
    return next((float(text) for text in texts if text), None)


def _cell(group: Group, ff: float, fj: float, default_ff: float) -> CellPower:
    """Read a cell; ``ff`` and ``fj``: the file's units; ``default_ff``: of a pin that has none."""
    pins_ff: dict[str, float] = {}
    inside: dict[str, float] = {}
    for pin in group.groups:
        if pin.kind != "pin":
            continue
        if pin.value("direction") == "input":
            loads = [pin.value(name) for name in ("rise_capacitance", "fall_capacitance")]
            loads = [pin.value("capacitance")] if pin.value("capacitance") else loads
            known = [float(load) * ff for load in loads if load]
            pins_ff[pin.name] = fmean(known) if known else default_ff
        # The unit of energy is that of capacitance, times that of voltage squared.
        if found := list(_energies(pin)):
            inside[pin.name] = fmean(found) * fj
    return CellPower(pins_ff, inside)


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
