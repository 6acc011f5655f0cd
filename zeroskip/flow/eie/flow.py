"""EIE as hardware: its modules, their areas beside table II of its paper."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from zeroskip.base.tables import Table
from zeroskip.flow.eie import host
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.flow.eie.testbench import testbench
from zeroskip.flow.flow import Flow, Modules
from zeroskip.flow.host.driver import Driver
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.flow.synth.report import AreaReport, Unit, sum_units, units_of
from zeroskip.hw.common.bundle import Port
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
from zeroskip.hw.eie.host import BOARD_KIND, Space, StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.hw.eie.system import EieUnit, eie_engine
from zeroskip.hw.system.chip import EngineUnit
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams

__all__ = ["FLOW"]

_PAPER_LOGIC = 9_465.0 + 8_946.0
"""Registers and gates of the PE; the paper's activation registers are among them."""


class _Eie(Flow[EieParams]):
    engine = "eie"
    board_kind = BOARD_KIND
    in_order = True
    waves: Mapping[str, Sequence[str]] = {
        ARRAY_MODULE: (
            "running", "ccu.run_control.state", "control__phase", "out_valid", "out_pass",
            "out_row", "out_data", "pe_0.broadcast", "pe_0.broadcast_en", "pe_0.room",
            "pe_*.stall_class",
        )
    }  # fmt: skip
    enums = (Space, Control, Command, StatusBit, StallClass)
    # Table II, and section VI for the node: um2 at 45 nm after layout, SRAMs with them.
    paper_units: Mapping[str, float] = {
        "act_queue": 758.0,
        "ptr_read": 121_849.0,
        "spmat_read": 469_412.0,
        "arithm": 3_110.0,
        "act_rw": 18_934.0,
        "lnzd node": 189.0,
    }
    # 594,786 of memory, 9,465 of registers, 8,946 of gates, 866 of clock, 23,961 of filler.
    paper_total = 638_024.0

    def modules(self, params: EieParams) -> Modules:
        return {PE_MODULE: partial(Pe, params), ARRAY_MODULE: partial(EieArray, params)}

    def unit(self, params: EieParams, port: SystemParams) -> partial[EngineUnit]:
        return partial(EieUnit, port, params)

    def behind_system(self, params: EieParams, port: SystemParams) -> Engine:
        del port
        return eie_engine(params)

    def num_pes(self, params: EieParams) -> int:
        return params.num_pes

    def testbench(self, top: str, listed: Sequence[Port], params: EieParams) -> str:
        return testbench(top, listed, params)

    def board_array(self, params: EieParams) -> EieBoardArray:
        return EieBoardArray(params)

    @property
    def driver(self) -> Driver:
        return host

    def parts(
        self, params: EieParams, netlists: Mapping[str, Netlist], liberty: Liberty
    ) -> tuple[Unit, ...]:
        """Return the largest node of the tree that finds non-zeros."""
        del params
        array = netlists["array"]
        tree = array.modules[array.top].children["lnzd"]
        nodes = units_of(array, liberty, own="", top=tree)[:-1]
        largest = max(nodes, key=lambda node: node.logic_ge)
        return (sum_units("lnzd node", [largest], self.paper_units["lnzd node"]),)

    def beside_paper(self, report: AreaReport) -> Mapping[str, Any]:
        """Return what the paper has of a PE as a whole."""
        del report
        return {"paper_pe_um2": self.paper_total, "paper_pe_logic_um2": _PAPER_LOGIC}

    def paper_tables(self, report: AreaReport) -> Iterator[Table | str]:
        """Compare the PE's logic with the paper's."""
        yield (
            f"PE without SRAMs: {sum_units('PE', report.pe).logic_um2:,.0f} um2; the paper's "
            f"registers and gates: {_PAPER_LOGIC:,.0f} um2, its activation registers among them"
        )


FLOW = _Eie()
"""What is found of EIE, see :mod:`zeroskip.flow.flow`."""
