"""Compare areas with a baseline: those that somebody last agreed to."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zeroskip.base.bounded import parse_json
from zeroskip.base.errors import InputError
from zeroskip.base.staging import replaced_file
from zeroskip.flow.synth.report import AreaReport, models_digest, sum_units

__all__ = ["BASELINE", "LIMIT", "agreed_gates", "growth", "read_baseline", "renew_baseline"]

BASELINE = Path(__file__).with_name("area-baseline.json")
"""The file, which git keeps the history of."""

LIMIT = 0.02
"""Growth that is let pass."""

_QUANTITIES = {"logic_ge": "GE of logic", "sram_bits": "bits of SRAM"}


def read_baseline(path: Path = BASELINE) -> dict[str, Any]:
    """Read the figures of all designs, by engine and preset.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    try:
        document = parse_json(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"baseline {path} does not exist; make it with 'zeroskip area --renew-baseline'"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"baseline {path} cannot be read: {error}") from error
    return parse_baseline(document, str(path))


def parse_baseline(document: Any, where: str) -> dict[str, Any]:
    """Check that a document has the figures of designs.

    Raises
    ------
    InputError
        If it has not.
    """
    try:
        for design in document.values():
            if design["gates"] is not None:
                bool(design["gates"]["passed"])
            for unit in design["units"].values():
                for quantity in _QUANTITIES:
                    float(unit[quantity])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"baseline {where} is damaged; renew it with 'zeroskip area --renew-baseline'"
        ) from error
    return document


def renew_baseline(report: AreaReport, path: Path = BASELINE) -> None:
    """Make ``report`` the figures of its design.

    Raises
    ------
    InputError
        If the file cannot be written, or what is there is no baseline.
    """
    document = read_baseline(path) if path.exists() else {}
    document[_name(report)] = {
        "units": _units(report),
        "levels": {name: path.levels for name, path in report.paths.items()},
        "netlists": dict(report.netlists),
        "gates": None if report.gates is None else dict(report.gates),
    }
    with replaced_file(path) as file:
        json.dump(dict(sorted(document.items())), file, indent=1)
        file.write("\n")


def growth(report: AreaReport, path: Path = BASELINE) -> list[str]:
    """Compare with the baseline; return a sentence for each unit that grew by more than a limit.

    Raises
    ------
    InputError
        If the baseline cannot be read or does not have the design.
    """
    name = _name(report)
    designs = read_baseline(path)
    if name not in designs:
        raise InputError(
            f"baseline {path} has no {name}; add it with 'zeroskip area --renew-baseline'"
        )
    old: Mapping[str, Mapping[str, float]] = designs[name]["units"]
    found = []
    for unit, now in _units(report).items():
        if unit not in old:
            found.append(f"{name}: {unit} is new")
            continue
        for quantity, what in _QUANTITIES.items():
            before = old[unit][quantity]
            if now[quantity] > before * (1 + LIMIT):
                much = f" ({100 * (now[quantity] / before - 1):+.1f} %)" if before else ""
                found.append(f"{name}: {unit} grew from {before} to {now[quantity]} {what}{much}")
    return found


def agreed_gates(report: AreaReport, path: Path = BASELINE) -> Mapping[str, Any] | None:
    """Return what the run of netlists said that the baseline is of; None if of other netlists."""
    try:
        gates = read_baseline(path)[_name(report)]["gates"]
    except (InputError, KeyError):
        return None
    if gates is None:
        return None
    same = gates.get("netlists") == report.netlists and gates.get("models") == models_digest()
    return gates if same and gates["passed"] else None


def _name(report: AreaReport) -> str:
    return f"{report.engine} {report.preset}"


def _units(report: AreaReport) -> dict[str, dict[str, float]]:
    named = [(f"pe {unit.name}", unit) for unit in report.pe]
    named += [("pe", sum_units("pe", report.pe))]
    named += [(f"array {unit.name}", unit) for unit in report.array]
    if report.array:
        named += [("array", report.total)]
    named += [(unit.name, unit) for unit in report.parts]
    return {
        name: {
            "logic_ge": round(unit.logic_ge, 2),
            "sram_bits": sum(sram.bits for sram in unit.srams),
        }
        for name, unit in named
    }
