"""Build simulations for Icarus Verilog, which is event-driven and knows X."""

import re
import shutil
import subprocess
from pathlib import Path

from zeroskip.base.environment import clean_environment
from zeroskip.base.errors import ToolError

__all__ = ["build_icarus", "has_icarus", "icarus_ports", "icarus_top"]

_PROGRAM = "sim.vvp"  # as cocotb's runner has it
_PORTS = "ports.txt"


def has_icarus() -> bool:
    """Tell whether Icarus Verilog is installed."""
    return shutil.which("iverilog") is not None


def build_icarus(text: str, top: str, folder: Path) -> Path:
    """Compile ``text``; return the program.

    As SystemVerilog, where a register's value at its declaration is no event that a block could
    wait for.

    Parameters
    ----------
    text : all modules.
    top : the top module.
    folder : to build in; it gets a folder of the top's name.

    Raises
    ------
    ToolError
        If Icarus Verilog is missing or the compilation fails.
    """
    if not has_icarus():
        raise ToolError(
            "iverilog is not on PATH: install it, for instance with 'apt install iverilog'"
        )
    build = folder / top
    build.mkdir(parents=True, exist_ok=True)
    (build / "design.v").write_text(f"`timescale 1ns/1ps\n{text}")
    command = ["iverilog", "-g2012", "-Wall", "-s", top, "-o", str(build / _PROGRAM), "design.v"]
    done = subprocess.run(
        command, cwd=build, env=clean_environment(), capture_output=True, text=True
    )
    if done.returncode or done.stderr:
        raise ToolError(f"iverilog failed with status {done.returncode}:\n{done.stderr[-2000:]}")
    head = re.search(rf"^module {top} \(([^)]*)\);", text, re.MULTILINE)
    assert head is not None
    (build / _PORTS).write_text(head[1].replace(", ", "\n"))
    return build / _PROGRAM


def icarus_top(program: Path) -> str | None:
    """Return the top module of a program; None if it is not for Icarus Verilog."""
    return program.parent.name if program.name == _PROGRAM else None


def icarus_ports(program: Path) -> list[str]:
    """Return the ports of the top module."""
    return (program.parent / _PORTS).read_text().split()
