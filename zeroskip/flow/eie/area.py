"""Area and timing of the EIE engine, beside table II of its paper."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import DEFAULT_CLOCK_PS, Netlist, synthesize
from zeroskip.flow.synth.report import AreaReport, Unit, digest, sum_units, units_of
from zeroskip.flow.synth.tables import HEADER, unit_row
from zeroskip.flow.synth.yosys import Progress
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe

__all__ = [
    "PAPER_LOGIC", "PAPER_TOTAL", "PAPER_UNITS", "EieNetlists", "area_report",
    "beside_paper", "eie_netlists", "paper_tables",
]  # fmt: skip

PAPER_UNITS = {
    "act_queue": 758.0,
    "ptr_read": 121_849.0,
    "spmat_read": 469_412.0,
    "arithm": 3_110.0,
    "act_rw": 18_934.0,
    "lnzd node": 189.0,
}
"""EIE, table II, and section VI for the node: um2 at 45 nm after layout, SRAMs with them."""

PAPER_TOTAL = 638_024.0
"""The PE: 594,786 of memory, 9,465 of registers, 8,946 of gates, 866 of clock, 23,961 of filler."""

PAPER_LOGIC = 9_465.0 + 8_946.0
"""Registers and gates of the PE; the paper's activation registers are among them."""


@dataclass(frozen=True)
class EieNetlists:
    """An array's two netlists: of its PEs, and of what is around them."""

    pe: Netlist
    array: Netlist

    @property
    def verilog(self) -> dict[str, str]:
        """Text by file name."""
        return {"pe.v": self.pe.verilog, "array.v": self.array.verilog}


def eie_netlists(
    params: EieParams,
    liberty: Liberty,
    *,
    clock_ps: int = DEFAULT_CLOCK_PS,
    path: bool = True,
    progress: Progress | None = None,
) -> EieNetlists:
    """Synthesize an array: one PE, and all else once.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    pe = {"pe.v": emit_verilog(Pe(params), PE_MODULE)}
    array = {"array.v": emit_verilog(EieArray(params), ARRAY_MODULE)}
    return EieNetlists(
        synthesize(pe, PE_MODULE, liberty, clock_ps=clock_ps, path=path, progress=progress),
        synthesize(
            pe | array,
            ARRAY_MODULE,
            liberty,
            boxes=[PE_MODULE],
            clock_ps=clock_ps,
            path=path,
            progress=progress,
        ),
    )


def area_report(
    preset: str,
    params: EieParams,
    liberty: Liberty,
    *,
    clock_ps: int = DEFAULT_CLOCK_PS,
    progress: Progress | None = None,
) -> tuple[AreaReport, EieNetlists]:
    """Measure an array.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    netlists = eie_netlists(params, liberty, clock_ps=clock_ps, progress=progress)
    pe = units_of(netlists.pe, liberty, own="control", paper=PAPER_UNITS)
    array = units_of(netlists.array, liberty, own="host port")
    assert netlists.pe.path is not None
    assert netlists.array.path is not None
    return (
        AreaReport(
            "eie",
            preset,
            asdict(params),
            liberty.name,
            liberty.ge,
            clock_ps,
            pe,
            params.num_pes,
            array,
            _nodes(netlists.array, liberty),
            {"pe": netlists.pe.path, "array": netlists.array.path},
            {PE_MODULE: digest(netlists.pe), ARRAY_MODULE: digest(netlists.array)},
        ),
        netlists,
    )


def _nodes(array: Netlist, liberty: Liberty) -> tuple[Unit, ...]:
    """Return the largest node of the tree that finds non-zeros."""
    (tree,) = (
        module
        for instance, module in array.modules[array.top].children.items()
        if instance == "lnzd"
    )
    nodes = units_of(array, liberty, own="", top=tree)[:-1]
    largest = max(nodes, key=lambda node: node.logic_ge)
    return (sum_units("lnzd node", [largest], PAPER_UNITS["lnzd node"]),)


def beside_paper(report: AreaReport) -> dict[str, Any]:
    """Return what the paper has of a PE as a whole."""
    del report
    return {"paper_pe_um2": PAPER_TOTAL, "paper_pe_logic_um2": PAPER_LOGIC}


def paper_tables(report: AreaReport) -> Iterator[Table | str]:
    """Give the array, and the PE's logic beside the paper's."""
    pe = sum_units("PE", report.pe)
    yield (
        f"PE without SRAMs: {pe.logic_um2:,.0f} um2; the paper's registers and gates: "
        f"{PAPER_LOGIC:,.0f} um2, its activation registers among them"
    )
    units = [*report.array, report.all_pes, report.total]
    yield Table(
        f"Array of {report.num_pes} PEs", HEADER[:-1], [unit_row(unit)[:-1] for unit in units]
    )
