"""Inferences that find no room on the RTL of a chip with SCNN, against golden and cycle model."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_planes
from tests.cosim.test_system import BUS, DrawNetwork, draw_settings
from tests.support.arrays import SCNN
from tests.support.both import draw_both, real
from tests.support.limits import tighten
from tests.unit.sim.test_scnn_reruns import draw_image, draw_measured
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.system.verify import verify_system

pytestmark = [pytest.mark.cosim, pytest.mark.long("simulators that tests/cosim/test_system.py has")]


@pytest.mark.parametrize(
    ("data_bits", "params", "seeds"),
    [(64, BUS, (64, 77)), (128, SCNN, (132, 138, 139, 143))],
    ids=["bus", "alone"],
)
def test_reruns(data_bits: int, params: ScnnParams, seeds: tuple[int, ...]) -> None:
    """Of two that are queued, none, the first, the second or both are done again.

    What finds no room is a load or a pass, of the first run or a later one of up to five.
    """
    seen: set[tuple[int, ...]] = set()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        image = draw_image(rng, params)
        planes = draw_planes(rng, image.graph.input_shape, 4, params, low=params.min_act)
        x = planes * 2.0 ** -image.graph.layers[0].in_frac
        found = verify_system(image, x, SystemParams(data_bits=data_bits), draw_settings(rng, seed))
        assert found.problems == (), seed
        assert found.times == 2 * (1 + len(planes))
        seen.update(group.reruns for group in found.run.inferences)
    assert len(seen) > 2


@pytest.mark.parametrize(
    ("data_bits", "params", "seed"), [(64, BUS, 1), (128, SCNN, 1)], ids=["bus", "alone"]
)
def test_measured_activations(data_bits: int, params: ScnnParams, seed: int) -> None:
    """Runs with rows for what was measured: planes like that have room, of others some have not."""
    rng = np.random.default_rng(seed)
    drawn = draw_measured(rng, params)
    assert drawn is not None
    image, planes = drawn
    x = planes * 2.0 ** -image.graph.layers[0].in_frac
    found = verify_system(image, x, SystemParams(data_bits=data_bits), draw_settings(rng, seed))
    assert found.problems == ()
    reruns = [group.reruns for group in found.run.inferences]
    assert all(times[0] == 0 for times in reruns)
    assert any(any(times) for times in reruns)


def test_reruns_with_linear_layers(draw_network: DrawNetwork) -> None:
    """EIE computes for the inference before, which ends, while the next one finds no room."""
    seen: set[tuple[int, ...]] = set()
    for seed in (206, 209, 214):
        image, _, rng = draw_both(draw_network, seed)
        part = image.part("scnn")
        part = replace(part, runs=tighten(part.runs, part.params, rng), bounded=part.runs)
        image = replace(image, parts=(part, *image.parts[1:]))
        planes = draw_planes(rng, image.graph.input_shape, 4, SCNN, low=SCNN.min_act)
        settings = draw_settings(rng, seed)
        found = verify_system(image, real(image, planes), SystemParams(data_bits=64), settings)
        assert found.problems == (), seed
        seen.update(group.reruns for group in found.run.inferences)
    assert len(seen) > 2
