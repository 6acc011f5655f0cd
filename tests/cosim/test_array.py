"""The array's RTL against the golden model, on drawn networks, placements and arrays."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hw.eie.formats import StallClass
from hw.eie.params import EieParams
from sim.reload import reload_cycles
from sim.rtl.eie import run_jobs
from sim.rtl.image import image_job, image_result
from sim.run import run

# When a check fails, Hypothesis would print whole images.
pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]


def test_drawn_networks(array: EieParams, trials: Callable[[EieParams], st.SearchStrategy]) -> None:
    """Every output word of every layer is golden's, and every cycle is accounted for."""

    # One example is one run of the simulator, of many networks: no time to shrink them.
    @settings(
        max_examples=3,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(trials(array), min_size=12, max_size=12))
    def check(drawn: list) -> None:
        jobs = [image_job(t.image, t.inputs.astype(np.int64)) for t in drawn]
        for trial, raw in zip(drawn, run_jobs(array, jobs, host_load=True), strict=True):
            golden = run(trial.image, trial.inputs)
            rtl = image_result(trial.image, raw)
            for layer, want, got in zip(
                trial.image.network.layers, golden.layer_outputs, rtl.layer_outputs, strict=True
            ):
                np.testing.assert_array_equal(got, want, layer.name)
            assert rtl.result is not None
            np.testing.assert_array_equal(rtl.result, golden.layer_outputs[-1])
            assert rtl.counters is not None
            assert rtl.cycles is not None
            assert rtl.reload_cycles is not None
            assert rtl.reload_cycles.tolist() == reload_cycles(trial.image, len(trial.inputs))
            per_pe = rtl.counters.sum(axis=(1, 3))
            np.testing.assert_array_equal(per_pe, np.repeat(rtl.cycles[:, None], array.num_pes, 1))
            _check_useful(trial, golden, rtl.counters[..., StallClass.USEFUL].sum(axis=2))

    check()


def _check_useful(trial, golden, useful) -> None:  # noqa
    inputs = [trial.inputs.astype(np.int64), *golden.layer_outputs[:-1]]
    for at, (layer, x) in enumerate(zip(trial.image.network.layers, inputs, strict=True)):
        per_column = np.diff(layer.codes.indptr)
        np.testing.assert_array_equal(useful[:, at], (x != 0) @ per_column)
