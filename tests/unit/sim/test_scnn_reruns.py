"""Inferences on SCNN that find no room, and are done again with bounded runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.arrays import SCNN
from tests.support.limits import tighten
from zeroskip.base.errors import ImageError, InputError
from zeroskip.compiler.image.image import Image, load
from zeroskip.compiler.scnn.engine import ScnnPart
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
    (file,) = tmp_path.glob("net/*/bounded/run_0/program.hex")
    file.write_text("0\n")
    with pytest.raises(ImageError, match=r"bounded/run_0/program\.hex"):
        load(tmp_path / "net")
