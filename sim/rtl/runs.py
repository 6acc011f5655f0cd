"""Run jobs through the RTL of an array: files for its bench, the simulation, what it left."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.sim.rtl.jobs import job_folder, simulate
from zeroskip.sim.rtl.waves import Waves

__all__ = ["Driver", "host_writes", "run_jobs", "write_contents", "write_jobs"]

Job = TypeVar("Job")
Result = TypeVar("Result")
Place = Callable[[str], tuple[int, int, int, int]]
"""Space, PE or stream, first row, and step between rows, of an SRAM by its name in an image."""


@dataclass(frozen=True)
class Driver(Generic[Job, Result]):
    """What runs of jobs on an engine's array take from the engine.

    Parameters
    ----------
    name : of the engine, in steps of progress; with a space before it, or nothing.
    bench : module of its cocotb bench, see :func:`.simulate`.
    blame : what must be wrong if a run hangs.
    build : (params, waves) to the simulation's program.
    describe : (folder, number of the job, params, job, host_load) to what the bench has to know;
        writes the job's files.
    steps : of a job, as the bench counts them.
    collect : what the bench left of a job in a file.
    """

    name: str
    bench: str
    blame: str
    build: Callable[[Any, bool], Path]
    describe: Callable[[Path, int, Any, Job, bool], dict[str, Any]]
    steps: Callable[[Job], int]
    collect: Callable[[Path, Job], Result]


def run_jobs(
    driver: Driver[Job, Result],
    params: Any,
    jobs: Sequence[Job],
    *,
    host_load: bool = False,
    waves: Waves | None = None,
    program: Path | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """Run jobs one after the other on one simulated array.

    Parameters
    ----------
    driver : of the engine.
    params : sizes of the array; it is built if it has not been yet.
    jobs : at least one; without ``host_load`` exactly one.
    host_load : load the SRAMs of the first run through the host port, slowly; else they hold
        their contents from the start.
    waves : to record.
    program : another simulation of the array than that of its RTL.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If a run hangs, does not write what its program says, or the simulation fails.
    ToolError
        If the simulator cannot be built.
    """
    if len(jobs) != 1 and not host_load:
        raise ValueError(f"without host_load there must be 1 job, not {len(jobs)}")
    report = progress or silent
    report(f"build{driver.name} simulator", 0, 1)
    program = program or driver.build(params, waves is not None)
    report(f"build{driver.name} simulator", 1, 1)
    with job_folder() as folder:
        write_jobs(driver, folder, params, jobs, host_load=host_load)
        simulate(
            program,
            folder,
            driver.bench,
            sum(driver.steps(job) for job in jobs),
            waves=waves,
            progress=progress,
            step=f"simulate{driver.name}",
            blame=driver.blame,
        )
        return [driver.collect(folder / f"results_{k}.npz", job) for k, job in enumerate(jobs)]


def write_jobs(
    driver: Driver[Job, Any],
    folder: Path,
    params: Any,
    jobs: Sequence[Job],
    *,
    host_load: bool = False,
) -> None:
    """Write what a bench of the array reads: ``job.json``, inputs, and SRAM contents."""
    described = [driver.describe(folder, k, params, job, host_load) for k, job in enumerate(jobs)]
    (folder / "job.json").write_text(json.dumps({"params": asdict(params), "jobs": described}))


def write_contents(
    folder: Path,
    number: int,
    runs: Sequence[Mapping[str, SramData]],
    place: Place,
    instances: Callable[[str], Iterable[str]] | None,
) -> None:
    """Write what the SRAMs hold in the runs of a job.

    Parameters
    ----------
    folder, number : of the job.
    runs : SRAMs by name; of runs behind the first, those that are loaded anew.
    place : see :data:`Place`.
    instances : paths in the design of an SRAM, which hold the first run's contents from the start;
        None: they are loaded through the host port.
    """
    first, *later = runs
    if instances is not None:
        (folder / "srams").mkdir()
        for name, sram in first.items():
            text = to_hex(sram.words, sram.width)
            for instance in instances(name):
                (folder / "srams" / f"{instance}.hex").write_bytes(text)
    replaced = {name for srams in later for name in srams}
    contents = {
        "begin": first if instances is None else {},
        "again": {name: sram for name, sram in first.items() if name in replaced},
        **{str(run): srams for run, srams in enumerate(later, 1)},
    }
    for key, srams in contents.items():
        np.save(folder / f"writes_{number}_{key}.npy", host_writes(srams, place))


def host_writes(srams: Mapping[str, SramData], place: Place) -> NDArray[np.uint64]:
    """Return the commands with which a host loads ``srams``.

    Returns
    -------
    (commands, 3 + limbs) space, PE or stream, row, and word in limbs of 64 bits, lowest first.
    """
    limbs = max((sram.words.shape[1] for sram in srams.values()), default=1)
    parts = [np.zeros((0, 3 + limbs), np.uint64)]
    for name, sram in srams.items():
        space, number, first, step = place(name)
        rows, width = sram.words.shape
        part = np.zeros((rows, 3 + limbs), np.uint64)
        part[:, 0], part[:, 1] = space, number
        part[:, 2] = first + step * np.arange(rows)
        part[:, 3 : 3 + width] = sram.words
        parts.append(part)
    return np.concatenate(parts)
