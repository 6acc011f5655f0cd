"""Run cocotb benches on built simulators."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path

import cocotb_tools.config
import find_libpython
from cocotb_tools.check_results import get_results

from zeroskip.base.environment import python_environment
from zeroskip.base.errors import SimulationError, ToolError
from zeroskip.sim.rtl.icarus import icarus_ports, icarus_top
from zeroskip.sim.rtl.tools import ended_by
from zeroskip.sim.rtl.watched import WATCHED

__all__ = ["cocotb_entry_point", "launch"]

# What the system says of a file that cannot grow: that is no fault of the design.
_FULL = "No space left on device|File too large|Disk quota exceeded"


def launch(
    program: Path,
    bench: str,
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    plusargs: tuple[str, ...] = (),
    seed: int = 1,
    waves: bool = False,
) -> None:
    """Run the tests of module ``bench`` on ``program`` in ``folder``; all must pass.

    Memory rows that nobody loads, and registers without reset, start with noise of ``seed``:
    what a design reads it must have written. In a simulation for Icarus Verilog they start with
    X, which must never come to a port that is to mean something. Nothing of the user's
    environment reaches the bench but what :mod:`zeroskip.base.environment` names.

    Raises
    ------
    SimulationError
        If a test fails, or the simulator ends early.
    ToolError
        If there is no Python library to load, or no room for what the simulator writes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, xml = folder / "simulation.log", folder / "results.xml"
    xml.unlink(missing_ok=True)
    top = icarus_top(program)
    own = _bench_environment(top or program.name, bench, xml, seed)
    if top is None:
        noise = ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        command = [str(program), *(["--trace"] if waves else []), *noise]
        own["COCOTB_TRUST_INERTIAL_WRITES"] = "1"
    else:
        library = cocotb_tools.config.lib_entry("vpi", "icarus")
        command = ["vvp", "-m", library, str(program), "-fst" if waves else "-none"]
        own[WATCHED] = " ".join(icarus_ports(program))
    with open(log, "w") as output:
        status = subprocess.run(
            [*command, *plusargs],
            cwd=folder,
            env={**own, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ).returncode
    failed, number = 1, 0
    if xml.exists():
        with contextlib.suppress(RuntimeError):
            number, failed = get_results(xml)
    if status or failed or not number:
        text = log.read_text(errors="replace")
        full = re.search(_FULL, text)
        if full or status == -signal.SIGXFSZ:
            reason = full.group() if full else "File too large"
            what = "the simulation, or its waves," if waves else "the simulation"
            raise ToolError(
                f"{what} cannot be written to {folder}: {reason}; make room, or name another "
                "folder with ZEROSKIP_CACHE"
            )
        how = f" with {ended_by(status)}" if status else ""
        tail = "\n".join(text.splitlines()[-25:])
        raise SimulationError(f"the simulation of {bench} failed{how}, see {log}:\n{tail}")


def _bench_environment(top: str, bench: str, xml: Path, seed: int) -> dict[str, str]:
    """Return what cocotb's libraries, which the simulator loads, go by."""
    library = find_libpython.find_libpython()
    if library is None:
        raise ToolError(
            f"{sys.executable} has no shared libpython, which cocotb loads: install it, for "
            "instance with 'apt install libpython3-dev'"
        )
    env, libraries = python_environment(), str(cocotb_tools.config.libs_dir)
    return {
        **env,
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [libraries, env.get("LD_LIBRARY_PATH")])),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{library};{cocotb_entry_point()}",
        "COCOTB_TOPLEVEL": top,
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_TEST_MODULES": bench,
        "COCOTB_RESULTS_FILE": str(xml),
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_ANSI_OUTPUT": "0",
        # Else pytest rewrites all that is imported, and Numba takes seconds more.
        "COCOTB_REWRITE_ASSERTION_FILES": "",
    }


def cocotb_entry_point() -> str:
    """Return what the simulator is to call of cocotb.

    ``cocotb_tools.config.pygpi_entry_point`` imports cocotb for it, and with it pytest, which fails
    where a user has a ``py.py`` of his own beside his script.
    """
    folder = Path(cocotb_tools.config.__file__).parents[1] / "cocotb"
    found = PathFinder.find_spec("simulator", [str(folder)])
    if found is None or found.origin is None:
        raise ToolError(f"cocotb in {folder} has no module 'simulator': install it again")
    return f"{Path(found.origin).resolve()},initialize"
