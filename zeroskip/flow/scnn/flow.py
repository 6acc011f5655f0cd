"""SCNN as hardware: its modules, each part of a PE beside the area of its multipliers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.flow.flow import Flow, Modules
from zeroskip.flow.scnn.testbench import testbench
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import Netlist, synthesize
from zeroskip.flow.synth.report import AreaReport, Unit, sum_units
from zeroskip.flow.synth.sram_area import sram_area
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.scnn.array import ARRAY_MODULE, PE_MODULE, ScnnArray
from zeroskip.hw.scnn.formats import Space, StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.pe import ScnnPe
from zeroskip.hw.scnn.system import ScnnUnit, scnn_engine
from zeroskip.hw.system.chip import EngineUnit
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams

__all__ = ["FLOW", "over_multipliers"]

_MULTIPLIERS = "multipliers"

# SCNN, section VI: mm2 at 16 nm.
_PAPER_MM2 = {
    "act_ram": 0.031,
    "weight_fifo": 0.004,
    "multiplier_array": 0.008,
    "scatter": 0.026,
    "accumulators": 0.036,
}


class _Scnn(Flow[ScnnParams]):
    engine = "scnn"
    waves: Mapping[str, Sequence[str]] = {
        ARRAY_MODULE: (
            "running", "sequencer.run_control.state", "control__phase", "out_valid", "out_pass",
            "out_data", "pe_*.stall_class",
        )
    }  # fmt: skip
    enums = (Space, Control, Command, StatusBit, StallClass)

    def modules(self, params: ScnnParams) -> Modules:
        return {PE_MODULE: partial(ScnnPe, params), ARRAY_MODULE: partial(ScnnArray, params)}

    def unit(self, params: ScnnParams, port: SystemParams) -> partial[EngineUnit]:
        return partial(ScnnUnit, port, params)

    def behind_system(self, params: ScnnParams, port: SystemParams) -> Engine:
        return scnn_engine(port, params)

    def num_pes(self, params: ScnnParams) -> int:
        return params.num_pes

    def testbench(self, top: str, listed: Sequence[Port], params: ScnnParams) -> str:
        return testbench(top, listed, params)

    def measured(self, params: ScnnParams) -> Modules:
        """Return the PE; what the array has around its PEs is not in the report."""
        return {PE_MODULE: partial(ScnnPe, params)}

    def parts(
        self, params: ScnnParams, netlists: Mapping[str, Netlist], liberty: Liberty
    ) -> tuple[Unit, ...]:
        """Synthesize one multiplier alone, and count it as often as the PE has one."""
        del netlists
        p = params
        factors = f"input signed [{p.weight_bits - 1}:0] a, input signed [{p.act_bits - 1}:0] b"
        product = f"output signed [{p.weight_bits + p.act_bits - 1}:0] y"
        text = f"module multiplier ({factors}, {product}); assign y = a * b; endmodule\n"
        run = synthesize({"multiplier.v": text}, "multiplier", liberty, path=False)
        (multiplier,) = run.modules.values()
        return (Unit(_MULTIPLIERS, 0, 0.0, p.mults * multiplier.combinational / liberty.ge),)

    def beside_paper(self, report: AreaReport) -> Mapping[str, Any]:
        """Return areas over that of the multipliers, as the paper's can be compared."""
        return {"over_multipliers": over_multipliers(report)}

    def paper_tables(self, report: AreaReport) -> Iterator[Table | str]:
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
            "paper: mm2 at 16 nm over that of its multiplier array; what is around PEs is left out "
            "here"
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


FLOW = _Scnn()
"""What is found of SCNN, see :mod:`zeroskip.flow.flow`."""
