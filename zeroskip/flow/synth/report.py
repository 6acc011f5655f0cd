"""Report of a synthesis: the units of an engine, its totals, its longest paths."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zeroskip.flow.synth.liberty import OWN_MODELS, UM2_PER_GE, Liberty
from zeroskip.flow.synth.netlist import Netlist, Sram
from zeroskip.flow.synth.path import LongestPath
from zeroskip.flow.synth.sram_area import SOURCES, sram_area

__all__ = ["AreaReport", "Unit", "digest", "models_digest", "sum_units", "units_of"]


@dataclass(frozen=True)
class Unit:
    """A unit of a design with all that is in it.

    Parameters
    ----------
    name : of the unit.
    flipflops : bits held in cells.
    registers_ge, combinational_ge : area in gate equivalents, without SRAMs.
    srams : in it.
    paper_um2 : what the paper has for the unit, its SRAMs with it; None if it says nothing.
    """

    name: str
    flipflops: int
    registers_ge: float
    combinational_ge: float
    srams: tuple[Sram, ...] = ()
    paper_um2: float | None = None

    @property
    def logic_ge(self) -> float:
        """Registers and combinational gates."""
        return self.registers_ge + self.combinational_ge

    @property
    def logic_um2(self) -> float:
        """The same in um2 at 45 nm."""
        return self.logic_ge * UM2_PER_GE

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON has of the unit."""
        srams = sram_area(self.srams)
        return {
            "name": self.name,
            "flipflops": self.flipflops,
            "registers_ge": round(self.registers_ge, 2),
            "combinational_ge": round(self.combinational_ge, 2),
            "logic_ge": round(self.logic_ge, 2),
            "logic_um2": round(self.logic_um2, 1),
            "srams": [asdict(sram) for sram in self.srams],
            "sram_bits": sum(sram.bits for sram in self.srams),
            "sram_um2": round(srams.model, 1),
            "sram_um2_bound": round(srams.bound, 1),
            "all_um2": round(self.logic_um2 + srams.model, 1),
            "paper_um2": self.paper_um2,
        }


@dataclass(frozen=True)
class AreaReport:
    """An engine's area and timing.

    Parameters
    ----------
    engine, preset : which design.
    params : its sizes.
    liberty, liberty_ge : name of the cell library, and the area of its NAND2 in its own unit.
    clock_ps : delay that mapping aimed at.
    pe : units of one PE.
    num_pes : PEs of the array.
    array : units of the array without its PEs, with those that it has once.
    parts : units that are counted in ``array`` or ``pe`` already, to be seen one by one.
    paths : longest path, of ``pe`` and, where there is one, of ``array``.
    netlists : digest of each netlist by its top module.
    gates : what the netlists' run on vectors said; None if they have not run.
    """

    engine: str
    preset: str
    params: Mapping[str, Any]
    liberty: str
    liberty_ge: float
    clock_ps: int
    pe: tuple[Unit, ...]
    num_pes: int
    array: tuple[Unit, ...]
    parts: tuple[Unit, ...]
    paths: Mapping[str, LongestPath]
    netlists: Mapping[str, str]
    gates: Mapping[str, Any] | None = None

    @property
    def all_pes(self) -> Unit:
        """All PEs of the array."""
        return sum_units(f"{self.num_pes} PEs", self.pe * self.num_pes)

    @property
    def total(self) -> Unit:
        """The array with all its PEs."""
        return sum_units("array", [*self.array, self.all_pes])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "engine": self.engine,
            "preset": self.preset,
            "params": dict(self.params),
            "liberty": self.liberty,
            "liberty_ge": self.liberty_ge,
            "um2_per_ge": UM2_PER_GE,
            "clock_ps": self.clock_ps,
            "estimates": SOURCES,
            "pe": [unit.to_dict() for unit in self.pe],
            "pe_total": sum_units("pe", self.pe).to_dict(),
            "num_pes": self.num_pes,
            "array": [unit.to_dict() for unit in self.array],
            "all_pes": {**self.all_pes.to_dict(), "srams": None},
            "array_total": {**self.total.to_dict(), "srams": None},
            "parts": [unit.to_dict() for unit in self.parts],
            "paths": {name: asdict(path) for name, path in self.paths.items()},
            "netlists": dict(self.netlists),
            "gates": None if self.gates is None else dict(self.gates),
        }


def units_of(
    netlist: Netlist,
    liberty: Liberty,
    *,
    own: str,
    paper: Mapping[str, float] | None = None,
    top: str | None = None,
) -> tuple[Unit, ...]:
    """Return the instances in the top module, each with what is below it, then the rest.

    Parameters
    ----------
    netlist, liberty : the design, and what it is mapped to.
    own : name for what stands in the top module itself.
    paper : areas to put beside them, by unit.
    top : module to look into; the netlist's top unless given.
    """
    paper = paper or {}
    top = top or netlist.top

    def unit(name: str, modules: Iterable[str]) -> Unit:
        inside = [netlist.modules[module] for module in modules]
        return Unit(
            name,
            sum(module.flipflops for module in inside),
            sum(module.registers for module in inside) / liberty.ge,
            sum(module.combinational for module in inside) / liberty.ge,
            tuple(sram for module in inside for sram in module.srams),
            paper.get(name),
        )

    children = netlist.modules[top].children
    return (
        *(unit(name, netlist.below(module)) for name, module in children.items()),
        unit(own, [top]),
    )


def sum_units(name: str, units: Iterable[Unit], paper_um2: float | None = None) -> Unit:
    """Add units up."""
    units = list(units)
    return Unit(
        name,
        sum(unit.flipflops for unit in units),
        sum(unit.registers_ge for unit in units),
        sum(unit.combinational_ge for unit in units),
        tuple(sram for unit in units for sram in unit.srams),
        paper_um2,
    )


def digest(netlist: Netlist) -> str:
    """Name a netlist by its text."""
    return hashlib.sha256(netlist.verilog.encode()).hexdigest()


def models_digest() -> str:
    """Name the models of our own cells, which netlists run with, by their text."""
    return hashlib.sha256(OWN_MODELS.read_bytes()).hexdigest()
