"""Verilog out of Amaranth: reproducible text, the same bytes from the same design."""

import os
import re
from pathlib import Path

from amaranth.back import verilog
from amaranth.lib import wiring

from zeroskip.base.errors import ToolError
from zeroskip.hw.common.sram import SRAM_MODULES, SramPlatform
from zeroskip.hw.common.verilog_names import plain_names

__all__ = ["SRAM_VERILOG", "emit_verilog"]

SRAM_VERILOG = Path(__file__).parents[1] / "verilog" / "srams.v"
"""The SRAMs that generated Verilog instantiates."""

_SRAM = re.compile(rf"^  (?:{'|'.join(SRAM_MODULES)}) #\([^;]*?^  \) (\S+)", re.MULTILINE)
_MODULE = re.compile(r"^module .*?^endmodule$", re.DOTALL | re.MULTILINE)
# Yosys lets combinational blocks look at a register of no other use; but not those of one line,
# which drive some bits of what other blocks drive the rest of.
_AT_START = re.compile(r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$", re.MULTILINE)
_ONE_LINE = re.compile(r"^  always @\*\n    (\S.*;)$", re.MULTILINE)


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
    platform : which memories become SRAMs; those of :func:`.sram` unless given.
    outside : what the names of modules begin with that are instances here and defined elsewhere.

    Raises
    ------
    ToolError
        If the system refuses Yosys something.
    ValueError
        If an SRAM or a port cannot have its name, which is a keyword or, of an SRAM, another
        signal's: images are loaded by name.
    """
    # The text differs between Yosys versions; the pinned wheel gives one answer everywhere.
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    try:
        text = verilog.convert(
            component,
            name=name,
            platform=platform or SramPlatform(),
            emit_src=False,
            strip_internal_attrs=True,
        )
    except verilog.YosysError as error:
        refused = re.search(r"(?m)^\S*Error: (.*) \(os error \d+\)$", str(error))
        if refused is None:
            raise
        raise ToolError(
            f"Yosys, which writes the Verilog, could not write what it keeps: {refused[1]}; make "
            "room, or name other folders with TMPDIR and XDG_CACHE_HOME"
        ) from error
    for instance in _SRAM.findall(text):
        if "\\" in instance:
            raise ValueError(f"an SRAM of {name} has a signal's name and became {instance}")
    text = _MODULE.sub(lambda found: _run_at_start(found.group()), text)
    return plain_names(text, outside)


def _run_at_start(module: str) -> str:
    """Let every combinational block run once at the start of a simulation.

    A value that a register has from its declaration on is no event to wait for; what is assigned
    without blocking comes when all blocks wait.
    """
    found = _AT_START.search(module)
    name = found[1] if found else r"\$auto$verilog_backend "
    body = _ONE_LINE.sub(
        lambda line: f"  always @* begin\n    if ({name}) begin end\n    {line[1]}\n  end", module
    )
    if not found and body == module:
        return module
    start = (
        f"  reg {name};\n  /* verilator lint_off INITIALDLY */ initial {name} <= 1'b0; "
        "/* verilator lint_on INITIALDLY */"
    )
    if found:
        return body.replace(found.group(), start, 1)
    head, rest = body.split("\n", 1)
    return f"{head}\n{start}\n{rest}"
