"""Run Yosys, the library of package pyosys, in a process of its own."""

import contextlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from zeroskip.base.environment import python_environment
from zeroskip.base.errors import ToolError

__all__ = ["Progress", "check_yosys", "run_yosys"]

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and of how much."""

# An error ends the process in the midst of the library: it must not be this one.
_WORKER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
done = open(sys.argv[2], "w", buffering=1)
for command in open(sys.argv[1]).read().splitlines():
    libyosys.run_pass(command, design)
    print(file=done)
"""

_POLL_SECONDS = 0.1

# What abc says before Yosys misses the file that abc did not write; the first is the cause.
_ABC_ERRORS = r"^ABC: ((?:Library with only|Mio_ParseFormula|Error:).*?)\s*$"


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


def run_yosys(
    commands: Sequence[str], folder: Path, ran: Callable[[int], None] = lambda _: None
) -> str:
    """Run ``commands`` in ``folder``, in which file names are looked up; return the log.

    The log is also left in ``yosys.log``, the commands in ``yosys.ys``. ``ran`` is told now and
    then how many commands are done.

    Raises
    ------
    ToolError
        If Yosys is not there or fails; the message has its own error.
    """
    check_yosys()
    script, log, done = (folder / f"yosys.{end}" for end in ("ys", "log", "done"))
    script.write_text("\n".join(commands) + "\n")
    done.write_text("")
    with (
        open(log, "w") as output,
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, script.name, done.name],
            cwd=folder,
            # Yosys leaves what abc has read of libraries where temporary files go.
            env={**python_environment(), "TMPDIR": str(folder.absolute())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as worker,
    ):
        try:
            while worker.poll() is None:
                ran(done.read_text().count("\n"))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    worker.wait(_POLL_SECONDS)
        except BaseException:
            worker.kill()
            raise
    ran(done.read_text().count("\n"))
    text = log.read_text(errors="replace")
    if worker.returncode:
        errors = re.findall(_ABC_ERRORS, text, re.MULTILINE)
        errors = errors or re.findall(r"^ERROR: (.*)$", text, re.MULTILINE)
        reason = errors[0] if errors else "no reason given"
        status = worker.returncode
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ToolError(f"Yosys failed with {how}: {reason}")
    return text
