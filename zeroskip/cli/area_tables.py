"""How ``zeroskip area`` shows what it found."""

from collections.abc import Iterable

from zeroskip.cli.output import print_line, print_table
from zeroskip.flow.synth.eie import PAPER_LOGIC, PAPER_TOTAL
from zeroskip.flow.synth.liberty import UM2_PER_GE
from zeroskip.flow.synth.report import AreaReport, Unit, sum_units
from zeroskip.flow.synth.scnn import over_multipliers
from zeroskip.flow.synth.sram_area import SOURCES, sram_area

__all__ = ["print_report"]

_HEADER = [
    "unit", "flip-flops", "registers GE", "gates GE", "logic GE", "logic um2", "SRAM kbit",
    "SRAM um2", "at worst", "all um2", "paper um2",
]  # fmt: skip


def print_report(report: AreaReport, *, own: bool, ran: bool) -> None:
    """Print a report; ``own``: it is of the project's own cells; ``ran``: just now, they did."""
    pe = sum_units("PE", report.pe, PAPER_TOTAL if report.engine == "eie" else None)
    print_table(
        f"{report.engine.upper()} PE, preset {report.preset}: 45 nm, mapped for area; SRAMs "
        "estimated",
        _HEADER,
        [_row(one) for one in [*report.pe, pe, *report.parts]],
    )
    if report.engine == "eie":
        _print_eie(report, pe)
    else:
        _print_scnn(report)
    print_table(
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
    for line in _notes(report, own=own, ran=ran):
        print_line(line)


def _print_eie(report: AreaReport, pe: Unit) -> None:
    print_line(
        f"PE without SRAMs: {pe.logic_um2:,.0f} um2; the paper's registers and gates: "
        f"{PAPER_LOGIC:,.0f} um2, its activation registers among them"
    )
    print_table(
        f"Array of {report.num_pes} PEs",
        _HEADER[:-1],
        [
            _row(one)[:-1]
            for one in [
                *report.array,
                report.all_pes,
                report.total,
            ]
        ],
    )


def _print_scnn(report: AreaReport) -> None:
    print_table(
        "Over the area of the PE's multipliers",
        ["unit", "logic", "all", "paper, all"],
        [
            [name, *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios.values())]
            for name, ratios in over_multipliers(report).items()
        ],
    )
    print_line(
        "paper: mm2 at 16 nm over that of its multiplier array; what is around PEs is left out here"
    )


def _notes(report: AreaReport, *, own: bool, ran: bool) -> Iterable[str]:
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


def _row(unit: Unit) -> list[str]:
    srams = sram_area(unit.srams)
    bits = sum(one.bits for one in unit.srams)
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
