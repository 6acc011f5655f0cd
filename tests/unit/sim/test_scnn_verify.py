"""Verification of CNNs without a simulator: what is right passes, one wrong bit is named."""

import dataclasses
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.cosim.scnn_draw import draw_layer, draw_planes
from tests.support.images import scnn_image
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import INPUT, QuantGraph
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.sim.machine import Selection, machine
from zeroskip.sim.result import Result
from zeroskip.sim.run import run_planes
from zeroskip.sim.scnn.cycles.image import run_cnn_image
from zeroskip.sim.scnn.job import scnn_result
from zeroskip.sim.scnn.rtl_files import BlockStore, ScnnResult
from zeroskip.sim.scnn.stores import ConvDifference, StoreDifference
from zeroskip.sim.scnn.walk import map_pass
from zeroskip.sim.verify import compare_raw

_P = replace(PRESETS["tiny"], num_streams=4)


def _perfect() -> tuple[Image, Result, ScnnResult]:
    """Make an image, and what models and a faultless array give for two inputs."""
    rng = np.random.default_rng(5)
    conv = draw_layer(rng, "conv", [(INPUT, (3, 6, 7))], _P, kind="conv")
    graph = QuantGraph((3, 6, 7), (conv,), ("conv",))
    runs = build(graph, _P)
    image = scnn_image("drawn", graph, _P, runs)
    part = image.part("scnn")
    planes = draw_planes(rng, (3, 6, 7), 2, _P, low=_P.min_act)
    model = run_planes(image, planes, "cycles")
    tensors = {INPUT: planes, **model.tensors}
    cycles, counters = run_cnn_image(part, tensors)
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
        {"conv": tensors["conv"]},
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
    result = compare_raw(image, model, scnn_result(image.part("scnn"), raw))
    assert result.ok
    counters = model.part("scnn").counters
    assert counters is not None
    assert result.words > 2 * model.tensors["conv"][0].size
    assert result.counters == raw.cycles.size + counters.size


@pytest.mark.parametrize(
    ("harm", "kind"), [(_flip_output, ConvDifference), (_flip_word, StoreDifference)]
)
def test_one_wrong_bit_is_named(
    harm: Callable[[ScnnResult], ScnnResult], kind: type[object]
) -> None:
    image, model, raw = _perfect()
    result = compare_raw(image, model, scnn_result(image.part("scnn"), harm(raw)))
    assert not result.ok
    assert result.differ == 1
    assert isinstance(result.differences[0], kind)
    assert "PE 0" in str(result.differences[0])
    assert "layer conv" in str(result.differences[0])


def test_a_wrong_counter_is_named() -> None:
    image, model, raw = _perfect()
    raw.counters[1, 0, 2, 4] += 1
    result = compare_raw(image, model, scnn_result(image.part("scnn"), raw))
    assert result.cycles_differ == 1
    assert "input 1, layer conv, PE 2" in str(result.cycle_differences[0])
    assert not result.ok


def test_counters_are_compared_with_goldens_products() -> None:
    image, model, raw = _perfect()
    part = image.part("scnn")
    counted = model.part("scnn").counters
    assert counted is not None
    useful = counted[..., StallClass.USEFUL].sum(axis=2)
    whole, rtl = Selection(part, ("conv",)), scnn_result(part, raw)
    assert useful.shape == (2, 1)
    assert machine("scnn").counter_problems(whole, rtl, useful) == []
    useful[1, 0] += 1
    (problem,) = machine("scnn").counter_problems(whole, rtl, useful)
    assert problem.startswith("input 1, layer conv: the array counted ")
