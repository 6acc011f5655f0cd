"""The Verilog of a board's top: the same text for bitstreams and for simulation."""

from pathlib import Path
from typing import Any

from zeroskip.flow.board.array import BoardArray
from zeroskip.hw.board.top import BOARD_MODULE, BoardTop
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog
from zeroskip.hw.common.sram import SramPlatform

__all__ = ["SRAM_FPGA", "board_verilog"]

SRAM_FPGA: Path = SRAM_VERILOG.with_name("srams_fpga.v")
"""The SRAMs as FPGA memories are."""


def board_verilog(
    array: BoardArray[Any], *, divisor: int, clock_hz: int, timeout: int | None = None
) -> dict[str, str]:
    """Return the board's top as Verilog text by file name; see :class:`.BoardTop`."""
    platform = SramPlatform(has_multipliers=True, short_paths=array.short_paths)
    top = BoardTop(array.hosted, divisor=divisor, clock_hz=clock_hz, timeout=timeout)
    return {
        SRAM_FPGA.name: SRAM_FPGA.read_text(),
        **{f"{name}.v": emit_verilog(m(), name, platform) for name, m in array.inside.items()},
        f"{BOARD_MODULE}.v": emit_verilog(top, BOARD_MODULE, platform),
    }
