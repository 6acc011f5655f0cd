"""Convolutions from one START each: weights come while the array runs, however memory behaves."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.images import scnn_image
from zeroskip.base.errors import CompileError
from zeroskip.compiler.scnn.program import build
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.wiring import wire
from zeroskip.sim.system.verify import verify_system

pytestmark = pytest.mark.cosim

# What a run needs does not fit the FIFOs, so that the memory is read while it is under way.
P = replace(PRESETS["tiny"], num_streams=2, stream_beats=2)

# Of 17 rows that 8 outputs need, one is left behind the tiles of two PEs.
SPILLING = wire((
    ConvLayer("drawn", "conv1", (1, 17, 17), 4, 3, 2, 0, 1, 1.0, 0.8),
    ConvLayer("drawn", "conv2", (4, 4, 4), 4, 1, 1, 0, 1, 0.5, 0.5),
)).graph


@pytest.mark.long("builds a simulator of a chip")
def test_drawn_networks() -> None:
    """The widest port; narrower ones have tests/cosim/test_system.py and test_scnn_reruns.py."""
    port = SystemParams(data_bits=256, burst_beats=4, outstanding=2)
    done = beats = spilled = 0
    for seed in range(-1, 20):
        rng = np.random.default_rng(max(seed, 0))
        graph = draw_graph(rng, P, int(rng.integers(1, 4)), channels=6) if seed >= 0 else SPILLING
        try:
            runs = build(graph, P)
        except CompileError:
            continue
        spilled += any(load.layout.walk_h > load.layout.tile_h for load in runs[0].loads)
        settings = MemorySettings(
            read_latency=int(rng.integers(2, 60)),
            stall=int(rng.choice([0, 40, 140])),
            rate=int(rng.choice([256, 200, 60])),
            seed=max(seed, 0),
        )
        image = scnn_image("net", graph, P, runs)
        planes = draw_planes(rng, graph.input_shape, 2, P, low=P.min_act)
        found = verify_system(image, planes / (1 << graph.layers[0].in_frac), port, settings)
        assert found.problems == (), seed
        done += 1
        beats = max(beats, *(len(run.srams["weights"].words) for run in runs[:1]))
        if done == 9:
            break
    assert done == 9
    assert spilled
    assert beats > 20
