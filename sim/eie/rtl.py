"""Run inputs through the EIE array's RTL."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.eie.segment import Segment
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.flow.eie.flow import FLOW
from zeroskip.hw.eie.array import ARRAY_MODULE
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.rtl.build import build_array
from zeroskip.sim.rtl.jobs import job_folder, simulate
from zeroskip.sim.rtl.waves import Waves

__all__ = [
    "Job",
    "RtlResult",
    "host_writes",
    "run_jobs",
    "sram_instance",
    "write_jobs",
]

# Of an image's SRAMs: where they are in the design, and where a host writes them.
_INSTANCES = {
    "program": "ccu.descriptor_read.descriptors",
    "codebook": "ccu.codebook_load.codebooks",
    "spmat": "spmat_read.spmat",
    "ptr_even": "ptr_read.ptr_even",
    "ptr_odd": "ptr_read.ptr_odd",
    "bias": "act_rw.bias",
}
_SPACES = {
    "program": Space.PROGRAM,
    "codebook": Space.CODEBOOK,
    "spmat": Space.SPMAT,
    "ptr_even": Space.POINTER,
    "ptr_odd": Space.POINTER,
    "bias": Space.BIAS,
}


@dataclass(frozen=True, eq=False)
class Job:
    """Inputs for one content of the SRAMs.

    Parameters
    ----------
    segments : what the hardware and the host do, see :class:`.Segment`.
    inputs : (n, rows, num_pes) int64, the network's inputs.
    max_cycles : a run that takes longer hangs.
    """

    segments: Sequence[Segment]
    inputs: NDArray[np.int64]
    max_cycles: int


@dataclass(frozen=True, eq=False)
class RtlResult:
    """What the hardware did with ``n`` inputs.

    Parameters
    ----------
    outputs : per pass, (n, rows, num_pes) int64, as they were written at the end of the pass.
    result : (n, rows, num_pes) int64, as the host reads them after the runs.
    cycles : (n,) int64, from start to the end of the program, summed over the segments.
    reload_cycles : (n,) int64, of the host's commands before the second segment and later ones
        (SRAMs, loads and stores of activations), and of those that put the first segment's SRAMs
        back after the input before; loading an input and reading a result do not count.
    seconds : (n,) float64 wall-clock time of the runs alone.
    counters : (n, passes, num_pes, stall classes) int64 cycles.
    """

    outputs: tuple[NDArray[np.int64], ...]
    result: NDArray[np.int64]
    cycles: NDArray[np.int64]
    reload_cycles: NDArray[np.int64]
    seconds: NDArray[np.float64]
    counters: NDArray[np.int64]


def sram_instance(name: str) -> str:
    """Return the path in the design of an image's SRAM, for instance ``pe_3/spmat``."""
    *pe, memory = name.split("/")
    return ".".join([ARRAY_MODULE, *pe, _INSTANCES[memory]])


def host_writes(srams: Mapping[str, SramData]) -> NDArray[np.uint64]:
    """Return the commands with which a host loads ``srams``.

    Returns
    -------
    (commands, 3 + limbs) space, PE, row, and word in limbs of 64 bits, lowest first.
    """
    limbs = max((sram.words.shape[1] for sram in srams.values()), default=1)
    parts = [np.zeros((0, 3 + limbs), np.uint64)]
    for name, sram in srams.items():
        *prefix, memory = name.split("/")
        # Of the pointers, the even ones are in one bank and the odd ones in the other.
        step, first = (2, int(memory == "ptr_odd")) if memory.startswith("ptr_") else (1, 0)
        rows, width = sram.words.shape
        part = np.zeros((rows, 3 + limbs), np.uint64)
        part[:, 0] = _SPACES[memory].value
        part[:, 1] = int(prefix[0].removeprefix("pe_")) if prefix else 0
        part[:, 2] = first + step * np.arange(rows)
        part[:, 3 : 3 + width] = sram.words
        parts.append(part)
    return np.concatenate(parts)


def run_jobs(
    params: EieParams,
    jobs: Sequence[Job],
    *,
    host_load: bool = False,
    waves: Waves | None = None,
    program: Path | None = None,
    progress: Progress | None = None,
) -> list[RtlResult]:
    """Run jobs one after the other on one simulated array.

    Parameters
    ----------
    params : sizes of the array; it is built if it has not been yet.
    jobs : at least one; without ``host_load`` exactly one.
    host_load : load the SRAMs through the host port, slowly; else they hold the job's contents
        from the start.
    waves : to record.
    program : another simulation of the array than that of its RTL.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If a run hangs, or the simulation fails.
    ToolError
        If the simulator cannot be built.
    """
    if len(jobs) != 1 and not host_load:
        raise ValueError(f"without host_load there must be 1 job, not {len(jobs)}")
    report = progress or silent
    report("build simulator", 0, 1)
    program = program or build_array(FLOW, params, waves=waves is not None)
    report("build simulator", 1, 1)
    with job_folder() as folder:
        write_jobs(folder, params, jobs, host_load=host_load)
        simulate(
            program,
            folder,
            "zeroskip.sim.eie.tb_run",
            sum(len(job.inputs) for job in jobs),
            waves=waves,
            progress=progress,
            blame="the image's pointers or program must be wrong",
        )
        return [_collect(folder / f"results_{k}.npz", job) for k, job in enumerate(jobs)]


def write_jobs(
    folder: Path, params: EieParams, jobs: Sequence[Job], *, host_load: bool = False
) -> None:
    """Write what a bench of the array reads: ``job.json``, inputs, and SRAM contents."""
    description = [_describe(folder, k, job, host_load) for k, job in enumerate(jobs)]
    (folder / "job.json").write_text(json.dumps({"params": asdict(params), "jobs": description}))


def _describe(folder: Path, number: int, job: Job, host_load: bool) -> dict[str, Any]:
    """Write a job's files; return what the bench has to know."""
    np.save(folder / f"inputs_{number}.npy", job.inputs)
    first, *later = [segment.srams for segment in job.segments]
    if not host_load:
        (folder / "srams").mkdir()
        for name, sram in first.items():
            file = folder / "srams" / f"{sram_instance(name)}.hex"
            file.write_bytes(to_hex(sram.words, sram.width))
    replaced = {name for srams in later for name in srams}
    contents = {
        "begin": first if host_load else {},
        "again": {name: sram for name, sram in first.items() if name in replaced},
        **{str(run): srams for run, srams in enumerate(later, 1)},
    }
    for key, srams in contents.items():
        np.save(folder / f"writes_{number}_{key}.npy", host_writes(srams))
    return {
        "max_cycles": job.max_cycles,
        "segments": [
            {
                "layers": [segment.passes[0], segment.passes[-1]],
                "load": segment.load,
                "store": segment.store,
                "swapped": segment.program[-1].swap,
                "num_passes": len(segment.program),
                "drained": [
                    [number, descriptor.dst_base + row]
                    for number, descriptor in enumerate(segment.program)
                    if descriptor.drain
                    for row in range(descriptor.drain_rows)
                ],
            }
            for segment in job.segments
        ],
    }


def _collect(path: Path, job: Job) -> RtlResult:
    program = [descriptor for segment in job.segments for descriptor in segment.program]
    bounds = np.cumsum([
        descriptor.drain_rows if descriptor.drain else 0 for descriptor in program
    ])[:-1]
    with np.load(path, allow_pickle=False) as results:
        return RtlResult(
            tuple(np.split(results["outputs"], bounds, axis=1)),
            results["results"],
            results["cycles"],
            results["reload_cycles"],
            results["nanoseconds"] / 1e9,
            results["counters"],
        )
