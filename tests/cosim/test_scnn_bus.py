"""Passes that read over the position bus: golden, the cycle model and the RTL say the same."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_bus import draw_bus_network
from tests.cosim.scnn_draw import draw_planes
from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.scnn.cycles.program import RunCount, ScnnCycles
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_files import ScnnJob

_SMALL = replace(
    PRESETS["tiny"],
    bank_entries=64,
    act_words=600,
    num_channels=128,
    weight_words=1024,
    num_blocks=512,
    num_taps=64,
    num_biases=128,
)
_ARRAYS = {
    "4x4": replace(_SMALL, pes_x=4, pes_y=4, num_streams=16, act_fifo_words=4),
    "3x2": replace(_SMALL, pes_x=3, pes_y=2, num_streams=6, act_fifo_words=1),
}
_NETWORKS = 100


def _draw(rng: np.random.Generator, p: ScnnParams) -> tuple[ScnnJob, RunCount, np.ndarray]:
    """Draw a network; return it with what the models say of it."""
    drawn = None
    while drawn is None:
        drawn = draw_bus_network(rng, p)
    graph, run = drawn
    x = draw_planes(rng, graph.input_shape, 1, p, low=p.min_act)
    tensors = {INPUT: x}
    for layer in graph.layers:
        tensors[layer.name], _ = run_layer(
            layer, tensors[layer.inputs[0]], acc_bits=p.acc_bits, act_bits=p.act_bits
        )
    found = ScnnCycles(p, [run]).count(0, {name: tensor[0] for name, tensor in tensors.items()})
    shapes = {layer.name: layer.out_shape for layer in graph.layers}
    job = ScnnJob([run], {INPUT: x}, shapes, [2 * found.cycles + 1000])
    return job, found, tensors["second"]


@pytest.mark.long("builds another simulator")
@pytest.mark.parametrize("name", _ARRAYS)
def test_bus_passes_on_drawn_networks(name: str) -> None:
    p, rng = _ARRAYS[name], np.random.default_rng(len(name))
    drawn = [_draw(rng, p) for _ in range(_NETWORKS)]
    results = run_jobs(SCNN_DRIVER, p, [job for job, _, _ in drawn], host_load=True)
    seen = np.zeros(len(StallClass), np.int64)
    for (job, found, golden), result in zip(drawn, results, strict=True):
        program = job.runs[0].program
        assert (result.tensors["second"] == golden).all(), program
        assert result.cycles[0].tolist() == [found.cycles], program
        assert (result.counters[0] == found.counters).all(), program
        seen += found.counters.sum(axis=(0, 1))
    assert (seen > 0).all()
