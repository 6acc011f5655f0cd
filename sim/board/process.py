"""A simulated board as a process, the port at which a host finds it, and what a board should do."""

import contextlib
import mmap
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.base.environment import clean_environment
from zeroskip.base.errors import SimulationError
from zeroskip.compiler.engine import engines
from zeroskip.compiler.image.image import Image
from zeroskip.flow.flow import flow_on_board
from zeroskip.flow.host.driver import BoardResult
from zeroskip.hw.board.system import BOARD_PORT, MEMORY
from zeroskip.sim.board.build import CLOCK_HZ, BoardModel
from zeroskip.sim.run import quantize, run
from zeroskip.sim.system.inferences import count_inferences

__all__ = ["SimulatedBoard", "board_clock", "count_differences", "simulated_board"]

_CLOCK = struct.Struct("<QQ")
"""Cycles and process, as ``main.cpp`` writes them."""


@dataclass(frozen=True)
class SimulatedBoard:
    """A board that runs.

    Parameters
    ----------
    port : the name of a pseudo-terminal, to open as a serial port with any baud rate.
    process : the simulator.
    clock : gives the seconds that have passed on the board, for a host that waits.
    """

    port: str
    process: Any
    clock: Callable[[], float]

    def press_reset(self) -> None:
        """Press the reset button; what the line is doing then is lost."""
        self.process.send_signal(signal.SIGUSR1)


@contextlib.contextmanager
def simulated_board(
    model: BoardModel,
    *,
    sram_dir: Path | None = None,
    plusargs: Sequence[str] = (),
    seed: int = 1,
) -> Iterator[SimulatedBoard]:
    """Run a simulated board; it is stopped at the end.

    Memory rows that nobody loads, and registers without reset, start with noise of ``seed``.

    Parameters
    ----------
    model : see :func:`.build_board`.
    sram_dir : a folder of ``<instance path>.hex`` files that the SRAMs hold at first, as after
        the configuration of a board.
    plusargs : more of them for the Verilog, such as ``+name``.

    Raises
    ------
    SimulationError
        If it does not start.
    """
    # It rests when nothing can happen any more; no frame may be under way then.
    quiet = 2 * model.timeout
    plus = [*plusargs, *(["+sram_dir=."] if sram_dir else [])]
    clocks = _clocks()
    with writing_cache():
        clocks.mkdir(parents=True, exist_ok=True)
    command = [
        str(model.program), str(model.divisor), str(quiet), str(clocks),
        "+verilator+rand+reset+2", f"+verilator+seed+{seed}", *plus,
    ]  # fmt: skip
    port = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=sram_dir, env=clean_environment()
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise SimulationError(f"the simulated board {model.program} did not start")
            clock = board_clock(port)
            assert clock is not None
            yield SimulatedBoard(port, process, clock)
        finally:
            process.terminate()
            if port:
                (clocks / Path(port).name).unlink(missing_ok=True)


def board_clock(port: str) -> Callable[[], float] | None:
    """Return the clock of the simulated board at ``port``, in seconds; None if there is none."""
    file = _clocks() / Path(port).name
    try:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), _CLOCK.size, prot=mmap.PROT_READ)
        _, process = _CLOCK.unpack(mapped)
        os.kill(process, 0)
    except (OSError, ValueError, OverflowError):
        return None  # or it was left behind by one that was killed
    return lambda: _CLOCK.unpack(mapped)[0] / CLOCK_HZ


def _clocks() -> Path:
    """Return the folder in which each simulated board keeps its clock, see ``main.cpp``."""
    return cache_dir() / "boards"


def count_differences(
    image: Image, samples: NDArray[np.float64], result: BoardResult
) -> tuple[int, int]:
    """Count outputs that are not golden's, and cycles that are not the cycle model's."""
    outputs, cycles = _expected(image, samples)
    words = np.count_nonzero(outputs.reshape(result.result.shape) != result.result)
    return int(words), int(np.count_nonzero(cycles != result.cycles))


def _expected(image: Image, samples: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return golden's outputs, and the cycles of the cycle model."""
    if flow_on_board(image).engine in engines():
        model = run(image, samples, "cycles")
        return model.result, model.cycles
    found = count_inferences(image, quantize(image, samples)[0], BOARD_PORT, MEMORY, queued=1)
    return found.outputs, [cycles for one in found.inferences for cycles in one.cycles]
