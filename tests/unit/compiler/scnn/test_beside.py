"""A run may begin with its INPUT where that has room for whatever comes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.images import scnn_image
from tests.support.systems import golden_chip
from tests.unit.hw.scnn import scnn_model
from tests.unit.hw.scnn.scnn_model import P
from zeroskip.compiler.scnn.fill import ExpectedFill, dense_rows
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.build import build_system
from zeroskip.hw.scnn.params import PRESETS
from zeroskip.hw.system.formats import COMMAND_BYTES, Op, Wait, command_layout
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.scnn.benchmark.layers import ConvLayer
from zeroskip.sim.scnn.benchmark.wiring import wire


@pytest.mark.parametrize("rows", [0, -1])
def test_waits_for_an_input_that_may_find_no_room(rows: int) -> None:
    network = scnn_model.draw_network(np.random.default_rng(3), 2)
    layer = network.layer
    graph = network.graph(np.asarray(layer.codebook), np.asarray(layer.bias))
    (run,) = build(graph, P)
    (load,) = run.loads
    run = replace(run, loads=(replace(load, limit=load.limit + rows),))
    system = build_system(scnn_image("net", graph, P, (run,)), SystemParams())
    memory, one = golden_chip(system, [P]).memory, system.map.lists[1]
    layout = command_layout()
    found = []
    for at in range(one.address, one.address + one.bytes, COMMAND_BYTES):
        command = int.from_bytes(memory[at : at + COMMAND_BYTES].tobytes(), "little")
        if command & 255 == Op.CONTROL.value:
            found.append(Wait(command >> layout["wait"].offset & 15))
    assert found == [Wait.LOADS if rows else Wait(0)]


def test_what_is_loaded_has_room_for_whatever_comes_if_there_is_any() -> None:
    graph = wire([ConvLayer("net", "conv", (4, 12, 12), 6, 3, 1, 1, 1, 0.2, 0.5)]).graph
    densities = {name: 0.2 for name in (*graph.given, *(one.name for one in graph.layers))}
    for words, dense in ((96, False), (128, True)):
        p = replace(PRESETS["tiny"], act_words=words)
        (run,) = build(graph, p, densities, fill=ExpectedFill(p, densities))
        (load,) = run.loads
        most = dense_rows(load.layout, 4, p)
        assert (load.limit - load.word == most) is dense
        assert load.limit - load.word <= most
