"""Run inputs through the EIE array's RTL."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.segment import Segment
from zeroskip.flow.eie.flow import FLOW
from zeroskip.hw.eie.array import ARRAY_MODULE
from zeroskip.hw.eie.host import place_of
from zeroskip.hw.eie.instances import memory_path
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.rtl.build import build_array
from zeroskip.sim.rtl.runs import Driver, write_contents

__all__ = ["EIE_DRIVER", "Job", "RtlResult", "sram_instance"]


@dataclass(frozen=True, eq=False)
class Job:
    """Inputs for one content of the SRAMs.

    Parameters
    ----------
    segments : what the hardware and the host do, see :class:`.Segment`.
    inputs : (n, rows, num_pes) int64, the network's inputs.
    max_cycles : a run that takes longer hangs.
    begins : of a recurrent network, inputs with which sequences begin.
    """

    segments: Sequence[Segment]
    inputs: NDArray[np.int64]
    max_cycles: int
    begins: tuple[int, ...] = ()


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
    return f"{ARRAY_MODULE}.{memory_path(name)}"


def _describe(
    folder: Path, number: int, params: EieParams, job: Job, host_load: bool
) -> dict[str, Any]:
    """Write a job's files; return what the bench has to know."""
    np.save(folder / f"inputs_{number}.npy", job.inputs)
    del params
    srams = [segment.srams for segment in job.segments]
    instances = None if host_load else lambda name: [sram_instance(name)]
    write_contents(folder, number, srams, place_of, instances)
    return {
        "max_cycles": job.max_cycles,
        "begins": job.begins,
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


EIE_DRIVER = Driver(
    name="",
    bench="zeroskip.sim.eie.tb_run",
    blame="the image's pointers or program must be wrong",
    build=lambda params, waves: build_array(FLOW, params, waves=waves),
    describe=_describe,
    steps=lambda job: len(job.inputs),
    collect=_collect,
)
"""Runs jobs on the EIE array, see :func:`.run_jobs`."""
