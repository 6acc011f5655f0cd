"""The SCNN cycle model beside the RTL: every run, PE and stall class of layers that are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_layer, draw_planes
from tests.cosim.scnn_plans import draw_runs
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.scnn.cycles.program import RunCount, ScnnCycles
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_files import ScnnJob

_ARRAYS = {
    # Few beats fit the FIFOs of streams, so that the array waits for weights in both.
    "tiny": replace(PRESETS["tiny"], num_streams=2, stream_beats=2),
    "one": replace(
        PRESETS["tiny"],
        pes_x=1,
        pes_y=1,
        mult_f=4,
        mult_i=4,
        banks=32,
        bank_entries=4,
        stream_beats=3,
    ),
}
_LAYERS = 90


def _draw(rng: np.random.Generator, p: ScnnParams) -> tuple[ScnnJob, list[RunCount], np.ndarray]:
    """Draw a layer; return it with what the models say of it."""
    while True:
        shape = tuple(int(v) for v in rng.integers(1, (7, 13, 13)))
        layer = draw_layer(rng, "layer", [(INPUT, (shape[0], shape[1], shape[2]))], p)
        x = draw_planes(rng, layer.in_shape, 1, p, low=p.min_act)
        runs = draw_runs(rng, layer, p)
        if runs is not None:
            break
    model = ScnnCycles(p, runs)
    found = [model.count(number, {INPUT: x[0]}) for number in range(len(runs))]
    most = [2 * one.cycles + 1000 for one in found]
    job = ScnnJob(runs, {INPUT: x}, {"layer": layer.out_shape}, most)
    golden, _ = run_layer(layer, x, acc_bits=p.acc_bits, act_bits=p.act_bits)
    return job, found, golden


@pytest.mark.long("builds another simulator")
@pytest.mark.parametrize("name", _ARRAYS)
def test_the_model_is_exact_on_drawn_layers(name: str) -> None:
    p, rng = _ARRAYS[name], np.random.default_rng(len(name))
    drawn = [_draw(rng, p) for _ in range(_LAYERS)]
    results = run_jobs(SCNN_DRIVER, p, [job for job, _, _ in drawn], host_load=True)
    seen = np.zeros(len(StallClass), np.int64)
    for (job, found, golden), result in zip(drawn, results, strict=True):
        assert (result.tensors["layer"] == golden).all(), job
        assert result.cycles[0].tolist() == [one.cycles for one in found], job
        counters = np.concatenate([one.counters for one in found])
        assert (result.counters[0] == counters).all(), job
        seen += counters.sum(axis=(0, 1))
    # The draw has everything that a PE can wait for, except the bus, and neighbours where there
    # are none.
    assert (seen > 0).sum() == (8 if p.num_pes > 1 else 7)
