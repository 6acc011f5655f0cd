"""Passes that read over the position bus: golden, the cycle model and the RTL say the same."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_bus import draw_bus_network
from tests.cosim.scnn_draw import draw_graph, draw_planes
from zeroskip.compiler.ir.fixed import layer_results, run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantGraph
from zeroskip.compiler.scnn.program import build
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
    stream_beats=4,
    num_taps=64,
    num_biases=128,
)
_ARRAYS = {
    "4x2": replace(_SMALL, pes_x=4, pes_y=2, num_streams=8, act_fifo_words=4),
    "3x2": replace(_SMALL, pes_x=3, pes_y=2, num_streams=6, act_fifo_words=1),
}
_NETWORKS = 24
_COMPILED = 12


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
def test_compiled_networks() -> None:
    """Runs that the planner makes, of many passes with blocks that become smaller."""
    p = _ARRAYS["4x2"]
    jobs: list[tuple[QuantGraph, dict[str, np.ndarray], list[RunCount], ScnnJob]] = []
    passes = stages = 0
    for seed in range(_COMPILED):
        rng = np.random.default_rng(seed)
        graph = draw_graph(rng, p, 6)
        runs = build(graph, p)
        sent = [step for run in runs for step in run.program if step.bus]
        passes += len(sent)
        stages += sum(
            (step.src_block_x, step.src_block_y) != (step.block_x, step.block_y) for step in sent
        )
        x = draw_planes(rng, graph.input_shape, 1, p, low=p.min_act)
        tensors = {INPUT: x}
        for result in layer_results(graph, x, p.acc_bits, p.act_bits):
            tensors[result.layer.name] = result.output
        model = ScnnCycles(p, runs)
        here = {name: tensor[0] for name, tensor in tensors.items()}
        found = [model.count(number, here) for number in range(len(runs))]
        shapes = {layer.name: layer.out_shape for layer in graph.layers}
        limits = [2 * run.cycles + 1000 for run in found]
        jobs.append((graph, tensors, found, ScnnJob(runs, {INPUT: x}, shapes, limits)))
    assert passes > 20
    assert stages > 10
    results = run_jobs(SCNN_DRIVER, p, [job for *_, job in jobs], host_load=True)
    for (graph, tensors, found, _), result in zip(jobs, results, strict=True):
        for name in graph.outputs:
            assert (result.tensors[name] == tensors[name]).all(), graph
        assert result.cycles[0].tolist() == [run.cycles for run in found], graph
        counters = np.concatenate([run.counters for run in found])
        assert (result.counters[0] == counters).all(), graph


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
