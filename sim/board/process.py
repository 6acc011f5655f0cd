"""A simulated board as a process, and the port at which a host finds it."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.board.build import BoardModel
from sim.environment import clean_environment
from sim.errors import SimulationError

__all__ = ["SimulatedBoard", "simulated_board"]


@dataclass(frozen=True)
class SimulatedBoard:
    """A board that runs.

    Parameters
    ----------
    port : the name of a pseudo-terminal, to open as a serial port with any baud rate.
    process : the simulator.
    """

    port: str
    process: Any

    def press_reset(self) -> None:
        """Press the reset button; what the line is doing then is lost."""
        self.process.send_signal(signal.SIGUSR1)


@contextlib.contextmanager
def simulated_board(
    model: BoardModel, *, sram_dir: Path | None = None, seed: int = 1
) -> Iterator[SimulatedBoard]:
    """Run a simulated board; it is stopped at the end.

    Memory rows that nobody loads, and registers without reset, start with noise of ``seed``.

    Parameters
    ----------
    model : see :func:`sim.board.build.build_board`.
    sram_dir : a folder of ``<instance path>.hex`` files that the SRAMs hold at first, as after
        the configuration of a board.

    Raises
    ------
    SimulationError
        If it does not start.
    """
    # It rests when nothing can happen any more; no frame may be under way then.
    quiet = 2 * model.timeout
    plus = ["+sram_dir=."] if sram_dir else []
    command = [
        str(model.program), str(model.divisor), str(quiet), "+verilator+rand+reset+2",
        f"+verilator+seed+{seed}", *plus,
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=sram_dir, env=clean_environment()
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise SimulationError(f"the simulated board {model.program} did not start")
            yield SimulatedBoard(port, process)
        finally:
            process.terminate()
