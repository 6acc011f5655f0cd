"""The SCNN array's RTL on pooling of every kind that torch has, laid on it in several ways."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import compiler
from compiler.scnn.image import CnnImage
from compiler.scnn.run import ScnnRun
from hw.scnn.params import PRESETS
from sim.scnn.run import cnn_inputs
from tests.cosim.scnn_check import Trial, check_trials
from tests.cosim.scnn_plans import draw_runs
from tests.unit.compiler.pool_modules import draw_pool

pytestmark = pytest.mark.cosim

# The array of test_scnn_layers.py, so built once.
_PARAMS = replace(PRESETS["tiny"], num_streams=4)
_POOLS = 60


def _draw(seed: int) -> Trial:
    """Draw a pooling; the compiler's mapping, or for one in two a drawn one."""
    rng = np.random.default_rng(seed)
    pool, shape, x = draw_pool(rng)
    image = compiler.compile(copy.deepcopy(pool), torch.from_numpy(x[:1]), x, scnn=_PARAMS)
    assert isinstance(image, CnnImage)
    runs: tuple[ScnnRun, ...] | None = None
    layer, *others = image.network.graph.layers
    taps = layer.weight.shape[2] * layer.weight.shape[3]
    if seed % 2 and not others and taps <= _PARAMS.num_taps:
        runs = draw_runs(rng, layer, _PARAMS)
    name = f"seed {seed}: {pool} of {shape}"
    return Trial(name, image.network.graph, runs or image.runs, cnn_inputs(image, x[:1]))


def test_drawn_pools() -> None:
    """Every word and cycle: areas of averages, maxima beside padding, divisors of their own."""
    trials = [_draw(seed) for seed in range(_POOLS)]
    layers = [trial.graph.layers[0] for trial in trials]
    assert sum(bool(one.areas) for one in layers) > 15
    assert sum(one.op == "max" for one in layers) > 10
    assert any((trial.planes < 0).all() for trial in trials)
    check_trials(_PARAMS, trials)
