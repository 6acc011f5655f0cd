"""Run tensors through the chip: SCNN, the handoff, EIE."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import SimulationError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.flow.chip.flow import FLOW, ChipParams
from zeroskip.hw.chip.top import CHIP_MODULE
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.eie.rtl import RtlResult, sram_instance
from zeroskip.sim.rtl.build import build_array
from zeroskip.sim.rtl.jobs import job_folder, simulate
from zeroskip.sim.rtl.waves import Waves
from zeroskip.sim.scnn.rtl_build import scnn_sram_instances
from zeroskip.sim.scnn.rtl_files import ScnnJob, ScnnResult, collect_scnn, describe_scnn

__all__ = ["ChipJob", "ChipResult", "run_chip"]


@dataclass(frozen=True, eq=False)
class ChipJob:
    """Samples for one network.

    Parameters
    ----------
    scnn : what SCNN and its host do.
    eie : what EIE does behind that; all of it fits the SRAMs at once.
    handoff : fields of :func:`.handoff_layout`, for what the last run leaves.
    """

    scnn: ScnnJob
    eie: Segment
    handoff: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class ChipResult:
    """What the hardware did with ``n`` samples.

    Parameters
    ----------
    scnn, eie : the engines' results; ``eie.seconds`` is 0, as its runs are part of SCNN's last.
    latency : (n, runs) int64 cycles from the host's command to the end; the last of them is that
        of SCNN's last run, the handoff, and EIE.
    """

    scnn: ScnnResult
    eie: RtlResult
    latency: NDArray[np.int64]


def run_chip(
    scnn: ScnnParams,
    eie: EieParams,
    job: ChipJob,
    *,
    waves: Waves | None = None,
    progress: Progress | None = None,
) -> ChipResult:
    """Run a job on the simulated chip.

    Parameters
    ----------
    scnn, eie : sizes of the arrays; the chip is built if it has not been yet.
    job : see :class:`ChipJob`.
    waves : to record.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If a run hangs, loses outputs, does not write what its program says, or the simulation
        fails.
    ToolError
        If the simulator cannot be built.
    """
    report = progress or silent
    report("build chip simulator", 0, 1)
    program = build_array(FLOW, ChipParams(scnn, eie), waves=waves is not None)
    report("build chip simulator", 1, 1)
    samples = len(next(iter(job.scnn.tensors.values())))
    with job_folder() as folder:
        _write(folder, scnn, eie, job)
        simulate(
            program,
            folder,
            "zeroskip.sim.chip.tb_run",
            samples * len(job.scnn.runs),
            waves=waves,
            progress=progress,
            step="simulate the chip",
        )
        lost = folder / "lost"
        if lost.exists():
            raise SimulationError(
                f"{lost.read_text()}: outputs of SCNN found no room in an activation RAM, so the "
                "chip did not start EIE: the image's program or weights must be wrong"
            )
        return _collect(folder / "results_0.npz", job, samples)


def _write(folder: Path, scnn: ScnnParams, eie: EieParams, job: ChipJob) -> None:
    """Write what the bench reads: ``job.json``, tensors, and SRAM contents."""
    description = describe_scnn(folder, 0, scnn, job.scnn, host_load=True)
    np.save(folder / "writes_0_begin.npy", np.zeros((0, 4), np.uint64))
    srams = folder / "srams"
    srams.mkdir()
    for name, sram in job.scnn.runs[0].srams.items():
        if name == "weights":
            continue
        for instance in scnn_sram_instances(scnn, name):
            file = srams / f"{CHIP_MODULE}.scnn.{instance.split('.', 1)[1]}.hex"
            file.write_bytes(to_hex(sram.words, sram.width))
    for name, sram in job.eie.srams.items():
        file = srams / f"{CHIP_MODULE}.eie.{sram_instance(name).split('.', 1)[1]}.hex"
        file.write_bytes(to_hex(sram.words, sram.width))
    assert job.eie.store is not None
    drained = [
        [number, descriptor.dst_base + row]
        for number, descriptor in enumerate(job.eie.program)
        if descriptor.drain
        for row in range(descriptor.drain_rows)
    ]
    document = {
        "params": asdict(scnn),
        "eie_params": asdict(eie),
        "jobs": [description],
        "handoff": dict(job.handoff),
        "drained": drained,
        "eie_passes": len(job.eie.program),
        "result_rows": job.eie.store[1],
    }
    (folder / "job.json").write_text(json.dumps(document))


def _collect(path: Path, job: ChipJob, samples: int) -> ChipResult:
    bounds = np.cumsum([
        descriptor.drain_rows if descriptor.drain else 0 for descriptor in job.eie.program
    ])[:-1]
    with np.load(path, allow_pickle=False) as file:

        def stacked(name: str) -> NDArray[np.int64]:
            return np.stack([file[f"{sample}/{name}"] for sample in range(samples)])

        eie = RtlResult(
            tuple(np.split(stacked("eie/outputs"), bounds, axis=1)),
            stacked("eie/result"),
            stacked("eie/cycles"),
            np.zeros(samples, np.int64),
            np.zeros(samples),
            stacked("eie/counters"),
        )
        latency = stacked("latency")
    return ChipResult(collect_scnn(path, job.scnn), eie, latency)
