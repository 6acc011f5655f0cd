"""Run cocotb benches on built simulators."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from sim.bench.four_state import WATCHED
from sim.errors import SimulationError
from sim.rtl.icarus import icarus_ports, icarus_top

__all__ = ["launch"]


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
    X, which must never come to a port that is to mean something.

    Raises
    ------
    SimulationError
        If a test fails, or the simulator ends early.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, xml = folder / "simulation.log", folder / "results.xml"
    xml.unlink(missing_ok=True)
    env = dict(env or {})
    top = icarus_top(program)
    if top is None:
        runner = get_runner("verilator")
        plusargs = ("+verilator+rand+reset+2", f"+verilator+seed+{seed}", *plusargs)
    else:
        runner = get_runner("icarus")
        env[WATCHED] = " ".join(icarus_ports(program))
    # A crash is an exception of the runner, or a missing report: both are told below.
    with _outside_pytest(), contextlib.suppress(SystemExit, RuntimeError):
        runner.test(
            hdl_toplevel=top or program.name,
            hdl_toplevel_lang="verilog",
            test_module=bench,
            build_dir=program.parent,
            test_dir=folder,
            results_xml=str(xml),
            seed=seed,
            extra_env={
                **env,
                "COCOTB_ANSI_OUTPUT": "0",
                # Else pytest rewrites all that is imported, and Numba takes seconds more.
                "COCOTB_REWRITE_ASSERTION_FILES": "",
            },
            plusargs=list(plusargs),
            waves=waves,
            log_file=str(log),
        )
    failed, number = 1, 0
    if xml.exists():
        with contextlib.suppress(RuntimeError):
            number, failed = get_results(xml)
    if failed or not number:
        tail = "\n".join(log.read_text().splitlines()[-25:]) if log.exists() else "no log"
        raise SimulationError(f"the simulation of {bench} failed, see {log}:\n{tail}")


@contextlib.contextmanager
def _outside_pytest() -> Iterator[None]:
    """Hide pytest from cocotb's runner, which behaves in another way when it sees it."""
    name = os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        if name is not None:
            os.environ["PYTEST_CURRENT_TEST"] = name
