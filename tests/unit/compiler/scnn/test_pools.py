"""Pooling from torch's modules to runs of the array: what it computes, and where it lies."""

import copy
import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from numpy.typing import NDArray
from torch import nn

from tests.cosim.scnn_check import integer_torch
from tests.support.tiers import examples
from tests.unit.compiler.pool_modules import pools
from zeroskip import compile
from zeroskip.base.errors import CompileError
from zeroskip.compiler.image.image import Image, load
from zeroskip.compiler.ir.graph import Area, QuantConv
from zeroskip.compiler.scnn.areas import area_layers
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.program import build
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import quantize, run
from zeroskip.sim.scnn.decode import decode
from zeroskip.sim.scnn.decoded import as_decoded

PARAMS = dataclasses.replace(PRESETS["tiny"], num_streams=4)


def compiled(pool: nn.Module, x: NDArray[np.float32], **params: Any) -> Image:
    p = dataclasses.replace(PARAMS, **params)
    return compile(pool.eval(), torch.from_numpy(x[:1]), x, arrays=p)


def expected(pool: nn.Module, x: NDArray[np.float32]) -> NDArray[np.float64]:
    with torch.no_grad():
        return copy.deepcopy(pool).double()(torch.from_numpy(x).double()).numpy()


def average(pool: nn.Module) -> nn.AvgPool2d | None:
    return next((part for part in pool.modules() if isinstance(part, nn.AvgPool2d)), None)


def divisors(pool: nn.AvgPool2d, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ask torch what it divides by."""
    whole = torch.ones(1, 1, *x.shape[2:], dtype=torch.float64)
    sums = nn.AvgPool2d(
        pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, divisor_override=1
    )
    return (sums(whole) / pool(whole)).numpy()[0, 0]


@examples(60)
@given(pools())
def test_pools(drawn: tuple[nn.Module, tuple[int, int, int], NDArray[np.float32]]) -> None:
    pool, _, x = drawn
    image = compiled(pool, x)
    graph = image.part("scnn").graph
    layer = graph.layers[0]
    # What the memories hold is the layer; it is the layer's weights that golden computes with.
    (made,) = decode(image.part("scnn").runs, graph, image.part("scnn").params)
    np.testing.assert_array_equal(made.weight, as_decoded(layer, graph).weight)
    result = run(image, x)
    planes = quantize(image, x)[0]
    exact = integer_torch(graph, planes, image.part("scnn").params)
    np.testing.assert_array_equal(result.tensors[layer.name], exact[layer.name])
    # Beside the floats: half a step of the output, of each input, and of each weight.
    mean = average(pool)
    elements = layer.weight.shape[2] * layer.weight.shape[3]
    error = 2.0 ** -(layer.in_frac + 1)
    if mean is not None:
        scale = 1 / np.abs(divisors(mean, x))
        largest = np.abs(planes).max() * 2.0**-layer.in_frac
        error = elements * (error * scale + largest * 2.0 ** -(layer.weight_frac + 1))
        error = error + 2.0 ** -(layer.out_frac + 1)
    difference = np.abs(result.outputs - expected(pool, x))
    assert (difference <= error + 1e-9).all()
    # Weights are 1 / divisor to within half a step, everywhere.
    if mean is not None:
        steps = np.full(layer.out_shape[1:], int(layer.weight.flat[0]))
        for one in layer.areas:
            steps[one.y0 : one.y0 + one.height, one.x0 : one.x0 + one.width] = one.weight
        wanted = 2.0**layer.weight_frac / divisors(mean, x)
        assert np.abs(steps - wanted).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("pool", "shape", "areas"),
    [
        (nn.AvgPool2d(3, 1, 1), (2, 6, 7), 0),
        (nn.AvgPool2d(3, 1, 1, count_include_pad=False), (2, 6, 7), 9),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 7, 8), 6),
        (nn.AvgPool2d(3, 2, ceil_mode=True), (2, 8, 7), 2),
        (nn.AvgPool2d(3, 2, ceil_mode=True), (2, 8, 8), 4),
        (nn.AvgPool2d(5, 1, 2, count_include_pad=False), (1, 9, 9), 25),
        # A stride beyond the kernel: in some windows only one column is left.
        (nn.AvgPool2d(2, 5, 1, ceil_mode=True, count_include_pad=False), (1, 10, 11), 6),
        # The kernel is larger than the plane, which all windows hold.
        (nn.AvgPool2d(6, 1, 3), (2, 2, 3), 0),
        (nn.AvgPool2d(6, 1, 3, count_include_pad=False), (2, 2, 3), 0),
        (nn.AvgPool2d(4, 3, 2, ceil_mode=True, count_include_pad=False), (1, 1, 1), 0),
        (nn.AvgPool2d((1, 3), 1, (0, 1), count_include_pad=False), (1, 4, 5), 3),
    ],
)
def test_areas(pool: nn.Module, shape: tuple[int, int, int], areas: int) -> None:
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    image = compiled(pool, x)
    assert len(image.part("scnn").graph.layers[0].areas) == areas
    assert len(image.part("scnn").runs) >= max(1, areas)
    error = np.abs(run(image, x).outputs - expected(pool, x)).max()
    assert error <= 1e-2 * np.abs(x).max()


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(3, 9, 1, ceil_mode=True, count_include_pad=False),
        nn.AvgPool2d(11, 9, 5, ceil_mode=True),
        nn.MaxPool2d(3, 9, 1, ceil_mode=True),
    ],
)
def test_long_strides(pool: nn.Module) -> None:
    x = -np.random.default_rng(0).random((4, 2, 20, 19), np.float32)
    image = compiled(pool, x, num_channels=2048, act_words=2048, num_taps=128)
    error = np.abs(run(image, x).outputs - expected(pool, x)).max()
    assert error <= 1e-3


@pytest.mark.parametrize("padding", [0, 1])
def test_maxima_of_negatives_never_come_from_padding(padding: int) -> None:
    pool = nn.MaxPool2d(3, 2, padding, ceil_mode=True)
    x = -1 - np.random.default_rng(0).random((4, 2, 8, 9), np.float32)
    image = compiled(pool, x)
    assert image.part("scnn").graph.layers[0].signed_input
    outputs = run(image, x).outputs
    assert outputs.max() <= -1
    np.testing.assert_allclose(outputs, expected(pool, x), atol=2.0**-14)


def test_others_fuse_around_areas() -> None:
    """Layers before and after an average in areas still share runs."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(2, 2, 1),
        nn.AvgPool2d(2, 2, ceil_mode=True),
        nn.Conv2d(2, 3, 1),
        nn.Conv2d(3, 2, 1),
    )
    x = np.random.default_rng(0).normal(size=(4, 1, 5, 5)).astype(np.float32)
    image = compiled(network, x, num_descriptors=16)
    assert [run.passes for run in image.part("scnn").runs] == [
        (0, 1),
        (2,),
        (2,),
        (2,),
        (2,),
        (3, 4),
    ]
    error = np.abs(run(image, x).outputs - expected(network, x)).max()
    assert error <= 1e-2


