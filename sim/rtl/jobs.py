"""Run cocotb benches on jobs: a folder for each, progress, waves, and runs that hang."""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.base.errors import InputError, SimulationError
from zeroskip.base.progress import Progress, silent
from zeroskip.sim.rtl.launch import launch
from zeroskip.sim.rtl.waves import Waves, expected_bytes, write_save_files

__all__ = ["job_folder", "run_bench", "simulate"]


@contextlib.contextmanager
def job_folder() -> Iterator[Path]:
    """Give a folder for a job and its results; it is removed, unless an error names it."""
    runs = cache_dir() / "runs"
    with writing_cache():
        runs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=runs))
    named = False
    try:
        with writing_cache():
            yield folder
    except SimulationError as error:
        named = str(folder) in str(error)  # the log in it
        raise
    finally:
        if not named:
            shutil.rmtree(folder, ignore_errors=True)


def simulate(
    program: Path,
    folder: Path,
    bench: str,
    steps: int,
    *,
    waves: Waves | None = None,
    progress: Progress | None = None,
    step: str = "simulate",
    blame: str = "",
) -> None:
    """Run a bench on the job in ``folder``, and watch it.

    Parameters
    ----------
    program : the simulation of a design.
    folder : where ``job.json`` is, and results will be.
    bench : module of one cocotb test. It appends a line to ``progress`` in the folder after each
        of its ``steps``; of a run that hangs it writes to ``hang`` which it is, and ends.
    waves : to record; their size is told as a step before, and files to open them with are
        written beside them.
    progress : called with ``step``.
    blame : what must be wrong if a run hangs, for the message.

    Raises
    ------
    SimulationError
        If a run hangs, or the simulation fails.
    """
    report = progress or silent
    if waves is not None:
        size = expected_bytes(program, waves) / 1e6
        inputs = "1 input" if waves.samples == 1 else f"{waves.samples} inputs"
        report(f"record waves of {inputs}, about {size:.1f} MB", 1, 1)
    with _watched(folder / "progress", steps, report, step):
        run_bench(program, folder, bench, waves=waves is not None)
    if waves is not None:
        try:
            shutil.move(folder / "dump.vcd", waves.path)
            write_save_files(program, waves.path)
        except OSError as error:
            where = error.filename2 or error.filename or waves.path
            raise InputError(f"{where} cannot be written: {error.strerror or error}") from error
    if (folder / "hang").exists():
        which, reason = (folder / "hang").read_text(), f": {blame}" if blame else ""
        raise SimulationError(f"{which} did not come to an end in time{reason}")


def run_bench(program: Path, folder: Path, bench: str, *, waves: bool = False) -> None:
    """Run a bench of an array on the job in ``folder``; all its tests must pass.

    Raises
    ------
    SimulationError
        If one fails.
    """
    launch(
        program,
        bench,
        folder,
        env={"ZEROSKIP_JOB": str(folder)},
        plusargs=("+sram_dir=srams",),
        waves=waves,
    )


@contextlib.contextmanager
def _watched(path: Path, total: int, report: Progress, step: str) -> Iterator[None]:
    """Report the lines that a simulation appends to ``path``."""
    over = threading.Event()

    def poll() -> None:
        last = False
        while not last:
            last = over.wait(0.2)
            report(step, len(path.read_text()), total)

    path.touch()
    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
