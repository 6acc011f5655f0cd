"""The array's RTL against golden and cycle model, on drawn networks, placements and arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers import simulated
from zeroskip.hw.eie.host import StallClass
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.run import run
from zeroskip.sim.verify import compare_raw

# When a check fails, Hypothesis would print whole images.
pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]


def test_drawn_networks(
    array: EieParams, trials: Callable[[EieParams], st.SearchStrategy[Any]]
) -> None:
    """Every output word is golden's; every counter of every layer and PE is the model's."""

    # One example is one run of the simulator, of many networks: no time to shrink them.
    @simulated(3)
    @given(st.lists(trials(array), min_size=12, max_size=12))
    def check(drawn: list[Any]) -> None:
        jobs = [image_job(t.image.part("eie"), t.inputs.astype(np.int64)) for t in drawn]
        for trial, raw in zip(
            drawn, run_jobs(EIE_DRIVER, array, jobs, host_load=True), strict=True
        ):
            model = run(trial.image, trial.inputs, "cycles")
            rtl = image_result(trial.image.part("eie"), raw)
            result = compare_raw(trial.image, model, rtl)
            assert not result.differences
            assert not result.cycle_differences
            assert result.ok
            layers = trial.image.graph.layers
            assert result.words == 3 * sum(one.shape[0] for one in (*layers, layers[-1]))
            # Counted apart from the model: all cycles of each PE, and what there was to do.
            assert rtl.counters is not None
            assert rtl.cycles is not None
            assert rtl.reload_cycles is not None
            assert model.reload_cycles is not None
            assert rtl.reload_cycles.tolist() == model.reload_cycles.tolist()
            per_pe = rtl.counters.sum(axis=(1, 3))
            np.testing.assert_array_equal(per_pe, np.repeat(rtl.cycles[:, None], array.num_pes, 1))
            inputs = [trial.inputs, *model.layer_outputs[:-1]]
            useful = rtl.counters[..., StallClass.USEFUL].sum(axis=2)
            for at, (layer, x) in enumerate(zip(layers, inputs, strict=True)):
                products = (x != 0) @ np.diff(layer.codes.indptr)
                np.testing.assert_array_equal(useful[:, at], products)

    check()
