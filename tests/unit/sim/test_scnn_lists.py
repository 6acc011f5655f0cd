"""Command lists of SCNN, run on the bytes of a memory by golden's own decoders."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from tests.support.images import scnn_image
from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.program import build
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.scnn.cycles.program import ScnnCycles
from zeroskip.sim.system.inferences import count_inferences

ODD = ScnnParams(
    pes_x=3, pes_y=2, num_streams=6, mult_f=2, mult_i=4, banks=16, bank_entries=8, act_words=96,
    num_channels=32, act_bits=7,
)  # fmt: skip

BUS = replace(SCNN, act_fifo_words=8)
MANY = replace(BUS, pes_x=4, pes_y=4, num_streams=16)
"""With more owners than the drawn inputs have channels."""

_WORK = [StallClass.USEFUL, StallClass.FRAGMENTATION]


@pytest.mark.parametrize(("params", "data_bits"), [(SCNN, 128), (BUS, 128), (ODD, 64), (MANY, 128)])
@pytest.mark.parametrize("seed", range(7))
def test_any_network_runs_from_its_lists(params: ScnnParams, data_bits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        graph = draw_graph(rng, params, int(rng.integers(1, 5)), channels=4)
        try:
            runs = build(graph, params)
        except CompileError:
            continue  # It does not fit this array; the next may.
        break
    planes = draw_planes(rng, graph.input_shape, 3, params, low=params.min_act)
    image = scnn_image("net", graph, params, runs)
    found = count_inferences(image, planes, SystemParams(data_bits=data_bits))
    tensors = run_golden(image, planes).parts[0].tensors
    expected = [tensors[name].reshape(len(planes), -1) for name in graph.outputs]
    assert np.array_equal(found.outputs, np.concatenate(expected, axis=1))
    # What the map says of the port is what the cycle model counts.
    alone, traffic = found.inferences[1], found.system.map.traffic("infer_0")
    assert data_bits // 8 * alone.read_beats == traffic["read"]
    assert data_bits // 8 * alone.write_beats == traffic["written"]
    assert alone.cycles[0] > sum(run.cycles for run in alone.runs)
    # A pass has the work that it has where the host loads what the compiler says.
    known = {name: tensor[2] for name, tensor in {**tensors, INPUT: planes}.items()}
    model = ScnnCycles(params, runs)
    for number, time in enumerate(alone.runs):
        counted = model.count(number, known)
        assert np.array_equal(counted.counters[..., _WORK], time.count.counters[..., _WORK])
        assert counted.references == time.count.references
        assert counted.bus_words == time.count.bus_words


def test_runs_that_load_nothing_of_a_plane() -> None:
    """All that such a run reads is padding, which is wider than the kernel."""
    rng = np.random.default_rng(303)
    graph = draw_graph(rng, SCNN, int(rng.integers(1, 4)), channels=4)
    runs = build(graph, SCNN)
    assert any(load.layout.width == 0 for run in runs for load in run.loads)
    planes = draw_planes(rng, graph.input_shape, 1, SCNN, low=SCNN.min_act)
    image = scnn_image("net", graph, SCNN, runs)
    found = count_inferences(image, planes, SystemParams())
    (name,) = graph.outputs
    assert np.array_equal(
        found.outputs, run_golden(image, planes).parts[0].tensors[name].reshape(1, -1)
    )
