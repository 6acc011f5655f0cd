"""Verilog out of Amaranth: reproducible text, the same bytes from the same design."""

import os
import re
from pathlib import Path

from amaranth.back import verilog
from amaranth.lib import wiring

from hw.common.sram import SramPlatform
from hw.common.verilog_names import plain_names

__all__ = ["SRAM_VERILOG", "emit_verilog"]

SRAM_VERILOG = Path(__file__).parents[1] / "verilog" / "sram_1r1w.sv"
"""The SRAM that generated Verilog instantiates."""

# Yosys lets every combinational block look at this, which has no other use.
_AT_START = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$", re.MULTILINE)


def emit_verilog(
    component: wiring.Component,
    name: str,
    platform: SramPlatform | None = None,
    *,
    outside: str = "",
) -> str:
    """Convert ``component`` to Verilog text with top module ``name``.

    Every combinational block runs once at the start of a simulation, whether or not what it
    depends on ever changes, and every name is one that needs no escape.

    Parameters
    ----------
    component, name : what to convert.
    platform : which memories become SRAMs; those of :func:`hw.common.sram.sram` unless given.
    outside : what the names of modules begin with that are instances here and defined elsewhere.

    Raises
    ------
    ValueError
        If an SRAM or a port cannot have its name, which is a keyword or, of an SRAM, another
        signal's: images are loaded by name.
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
        if "\\" in instance:
            raise ValueError(f"an SRAM of {name} has a signal's name and became {instance}")
    # Yosys' own `= 0` is no event where it is done before the blocks begin to wait; what is
    # assigned without blocking comes after that.
    text = _AT_START.sub(
        r"  reg \1;\n"
        r"  /* verilator lint_off INITIALDLY */ initial \1 <= 1'b0; "
        r"/* verilator lint_on INITIALDLY */",
        text,
    )
    return plain_names(text, outside)
