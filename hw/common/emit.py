"""Verilog out of Amaranth: reproducible text, the same bytes from the same design."""

import os
from pathlib import Path

from amaranth.back import verilog
from amaranth.lib import wiring

from hw.common.sram import SramPlatform

__all__ = ["SRAM_VERILOG", "emit_verilog"]

SRAM_VERILOG = Path(__file__).parents[1] / "verilog" / "sram_1r1w.sv"
"""The SRAM that generated Verilog instantiates."""


def emit_verilog(component: wiring.Component, name: str) -> str:
    """Convert ``component`` to Verilog text with top module ``name``."""
    # The text differs between Yosys versions; the pinned wheel gives one answer everywhere.
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    return verilog.convert(
        component, name=name, platform=SramPlatform(), emit_src=False, strip_internal_attrs=True
    )
