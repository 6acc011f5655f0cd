"""Renumbered channels compute the same, and streams with even work take fewer cycles."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_graph, draw_planes
from tests.support.images import scnn_image
from zeroskip.compiler.api import compile_quantized
from zeroskip.compiler.image.image import load
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.balance import balance_channels, group_vectors, planned_groups
from zeroskip.compiler.scnn.cost import input_densities
from zeroskip.compiler.scnn.order import channel_cuts, permute_channels
from zeroskip.compiler.scnn.program import (
    build,
    choose_again,
    choose_both,
    choose_runs,
    encode_runs,
)
from zeroskip.compiler.scnn.segments import Segment, Segments
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.run import run
from zeroskip.sim.scnn.contents import scnn_problems

_ARRAY = replace(PRESETS["tiny"], num_streams=4, act_words=512, num_channels=128)
# Too many channels for all layers in one run, and so blocks of PEs with streams of their own.
_BLOCKS = replace(PRESETS["paper"], pes_x=4, pes_y=4, num_channels=192, act_fifo_words=0)


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
    image = compile_quantized(graph, {"scnn": _BLOCKS}, name="sorted")
    assert list(image.part("scnn").orders) == ["first"]
    order = image.part("scnn").orders["first"]
    assert sorted(order) == list(range(192))
    assert order.tolist() != list(range(192))
    assert scnn_problems(image.part("scnn"), "0_scnn", image.report, 10) == ()
    np.testing.assert_array_equal(image.channel_orders["first"], order)
    np.testing.assert_array_equal(image.channel_orders["last"], np.arange(4))
    plain = scnn_image("plain", graph, _BLOCKS, build(graph, _BLOCKS))
    x = np.random.default_rng(1).random((1, 32, 12, 12))
    after, before = run(image, x, "cycles"), run(plain, x, "cycles")
    np.testing.assert_array_equal(after.outputs, before.outputs)
    np.testing.assert_array_equal(after.tensors["first"], before.tensors["first"])
    held = [one.part("scnn").tensors["first"] for one in (after, before)]
    assert (held[0] != held[1]).any()
    assert after.cycles is not None
    assert before.cycles is not None
    assert after.cycles.sum() < 0.95 * before.cycles.sum()


def test_an_order_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    graph = _graph(np.linspace(1, 0.02, 192))
    image = compile_quantized(graph, {"scnn": _BLOCKS}, name="sorted")
    image.save(tmp_path / "image")
    loaded = load(tmp_path / "image")
    assert loaded.channel_orders.keys() == image.channel_orders.keys()
    for name, order in image.channel_orders.items():
        np.testing.assert_array_equal(loaded.channel_orders[name], order)


def test_even_channels_stay() -> None:
    image = compile_quantized(_graph(np.full(192, 1.0)), {"scnn": _BLOCKS}, name="even")
    assert image.part("scnn").orders == {}


def test_streams_get_even_work() -> None:
    graph = _graph(np.linspace(1, 0.02, 192))
    densities = input_densities(graph, None)
    segments = choose_runs(graph, _BLOCKS, densities)
    moved, _ = balance_channels(graph, _BLOCKS, segments, densities)
    groups = dict(planned_groups(graph, _BLOCKS, segments, densities))[0]
    before, after = (
        group_vectors((one.layers[0].weight != 0).sum(axis=(2, 3)), groups, _BLOCKS.mult_f)
        for one in (graph, moved)
    )
    least = np.count_nonzero(graph.layers[0].weight) / _BLOCKS.mult_f / len(groups[0])
    assert least <= after < 1.1 * least < before


def test_groups_are_those_of_the_passes() -> None:
    graph = _graph(np.full(192, 0.4))
    densities = input_densities(graph, None)
    segments = choose_runs(graph, _BLOCKS, densities)
    planned = dict(planned_groups(graph, _BLOCKS, segments, densities))
    found: dict[int, set[tuple[range, ...]]] = {}
    for one in encode_runs(graph, _BLOCKS, densities, segments):
        for layer, step, output in zip(one.passes, one.program, one.outputs, strict=True):
            blocks = output.blocks if output else ()
            for group in range(step.groups if blocks else 0):
                some = (range(block.start, block.stop) for block in blocks)
                parts = tuple(part[group * step.kc : (group + 1) * step.kc] for part in some)
                found.setdefault(layer, set()).add(parts)
    assert {layer: set(map(tuple, some)) for layer, some in planned.items()} == found


def _cycles(segments: list[Segment]) -> list[tuple[range, int, float]]:
    return [(segment.layers, len(segment.parts), segment.cycles) for segment in segments]


def test_runs_are_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(_ARRAY, act_words=64)
    graphs = [draw_graph(np.random.default_rng(seed), small, 4) for seed in range(6)]
    found = [choose_both(graph, small, {}, None) for graph in graphs]
    assert any(len(segment.parts) > 1 for runs, _ in found for segment in runs)
    for graph, chosen in zip(graphs, found, strict=True):
        again = choose_again(graph, small, {}, None, chosen)
        assert list(map(_cycles, again)) == list(map(_cycles, chosen))
    # What no longer has room is chosen anew.
    monkeypatch.setattr(Segments, "choose_again", lambda *_: None)
    again = choose_again(graphs[0], small, {}, None, found[0])
    assert list(map(_cycles, again)) == list(map(_cycles, found[0]))
