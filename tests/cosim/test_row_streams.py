"""EIE's rows that stream at drawn times: golden's results, and the cycle model's every counter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cosim.conftest import ARRAYS
from tests.support.tiers import simulated
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.image import image_segments, scanner
from zeroskip.sim.eie.cycles.program import read_ahead, run_program
from zeroskip.sim.eie.rtl import EIE_DRIVER, Job
from zeroskip.sim.eie.rtl_image import image_job
from zeroskip.sim.rtl.runs import Driver, run_jobs
from zeroskip.sim.run import run

pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]


def collect(path: Path, job: Job) -> dict[str, Any]:
    del job
    with np.load(path, allow_pickle=False) as results:
        return dict(results)


DRIVER: Driver[Job, dict[str, Any]] = Driver(
    **(vars(EIE_DRIVER) | {"bench": "tests.support.tb_eie_rows", "collect": collect})
)


@pytest.mark.long("an array of its own")
def test_drawn_times(trials: Callable[[EieParams], st.SearchStrategy[Any]]) -> None:
    """Results are golden's, cycles and counters the model's, whenever rows come and leave."""
    p = ARRAYS["passes"]
    waited = 0

    @simulated(3)
    @given(st.lists(trials(p), min_size=16, max_size=16))
    def check(drawn: list[Any]) -> None:
        nonlocal waited
        whole = [t for t in drawn if len(t.image.part("eie").segments) == 1]
        jobs = [image_job(t.image.part("eie"), t.inputs.astype(np.int64)) for t in whole]
        for trial, rtl in zip(whole, run_jobs(DRIVER, p, jobs, host_load=True), strict=True):
            part = trial.image.part("eie")
            golden = run(trial.image, trial.inputs, "golden")
            tensors = [trial.inputs.astype(np.int64), *golden.layer_outputs]
            got = rtl["results"].reshape(len(trial.inputs), -1)[:, part.placement[-1]]
            np.testing.assert_array_equal(got, tensors[-1])
            ((passes, scans),) = image_segments(part)
            nonzero = scanner(part, tensors[:-1])
            total = np.zeros_like(rtl["counters"])
            turn = -1 << 30
            for sample, (row_at, began) in enumerate(zip(rtl["row_at"], rtl["began"], strict=True)):
                times: list[tuple[int, int]] = []
                cycles, counters = run_program(
                    passes,
                    [nonzero(sample, scan) for scan in scans],
                    p,
                    row_at=[row_at[scan.rows] for scan in scans if scan.vector == 0],
                    ready=read_ahead(turn - began, passes[-1], passes[0]),
                    times=times,
                )
                turn = began + times[-1][0] - 1
                assert rtl["cycles"][sample] == cycles
                total += counters
                waited += counters[..., StallClass.MEMORY].any()
            np.testing.assert_array_equal(rtl["counters"], total)

    check()
    assert waited > 20
