"""Inferences on SCNN that find no room, and are done again with bounded runs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from tests.support.limits import tighten
from zeroskip.base.errors import ImageError, InputError
from zeroskip.compiler.image.image import Image, load
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.fill import MeasuredFill
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.build import build_system
from zeroskip.compiler.system.relative import relative_list
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.run import run_planes
from zeroskip.sim.system.inferences import count_inferences
from zeroskip.sim.system.report import run_lines

BUS = replace(SCNN, act_fifo_words=8)


def draw_image(rng: np.random.Generator, params: ScnnParams) -> Image:
    """Draw a network one pass or load of which may have too few rows."""
    graph = draw_graph(rng, params, int(rng.integers(1, 5)), channels=4)
    runs = build(graph, params)
    part = ScnnPart(params, graph, tighten(runs, params, rng), bounded=runs)
    return Image("net", graph, (part,))


def draw_measured(
    rng: np.random.Generator, params: ScnnParams
) -> tuple[Image, NDArray[np.int64]] | None:
    """Draw a network and planes; it has room for the first plane, of which most is 0.

    None if it has room for any.
    """
    graph = draw_graph(rng, params, int(rng.integers(2, 5)), channels=6)
    planes = draw_planes(rng, graph.input_shape, 4, params, low=0)
    planes[0] *= rng.random(planes[0].shape) < 0.2
    planes[2] = planes[0]
    bounded = build(graph, params)
    image = Image("net", graph, (ScnnPart(params, graph, bounded),))
    tensors = run_golden(image, planes[:1]).parts[0].tensors
    there = {name: tensor != 0 for name, tensor in {**tensors, INPUT: planes[:1]}.items()}
    runs = build(graph, params, fill=MeasuredFill(params, there, 0.0))
    if all(step.dst_limit == params.act_words for run in runs for step in run.program):
        return None
    part = ScnnPart(params, graph, runs, bounded=bounded)
    return Image("net", graph, (part,)), planes


@pytest.mark.parametrize("params", [SCNN, BUS], ids=["alone", "bus"])
def test_room_for_measured_activations(params: ScnnParams) -> None:
    """What was measured has room; of other planes, some are done again, and all are golden's."""
    reruns = np.zeros(2, np.int64)
    for seed in range(8):
        drawn = draw_measured(np.random.default_rng(seed), params)
        if drawn is None:
            continue
        image, planes = drawn
        found = count_inferences(image, planes, SystemParams())
        tensors = run_golden(image, planes).parts[0].tensors
        expected = [tensors[name].reshape(len(planes), -1) for name in image.graph.outputs]
        assert np.array_equal(found.outputs, np.concatenate(expected, axis=1)), seed
        for group in found.inferences:
            assert group.reruns[0] == 0
            reruns += np.bincount(group.reruns, minlength=2)
    assert reruns.min() > 2


@pytest.mark.parametrize("params", [SCNN, BUS], ids=["alone", "bus"])
def test_any_network_that_finds_no_room(params: ScnnParams) -> None:
    """Outputs are golden's, of inferences before and behind as well, and some were done again."""
    reruns = np.zeros(2, np.int64)
    for seed in range(6):
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
        # What finds no room is told by the tensor that fills its rows.
        full = [name for name, (used, rows) in found.rooms.items() if used == rows]
        assert bool(full) >= bool(found.reruns), seed
        # A host of single runs finds the same.
        assert run_planes(image, planes, "cycles").spoiled == found.reruns
        lines = run_lines(found)
        assert f"{len(found.reruns)} of 4 inferences were done again" in lines[-2]
    # Of the first kind and of the second.
    assert reruns.min() > 2


def test_an_image_has_both_kinds_of_runs(tmp_path: Path) -> None:
    image = draw_image(np.random.default_rng(3), SCNN)
    image.save(tmp_path / "net")
    read = load(tmp_path / "net")
    first, second = build_system(image, SystemParams()), build_system(read, SystemParams())
    assert first.memory == second.memory
    assert [one.name for one in second.map.bounded] == ["bounded_0", "bounded_1"]
    with pytest.raises(InputError, match="relative to registers"):
        relative_list(second)
    # Bounded runs are numbered on from the others.
    name = f"run_{len(image.parts[0].loads)}/program.hex"
    (file,) = tmp_path.glob(f"net/*/{name}")
    file.write_text("0\n")
    with pytest.raises(ImageError, match=re.escape(name)):
        load(tmp_path / "net")
