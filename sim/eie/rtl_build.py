"""Build a Verilator simulation of the EIE array."""

from dataclasses import asdict
from pathlib import Path

from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.eie.array import ARRAY_MODULE, PE_MODULE, EieArray
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe
from zeroskip.sim.rtl.build import build_design

__all__ = ["build_array"]


def build_array(params: EieParams, *, waves: bool = False) -> Path:
    """Build the EIE array; return the program, which runs any image of ``params``.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """

    def convert() -> dict[str, str]:
        return {
            "eie_pe.v": emit_verilog(Pe(params), PE_MODULE),
            "eie_array.v": emit_verilog(EieArray(params), ARRAY_MODULE),
        }

    return build_design(
        f"eie_{params.num_pes}",
        asdict(params),
        ("common", "eie", "verilog"),
        convert,
        ARRAY_MODULE,
        (PE_MODULE,),
        waves=waves,
    )
