"""What the report of an engine's area shows."""

from collections.abc import Iterator

from zeroskip.base.tables import Table
from zeroskip.flow.synth.liberty import UM2_PER_GE
from zeroskip.flow.synth.report import AreaReport, Unit
from zeroskip.flow.synth.sram_area import SOURCES, sram_area

__all__ = ["HEADER", "area_notes", "path_table", "unit_row"]

HEADER = [
    "unit", "flip-flops", "registers GE", "gates GE", "logic GE", "logic um2", "SRAM kbit",
    "SRAM um2", "at worst", "all um2", "paper um2",
]  # fmt: skip
"""Columns of :func:`unit_row`."""


def path_table(report: AreaReport) -> Table:
    """Return the longest paths."""
    return Table(
        "Longest paths, in netlists of their own: mapped for speed, modules dissolved",
        ["of the", "gates", "ns", "gates GE", "from", "to"],
        [
            [
                name,
                path.levels,
                "-" if path.delay_ps is None else f"{path.delay_ps / 1000:.2f}",
                "-" if path.area is None else f"{path.area / report.liberty_ge:,.0f}",
                path.start,
                path.end,
            ]
            for name, path in report.paths.items()
        ],
    )


def area_notes(report: AreaReport, *, own: bool, ran: bool) -> Iterator[str]:
    """Say what figures are of; ``own``: the project's own cells; ``ran``: just now, they did."""
    if own:
        yield (
            "cells: gate equivalents, NAND2 = 1 GE; um2: an estimate, "
            f"{UM2_PER_GE} um2 per GE (NAND2 of the usual open 45 nm library)"
        )
    else:
        yield (
            f"cells: {report.liberty}, NAND2 {report.liberty_ge:g}; um2: an estimate, its GE at "
            f"{UM2_PER_GE} um2 each (NAND2 of the usual open 45 nm library)"
        )
        yield (
            "ns: from the library, before layout: no wires, no clock-to-output, no set-up; mapped "
            f"for {report.clock_ps} ps, modules dissolved"
        )
    yield f"estimates: {SOURCES}"
    gates = report.gates
    if gates is None:
        why = "--check runs it" if own else "only netlists of the project's own cells can run"
        yield f"netlist: NOT CHECKED, {why}"
    else:
        exact = "bit-exact" if gates["passed"] else "NOT bit-exact"
        exact += "" if ran else " when --check ran it"
        yield (
            f"netlist: {exact}, {gates['words']} words and {gates['counters']} counters of "
            f"{gates['inputs']} inputs compared, {gates['differ']} differ"
        )


def unit_row(unit: Unit) -> list[str]:
    """Return the cells of a unit."""
    srams = sram_area(unit.srams)
    bits = sum(sram.bits for sram in unit.srams)
    return [
        unit.name,
        f"{unit.flipflops:,}",
        f"{unit.registers_ge:,.0f}",
        f"{unit.combinational_ge:,.0f}",
        f"{unit.logic_ge:,.0f}",
        f"{unit.logic_um2:,.0f}",
        f"{bits / 1024:,.0f}" if bits else "-",
        f"{srams.model:,.0f}" if bits else "-",
        f"{srams.bound:,.0f}" if bits else "-",
        f"{unit.logic_um2 + srams.model:,.0f}",
        "-" if unit.paper_um2 is None else f"{unit.paper_um2:,.0f}",
    ]
