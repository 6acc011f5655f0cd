"""Run tensors through the SCNN array's RTL."""

from pathlib import Path
from typing import Any

from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.rtl.runs import Driver
from zeroskip.sim.scnn.rtl_build import build_scnn
from zeroskip.sim.scnn.rtl_files import (
    ScnnJob,
    collect_scnn,
    describe_scnn,
    sample_count,
)

__all__ = ["SCNN_DRIVER"]


def _describe(
    folder: Path, number: int, params: ScnnParams, job: ScnnJob, host_load: bool
) -> dict[str, Any]:
    """Write a job's files; its first sample's activations are there from the start, too."""
    return describe_scnn(folder, number, params, job, host_load=host_load, preload=not host_load)


SCNN_DRIVER = Driver(
    name=" SCNN",
    bench="zeroskip.sim.scnn.tb_run",
    blame="the image's program or weights must be wrong",
    build=lambda params, waves: build_scnn(params, waves=waves),
    describe=_describe,
    steps=lambda job: sample_count(job) * len(job.runs),
    collect=collect_scnn,
)
"""Runs jobs on the SCNN array, see :func:`.run_jobs`."""
