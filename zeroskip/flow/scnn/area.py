"""Area and timing of an SCNN PE, each part beside the area of its multipliers."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import DEFAULT_CLOCK_PS, Netlist, synthesize
from zeroskip.flow.synth.report import AreaReport, Unit, digest, sum_units, units_of
from zeroskip.flow.synth.sram_area import sram_area
from zeroskip.flow.synth.yosys import Progress
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.scnn.array import PE_MODULE
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe

__all__ = ["area_report", "beside_paper", "over_multipliers", "paper_tables", "scnn_netlist"]

_MULTIPLIERS = "multipliers"

# SCNN, section VI: mm2 at 16 nm.
_PAPER_MM2 = {
    "act_ram": 0.031,
    "weight_fifo": 0.004,
    "multiplier_array": 0.008,
    "scatter": 0.026,
    "accumulators": 0.036,
}


def scnn_netlist(
    params: ScnnParams,
    liberty: Liberty,
    *,
    clock_ps: int = DEFAULT_CLOCK_PS,
    path: bool = True,
    progress: Progress | None = None,
) -> Netlist:
    """Synthesize a PE.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    text = emit_verilog(ScnnPe(params), PE_MODULE)
    return synthesize(
        {"pe.v": text}, PE_MODULE, liberty, clock_ps=clock_ps, path=path, progress=progress
    )


def area_report(
    preset: str,
    params: ScnnParams,
    liberty: Liberty,
    *,
    clock_ps: int = DEFAULT_CLOCK_PS,
    progress: Progress | None = None,
) -> tuple[AreaReport, Netlist]:
    """Measure a PE; what the array has around its PEs is not in the report.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    netlist = scnn_netlist(params, liberty, clock_ps=clock_ps, progress=progress)
    assert netlist.path is not None
    units = units_of(netlist, liberty, own="control")
    return (
        AreaReport(
            "scnn",
            preset,
            asdict(params),
            liberty.name,
            liberty.ge,
            clock_ps,
            units,
            params.num_pes,
            (),
            (_multipliers(params, liberty),),
            {"pe": netlist.path},
            {PE_MODULE: digest(netlist)},
        ),
        netlist,
    )


def over_multipliers(report: AreaReport) -> dict[str, dict[str, float | None]]:
    """Divide areas of a PE's units, and of the PE, by that of its multipliers alone.

    Returns
    -------
    By unit: ``logic``; ``all``, its SRAMs with it; ``paper``, the same of the paper's part, over
    its multiplier array; None where it has none.
    """
    (multipliers,) = (unit for unit in report.parts if unit.name == _MULTIPLIERS)
    base = multipliers.logic_um2
    paper = {name: area / _PAPER_MM2["multiplier_array"] for name, area in _PAPER_MM2.items()}
    return {
        unit.name: {
            "logic": unit.logic_um2 / base,
            "all": (unit.logic_um2 + sram_area(unit.srams).model) / base,
            "paper": paper.get(unit.name),
        }
        for unit in [*report.pe, sum_units("PE", report.pe)]
    }


def _multipliers(p: ScnnParams, liberty: Liberty) -> Unit:
    """Synthesize one multiplier alone, and count it as often as the PE has one."""
    factors = f"input signed [{p.weight_bits - 1}:0] a, input signed [{p.act_bits - 1}:0] b"
    product = f"output signed [{p.weight_bits + p.act_bits - 1}:0] y"
    text = f"module multiplier ({factors}, {product}); assign y = a * b; endmodule\n"
    run = synthesize({"multiplier.v": text}, "multiplier", liberty, path=False)
    (multiplier,) = run.modules.values()
    return Unit(_MULTIPLIERS, 0, 0.0, p.mults * multiplier.combinational / liberty.ge)


def beside_paper(report: AreaReport) -> dict[str, Any]:
    """Return areas over that of the multipliers, as the paper's can be compared."""
    return {"over_multipliers": over_multipliers(report)}


def paper_tables(report: AreaReport) -> Iterator[Table | str]:
    """Give areas over that of the multipliers, beside the paper's."""
    yield Table(
        "Over the area of the PE's multipliers",
        ["unit", "logic", "all", "paper, all"],
        [
            [name, *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios.values())]
            for name, ratios in over_multipliers(report).items()
        ],
    )
    yield (
        "paper: mm2 at 16 nm over that of its multiplier array; what is around PEs is left out here"
    )
