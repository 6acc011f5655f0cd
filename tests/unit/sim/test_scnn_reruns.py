"""Inferences on SCNN that find no room, and are done again with bounded runs."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from tests.support.limits import tighten
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.program import build
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.system.inferences import count_inferences

BUS = replace(SCNN, act_fifo_words=8)


def draw_image(rng: np.random.Generator, params: ScnnParams) -> Image:
    """Draw a network one pass or load of which may have too few rows."""
    graph = draw_graph(rng, params, int(rng.integers(1, 5)), channels=4)
    runs = build(graph, params)
    part = ScnnPart(params, graph, tighten(runs, params, rng), bounded=runs)
    return Image("net", graph, (part,))


@pytest.mark.parametrize("params", [SCNN, BUS], ids=["alone", "bus"])
def test_any_network_that_finds_no_room(params: ScnnParams) -> None:
    """Outputs are golden's, of inferences before and behind as well, and some were done again."""
    reruns = np.zeros(2, np.int64)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        image = draw_image(rng, params)
        planes = draw_planes(rng, image.graph.input_shape, 4, params, low=params.min_act)
        found = count_inferences(image, planes, SystemParams())
        tensors = run_golden(image, planes).parts[0].tensors
        outputs = image.graph.outputs
        expected = [tensors[name].reshape(len(planes), -1) for name in outputs]
        assert np.array_equal(found.outputs, np.concatenate(expected, axis=1)), seed
        for group in found.inferences:
            reruns += np.bincount(group.reruns, minlength=2)
    # Of the first kind and of the second.
    assert reruns.min() > 2
