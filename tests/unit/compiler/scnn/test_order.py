"""Renumbered channels compute the same, and streams with even work take fewer cycles."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from zeroskip.base.errors import ImageError
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, QuantCnn, QuantConv, QuantGraph
from zeroskip.compiler.scnn.compile import compile_quantized_cnn
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.compiler.scnn.order import channel_cuts, permute_channels
from zeroskip.compiler.scnn.program import build
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.eie.contents import cnn_problems
from zeroskip.sim.scnn.run import run_cnn

_ARRAY = replace(PRESETS["tiny"], num_streams=4, act_words=256, num_channels=64)
# Too many channels for all layers in one run, and so blocks of PEs with streams of their own.
_BLOCKS = replace(PRESETS["paper"], pes_x=4, pes_y=4, num_channels=128)


@pytest.mark.parametrize("seed", range(40))
def test_any_order_computes_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = draw_graph(rng, _ARRAY, 5)
    orders: dict[str, np.ndarray] = {}
    for conv in graph.layers:
        bounds = sorted(channel_cuts(graph)[conv.name])
        parts = [rng.permutation(np.arange(*pair)) for pair in pairwise(bounds)]
        orders[conv.name] = np.concatenate(parts)
    moved = permute_channels(graph, orders)
    planes = draw_planes(rng, graph.input_shape, 2, _ARRAY, low=_ARRAY.min_act)
    bits = _ARRAY.acc_bits, _ARRAY.act_bits
    before = {one.layer.name: one.output for one in layer_results(graph, planes, *bits)}
    after = {one.layer.name: one.output for one in layer_results(moved, planes, *bits)}
    for name in graph.outputs:
        np.testing.assert_array_equal(after[name], before[name])


def _conv(name: str, source: str, shape: tuple[int, int], density: np.ndarray) -> QuantConv:
    rng = np.random.default_rng(len(name))
    depth, channels = shape
    weight = rng.integers(1, 8, (depth, channels, 3, 3))
    weight[rng.random(weight.shape) >= density[:, None, None, None]] = 0
    return QuantConv(
        name=name,
        kind="conv",
        inputs=(source,),
        in_shape=(channels, 12, 12),
        out_shape=(depth, 12, 12),
        weight=weight,
        codebook=None,
        bias=rng.integers(-9, 9, depth),
        stride=(1, 1),
        padding=(1, 1),
        groups=1,
        relu=True,
        op="add",
        signed_input=True,
        in_frac=4,
        weight_frac=8,
        out_frac=4,
    )


def _graph(density: np.ndarray) -> QuantGraph:
    wide = len(density)
    last = _conv("last", "first", (4, wide), np.full(4, 0.3))
    return QuantGraph((32, 12, 12), (_conv("first", INPUT, (wide, 32), density), last), ("last",))


def test_an_unlucky_order_is_mended() -> None:
    graph = _graph(np.linspace(1, 0.02, 192))
    image = compile_quantized_cnn(QuantCnn(graph, None), _BLOCKS, name="sorted")
    assert list(image.report["channel_order"]) == ["first"]
    order = image.report["channel_order"]["first"]
    assert sorted(order) == list(range(192))
    assert order != list(range(192))
    assert cnn_problems(image) == ()
    np.testing.assert_array_equal(image.channel_orders["first"], order)
    np.testing.assert_array_equal(image.channel_orders["last"], np.arange(4))
    runs = build(graph, _BLOCKS)
    plain = replace(image, network=QuantCnn(graph, None), runs=runs, report={})
    x = np.random.default_rng(1).random((1, 32, 12, 12))
    after, before = run_cnn(image, x, "cycles"), run_cnn(plain, x, "cycles")
    np.testing.assert_array_equal(after.outputs, before.outputs)
    np.testing.assert_array_equal(after.tensors["first"], before.tensors["first"])
    assert (after.held["first"] != before.held["first"]).any()
    assert after.run_cycles is not None
    assert before.run_cycles is not None
    assert after.run_cycles.sum() < 0.95 * before.run_cycles.sum()


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"first": 5},
        {"first": [1, 0]},
        {"first": [True]},
        {"other": [0]},
        {"first": [[0]] * 192},
    ],
)
def test_a_report_without_an_order_is_refused(said: object, tmp_path: Path) -> None:
    graph = _graph(np.full(4, 0.3))
    image = compile_quantized_cnn(QuantCnn(graph, None), _ARRAY, name="report")
    replace(image, report={"channel_order": said}).save(tmp_path / "image")
    with pytest.raises(ImageError, match=r"report\.channel_order must have"):
        CnnImage.load(tmp_path / "image")


def test_even_channels_stay() -> None:
    image = compile_quantized_cnn(QuantCnn(_graph(np.full(192, 0.4)), None), _BLOCKS, name="even")
    assert "channel_order" not in image.report
    assert image.network.graph.layers[0].weight.shape[0] == 192
