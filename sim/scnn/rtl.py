"""Run tensors through the SCNN array's RTL."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from zeroskip.base.progress import Progress, silent
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.jobs import job_folder, simulate
from zeroskip.sim.rtl.waves import Waves
from zeroskip.sim.scnn.rtl_build import build_scnn
from zeroskip.sim.scnn.rtl_files import (
    ScnnJob,
    ScnnResult,
    collect_scnn,
    describe_scnn,
    sample_count,
)

__all__ = ["ScnnJob", "ScnnResult", "run_scnn_jobs", "write_scnn_jobs"]


def run_scnn_jobs(
    params: ScnnParams,
    jobs: Sequence[ScnnJob],
    *,
    host_load: bool = False,
    waves: Waves | None = None,
    program: Path | None = None,
    progress: Progress | None = None,
) -> list[ScnnResult]:
    """Run jobs one after the other on one simulated array.

    Parameters
    ----------
    params : sizes of the array; it is built if it has not been yet.
    jobs : at least one; without ``host_load`` exactly one.
    host_load : load the SRAMs of the first run through the host port, slowly; else they hold
        their contents from the start, as do the activation RAMs for the first sample.
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
    report("build SCNN simulator", 0, 1)
    program = program or build_scnn(params, waves=waves is not None)
    report("build SCNN simulator", 1, 1)
    with job_folder() as folder:
        write_scnn_jobs(folder, params, jobs, host_load=host_load)
        simulate(
            program,
            folder,
            "zeroskip.sim.scnn.tb_run",
            sum(sample_count(job) * len(job.runs) for job in jobs),
            waves=waves,
            progress=progress,
            step="simulate SCNN",
            blame="the image's program or weights must be wrong",
        )
        return [collect_scnn(folder / f"results_{k}.npz", job) for k, job in enumerate(jobs)]


def write_scnn_jobs(
    folder: Path, params: ScnnParams, jobs: Sequence[ScnnJob], *, host_load: bool = False
) -> None:
    """Write what a bench of the array reads: ``job.json``, tensors, and SRAM contents."""
    description = [
        describe_scnn(folder, k, params, job, host_load=host_load, preload=not host_load)
        for k, job in enumerate(jobs)
    ]
    (folder / "job.json").write_text(json.dumps({"params": asdict(params), "jobs": description}))
