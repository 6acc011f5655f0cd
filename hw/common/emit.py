"""Verilog out of Amaranth: reproducible text, the same bytes from the same design."""

import os
import re
from pathlib import Path

from amaranth.back import verilog
from amaranth.lib import wiring

from hw.common.sram import SramPlatform

__all__ = ["SRAM_VERILOG", "emit_verilog"]

SRAM_VERILOG = Path(__file__).parents[1] / "verilog" / "sram_1r1w.sv"
"""The SRAM that generated Verilog instantiates."""


def emit_verilog(
    component: wiring.Component, name: str, platform: SramPlatform | None = None
) -> str:
    """Convert ``component`` to Verilog text with top module ``name``.

    Parameters
    ----------
    component, name : what to convert.
    platform : which memories become SRAMs; those of :func:`hw.common.sram.sram` unless given.

    Raises
    ------
    ValueError
        If an SRAM lost its name to a signal of the same name: images are loaded by name.
    """
    # The text differs between Yosys versions; the pinned wheel gives one answer everywhere.
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    text = verilog.convert(
        component,
        name=name,
        platform=platform or SramPlatform(),
        emit_src=False,
        strip_internal_attrs=True,
    )
    for instance in re.findall(r"^  sram_1r1w #\([^;]*?^  \) (\S+)", text, re.MULTILINE):
        if "$" in instance:
            raise ValueError(f"an SRAM of {name} has a signal's name and became {instance}")
    return text