def test_images_keep_areas(tmp_path: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 5, 5)).astype(np.float32)
    image = compiled(nn.AvgPool2d(3, 1, 1, count_include_pad=False), x)
    image.save(tmp_path / "image")
    loaded = load(tmp_path / "image")
    (layer,) = loaded.part("scnn").layers
    assert layer.areas == image.part("scnn").graph.layers[0].areas
    assert len(layer.areas) == 9
    np.testing.assert_array_equal(run(loaded, x).outputs, run(image, x).outputs)
    plain = compiled(nn.AvgPool2d(3, 1, 1), x)
    plain.save(tmp_path / "plain")
    assert b"areas" not in (tmp_path / "plain" / "manifest.json").read_bytes()


def test_areas_with_too_small_a_codebook() -> None:
    """Each area has a codebook of its own, so two codes are enough."""
    x = np.random.default_rng(0).normal(size=(4, 1, 6, 6)).astype(np.float32)
    pool = nn.AvgPool2d(5, 1, 2, count_include_pad=False)
    image = compiled(pool, x, code_bits=1)
    error = np.abs(run(image, x).outputs - expected(pool, x)).max()
    assert error <= 1e-2


def _layer(x: NDArray[np.float32]) -> QuantConv:
    return compiled(nn.AvgPool2d(2, 2, ceil_mode=True), x).part("scnn").layers[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"areas": (Area(y0=0, x0=0, height=3, width=2, weight=1),)}, "3 are in none or several"),
        ({"areas": (Area(y0=0, x0=0, height=3, width=4, weight=1),)}, "all have 12"),
        ({"areas": (Area(y0=-1, x0=0, height=4, width=3, weight=1),)}, "must have areas of outp"),
        ({"areas": (Area(y0=0, x0=0, height=3, width=3, weight=0),)}, "must have areas of outputs"),
        (
            {"weight": np.arange(1, 5).reshape(1, 1, 2, 2), "codebook": None},
            "so it must be an average",
        ),
    ],
)
def test_wrong_areas_are_refused(change: dict[str, Any], message: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 1, 5, 5)).astype(np.float32)
    layer = dataclasses.replace(_layer(x), **change)
    with pytest.raises(CompileError, match=re.escape(message)):
        check_layer(layer, PARAMS)


def test_area_layers_read_what_they_need_only() -> None:
    x = np.random.default_rng(0).normal(size=(4, 1, 6, 6)).astype(np.float32)
    image = compiled(nn.AvgPool2d(3, 1, 1, count_include_pad=False), x)
    (layer,) = image.part("scnn").graph.layers
    read = [(one.in_y0, one.in_x0, *part.in_shape[1:]) for one, part in area_layers(layer)]
    assert read[0] == (0, 0, 2, 2)
    assert read[4] == (0, 0, 6, 6)
    assert read[8] == (4, 4, 2, 2)
    assert len(build(image.part("scnn").graph, PARAMS)) == 9
