"""Verification of CNNs without a simulator: what is right passes, one wrong bit is named."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_layer, draw_planes
from zeroskip.compiler.ir.fixed import run_graph
from zeroskip.compiler.ir.graph import INPUT, QuantCnn, QuantGraph
from zeroskip.compiler.scnn.image import CnnImage
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.scnn.cycles.image import run_cnn_image
from zeroskip.sim.scnn.differences import CnnDifference, StoreDifference
from zeroskip.sim.scnn.result import CnnResult, by_conv_layer
from zeroskip.sim.scnn.rtl_files import BlockStore, ScnnResult
from zeroskip.sim.scnn.run import cnn_result
from zeroskip.sim.scnn.verify import compare_cnn
from zeroskip.sim.scnn.walk import map_pass

_P = replace(PRESETS["tiny"], num_streams=4)


def _perfect() -> tuple[CnnImage, CnnResult, ScnnResult]:
    """Make an image, and what models and a faultless array give for two inputs."""
    rng = np.random.default_rng(5)
    conv = draw_layer(rng, "conv", [(INPUT, (3, 6, 7))], _P, kind="conv")
    graph = QuantGraph((3, 6, 7), (conv,), ("conv",))
    runs = build(graph, _P)
    image = CnnImage("drawn", _P, QuantCnn(graph, None), runs)
    planes = draw_planes(rng, (3, 6, 7), 2, _P, low=_P.min_act)
    tensors = run_graph(graph, planes, _P.acc_bits, _P.act_bits)
    cycles, counters = run_cnn_image(image, tensors)
    model = CnnResult(
        np.zeros(0),
        {"conv": tensors["conv"]},
        image.channel_orders,
        run_cycles=cycles,
        counters=by_conv_layer(runs, 1, counters),
    )
    outputs = []
    for run in runs:
        made = []
        for one, output in zip(run.program, run.outputs, strict=True):
            assert output is not None
            where = map_pass(_P, one, output)
            made.append(np.stack([where.expected(y) for y in tensors["conv"]]))
        outputs.append(tuple(made))
    stores = []
    for sample in range(2):
        stores.append(
            tuple(
                tuple(
                    tuple(
                        _store(store.layout, tensors["conv"][sample, one.start : one.stop])
                        for one in store.blocks
                    )
                    for store in run.stores
                )
                for run in runs
            )
        )
    raw = ScnnResult(
        tuple(outputs),
        dict(tensors),
        tuple(stores),
        cycles.copy(),
        np.zeros(2, np.int64),
        np.zeros((2, len(runs))),
        counters.copy(),
        (),
    )
    return image, model, raw


def _store(layout: object, values: np.ndarray) -> BlockStore:
    tiles = encode_tiles(_P, layout, values)  # type: ignore[arg-type]
    return BlockStore(tiles.words, tiles.directory(_P))


def _flip_output(raw: ScnnResult) -> ScnnResult:
    outputs = [list(made) for made in raw.outputs]
    outputs[0][0] = outputs[0][0].copy()
    outputs[0][0][1, 0, 0] += 1
    return dataclasses.replace(raw, outputs=tuple(map(tuple, outputs)))


def _flip_word(raw: ScnnResult) -> ScnnResult:
    for block in raw.stores[0][0][0]:
        for words in block.words:
            if words.size:
                words[-1, 0] ^= np.uint64(1)
                return raw
    raise AssertionError("nothing is stored")


def test_what_is_right_passes() -> None:
    image, model, raw = _perfect()
    result = compare_cnn(image, model, cnn_result(image, raw))
    assert result.ok
    assert result.words > 2 * model.tensors["conv"][0].size
    assert result.counters == raw.cycles.size + model.counters.size  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("harm", "kind"), [(_flip_output, CnnDifference), (_flip_word, StoreDifference)]
)
def test_one_wrong_bit_is_named(
    harm: Callable[[ScnnResult], ScnnResult], kind: type[object]
) -> None:
    image, model, raw = _perfect()
    result = compare_cnn(image, model, cnn_result(image, harm(raw)))
    assert not result.ok
    assert result.differ == 1
    assert isinstance(result.differences[0], kind)
    assert "PE 0" in str(result.differences[0])
    assert "layer conv" in str(result.differences[0])


def test_a_wrong_counter_is_named() -> None:
    image, model, raw = _perfect()
    raw.counters[1, 0, 2, 4] += 1
    result = compare_cnn(image, model, cnn_result(image, raw))
    assert result.cycles_differ == 1
    assert "input 1, layer conv, PE 2" in str(result.cycle_differences[0])
    assert not result.ok
