"""Run Yosys, the library of package pyosys, in a process of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sim.errors import ToolError

__all__ = ["check_yosys", "run_yosys"]

# An error ends the process in the midst of the library: it must not be this one.
_WORKER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in open(sys.argv[1]).read().splitlines():
    libyosys.run_pass(command, design)
"""


def check_yosys() -> None:
    """Check that Yosys is there.

    Raises
    ------
    ToolError
        If it is not; the message says how to get it.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise ToolError(
            "Yosys is not installed in this Python: install Zeroskip with its extra 'synth', or "
            "run 'pip install pyosys==0.70'"
        )


def run_yosys(commands: Sequence[str], folder: Path) -> str:
    """Run ``commands`` in ``folder``, in which file names are looked up; return the log.

    The log is also left in ``yosys.log``, the commands in ``yosys.ys``.

    Raises
    ------
    ToolError
        If Yosys is not there or fails; the message has its own error.
    """
    check_yosys()
    script, log = folder / "yosys.ys", folder / "yosys.log"
    script.write_text("\n".join(commands) + "\n")
    with open(log, "w") as output:
        done = subprocess.run(
            [sys.executable, "-c", _WORKER, script.name],
            cwd=folder,
            # Yosys leaves what abc has read of libraries where temporary files go.
            env={**os.environ, "TMPDIR": str(folder.absolute())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    text = log.read_text(errors="replace")
    if done.returncode:
        # What abc says comes before Yosys misses the file that abc did not write.
        errors = re.findall(r"^ABC: (Error: .*)$", text, re.MULTILINE)
        errors = errors or re.findall(r"^ERROR: (.*)$", text, re.MULTILINE)
        reason = errors[-1] if errors else "no reason given"
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise ToolError(f"Yosys failed with {how}: {reason}")
    return text
