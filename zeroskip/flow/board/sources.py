"""The Verilog of a board's top: the same text for bitstreams and for simulation."""

from pathlib import Path

from zeroskip.hw.board.top import BOARD_MODULE, BoardTop
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog
from zeroskip.hw.common.sram import SramPlatform
from zeroskip.hw.eie.array import PE_MODULE
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.pe import Pe

__all__ = ["SRAM_FPGA", "board_verilog"]

SRAM_FPGA: Path = SRAM_VERILOG.with_name("srams_fpga.v")
"""The SRAMs as FPGA memories are."""


def board_verilog(
    params: EieParams, *, divisor: int, clock_hz: int, timeout: int | None = None
) -> dict[str, str]:
    """Return the board's top as Verilog text by file name; see :class:`.BoardTop`."""
    platform = SramPlatform(has_multipliers=True)
    top = BoardTop(params, divisor=divisor, clock_hz=clock_hz, timeout=timeout)
    return {
        SRAM_FPGA.name: SRAM_FPGA.read_text(),
        f"{PE_MODULE}.v": emit_verilog(Pe(params), PE_MODULE, platform),
        f"{BOARD_MODULE}.v": emit_verilog(top, BOARD_MODULE, platform),
    }
