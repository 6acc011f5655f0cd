"""What became of a unit that was laid out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from zeroskip.flow.flow import flow
from zeroskip.flow.layout.checks import Checks
from zeroskip.flow.layout.floor import Floor
from zeroskip.flow.layout.tiling import LOGIC, Tiling, tile_array
from zeroskip.flow.layout.timing import Timing
from zeroskip.flow.layout.unit import UnitName
from zeroskip.flow.synth.baseline import read_baseline
from zeroskip.flow.synth.netlist import Sram
from zeroskip.flow.synth.sram_area import sram_area

__all__ = ["SCALED_NM", "UNCHECKED", "Layout"]

SCALED_NM = 45
"""Process that an array's area is estimated for: that of the model of SRAMs."""

UNCHECKED = (
    "insides of cells: rules see their pins and obstructions, netlist and GDS have them as boxes",
    "SRAMs, which stand outside: their pins are pins of the unit, with no time of their own",
    "voltage drops, antennas, electromigration, and coupling between wires",
)
"""What no program here checks."""


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
    timing : of its paths and its clock.
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
    timing: Timing
    checks: Checks
    seconds: Mapping[str, tuple[float, float]]

    @property
    def sound(self) -> bool:
        """All nets are routed, no rule is broken, the layout is the netlist, and hold is met."""
        wired = not (self.failed or self.loose or self.checks.drc) and self.checks.lvs
        return wired and self.hold_ns >= 0

    @property
    def hold_ns(self) -> float:
        """How much later than it must a datum comes to a flip-flop after the clock's edge."""
        return self.timing.paths["hold"]["all"].ns if "hold" in self.timing.paths else 0.0

    @property
    def period_ns(self) -> float:
        """Period of the clock, with wires."""
        return self.timing.paths["with"]["all"].ns

    @property
    def um2(self) -> float:
        """Area of all, with pins and rails around the rows."""
        width, height = self.floor.die
        return width * height

    @property
    def logic_um2(self) -> float:
        """Area of this layout at 45 nm, by the square of the scale: an estimate."""
        return self.um2 * (SCALED_NM / self.floor.technology.nm) ** 2

    @cached_property
    def tiling(self) -> Tiling | None:
        """The array, tiled with PEs of this layout and their SRAMs at 45 nm: an estimate.

        What is around the PEs is of the baseline of areas, as large for each gate as this layout
        is; left out where the baseline has no such array. None where the unit is no PE.
        """
        if not self.unit.whole:
            return None
        pes = flow(self.unit.engine).num_pes(self.params)
        blocks = {sram.name: sram_area([sram]).model for sram in self.floor.block.srams}
        around = 0.0
        known = read_baseline().get(f"{self.unit.engine} {self.preset}")
        if known is not None and "array" in known["units"]:
            pe, array = known["units"]["pe"], known["units"]["array"]
            gates = (array["logic_ge"] - pes * pe["logic_ge"]) / pe["logic_ge"]
            bits = array["sram_bits"] - pes * pe["sram_bits"]
            rows = [Sram("around", bits, 1)] if bits else []
            around = gates * self.logic_um2 + sram_area(rows).model
        return tile_array({**blocks, LOGIC: self.logic_um2}, pes, around)

    @property
    def array(self) -> dict[str, Any] | None:
        """Estimate of a PE's array at 45 nm: its layout by the square of the scale, and SRAMs.

        None where the unit is no PE.
        """
        if (tiling := self.tiling) is None:
            return None
        pes = tiling.columns * tiling.rows
        return {
            "pe_logic_um2": round(self.logic_um2),
            "pe_sram_um2": round(self.sram_um2),
            "pe_um": [round(edge) for edge in tiling.pe_um],
            "pes": pes,
            "around_um2": round(tiling.around),
            "mm": [round(edge / 1e3, 3) for edge in tiling.um],
            "mm2": round(tiling.mm2, 2),
            "paper_mm2": round(pes * (flow(self.unit.engine).paper_total or 0.0) / 1e6, 2),
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
            "period_ns_without_wires": self.timing.paths["without"]["all"].ns,
            "paths": {
                wires: {kind: asdict(path) for kind, path in kinds.items()}
                for wires, kinds in self.timing.paths.items()
            },
            "hold_ns": self.hold_ns,
            "clock_ns": self.timing.clock_ns,
            "drc": {"violations": self.checks.drc, "rules": self.checks.rules},
            "lvs": self.checks.lvs,
            "sound": self.sound,
            "not_checked": UNCHECKED,
            "array_estimate_45nm": self.array,
            "seconds": {step: round(took, 1) for step, (took, _) in self.seconds.items()},
            "cpu_seconds": {step: round(used, 1) for step, (_, used) in self.seconds.items()},
        }
