"""Kernels with one place: other strides, the same outputs, fewer cycles."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.support.images import scnn_image
from zeroskip import EieParams, compile
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.strides import choose_strides
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.run import run

_PARAMS = replace(PRESETS["tile"], pes_x=2, pes_y=2, num_streams=4)

_MODULES = {
    "average": (nn.AdaptiveAvgPool2d(1), (8, 11, 11)),
    "maximum": (nn.MaxPool2d(9, padding=1), (8, 7, 8)),
    "convolution": (nn.Conv2d(4, 30, 6), (4, 6, 6)),
    "column": (nn.Conv2d(4, 9, (8, 3), padding=1), (4, 6, 9)),
}


def _image(
    module: nn.Module, shape: tuple[int, ...], scnn: ScnnParams
) -> tuple[Image, NDArray[np.float32]]:
    torch.manual_seed(0)
    x = torch.randn(3, *shape).numpy()
    image = compile(nn.Sequential(module), x[:1], x, [EieParams(num_pes=4), scnn], share=True)
    return image, x


def _at_stride(image: Image, stride: tuple[int, int]) -> Image:
    """Return the image of one layer as if its stride had not been chosen."""
    part = image.part("scnn")
    (layer,) = part.layers
    graph = replace(part.graph, layers=(replace(layer, stride=stride),))
    return scnn_image("plain", graph, part.params, build(graph, part.params))


@pytest.mark.parametrize("name", _MODULES)
def test_outputs_stay_and_cycles_fall(name: str) -> None:
    module, shape = _MODULES[name]
    image, x = _image(module, shape, _PARAMS)
    plain = _at_stride(image, (1, 1))
    assert image.part("scnn").layers[0].stride != (1, 1)
    mine, theirs = run(image, x, "cycles"), run(plain, x, "cycles")
    np.testing.assert_array_equal(mine.outputs, theirs.outputs)
    assert mine.cycles is not None
    assert theirs.cycles is not None
    assert (mine.cycles < theirs.cycles).all()


def test_kernels_that_move_keep_their_stride() -> None:
    image, _ = _image(nn.Conv2d(3, 4, 5, stride=(3, 2)), (3, 9, 9), _PARAMS)
    graph = image.part("scnn").graph
    assert graph.layers[0].stride == (3, 2)
    assert choose_strides(graph, _PARAMS).layers == graph.layers


def test_strides_whose_phases_find_no_room_are_not_taken() -> None:
    image, _ = _image(nn.AdaptiveAvgPool2d(1), (2, 9, 9), _PARAMS)
    graph: QuantGraph = _at_stride(image, (1, 1)).part("scnn").graph
    small = replace(_PARAMS, num_channels=2)
    assert choose_strides(graph, small).layers[0].stride == (1, 1)
