"""A run may begin with its INPUT where that has room for whatever comes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.images import scnn_image
from tests.support.systems import golden_chip
from tests.unit.hw.scnn import scnn_model
from tests.unit.hw.scnn.scnn_model import P
from zeroskip.compiler.scnn.program import build
from zeroskip.compiler.system.build import build_system
from zeroskip.hw.system.formats import COMMAND_BYTES, Op, Wait, command_layout
from zeroskip.hw.system.params import SystemParams


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
