"""The host port of the EIE array, against commands executed one after the other."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.support.assembly import assemble
from tests.support.graphs import run_graph
from tests.unit.hw.eie_model import (
    ACT,
    SIZES,
    P,
    draw_commands,
    draw_network,
    loading,
    new_model,
    signed,
)
from tests.unit.hw.host_bench import Told, play, watched, with_gaps
from tests.unit.hw.host_model import check_in_order
from zeroskip.compiler.eie.place import place
from zeroskip.hw.eie.array import PE_MODULE, EieArray
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.pe import Pe


def test_model_is_golden() -> None:
    """What the model makes of the memories is what golden makes of the network."""
    rng = np.random.default_rng(5)
    network = draw_network(rng, SIZES[0])
    placement = place(network, P, "interleave")
    x = rng.integers(P.min_act, P.max_act, SIZES[0][0])
    model = new_model()
    for one in loading(network)[0]:
        model.write(one)
    for row, pe in np.ndindex(P.num_acts, P.num_pes):
        model.write(Told(Space.ACT, row, pe, 0))
    for value, position in zip(x.tolist(), placement[0].tolist(), strict=True):
        model.write(Told(Space.ACT, position // P.num_pes, position % P.num_pes, value))
    model.run()
    tensors = run_graph(network, x[None, :, None, None], P.acc_bits, P.act_bits)
    (last,) = network.outputs
    base = model.source * ACT
    got = [
        model.memory[Space.ACT, position % P.num_pes, base + position // P.num_pes]
        for position in placement[-1].tolist()
    ]
    assert [signed(word or 0, P.act_bits) for word in got] == tensors[last][0, :, 0, 0].tolist()


@pytest.mark.long("simulates an array in Python")
def test_commands_take_effect_in_their_order() -> None:
    seen: Counter[str] = Counter()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        networks = [loading(draw_network(rng, sizes)) for sizes in SIZES]
        drawn = Random(seed)
        commands = with_gaps(drawn, draw_commands(drawn, networks, 150))
        sequencers: dict[str, Any] = {}
        array = watched(EieArray, "ccu", sequencers)(P)
        dut, _ = assemble(array, {PE_MODULE: lambda: Pe(P)})
        model = new_model()
        model.cuts = play(array, dut, sequencers, commands, seed)["array"]
        check_in_order(model.check, commands, seed)
        seen.update(model.seen)
    # All that there is to see was seen, and could be known.
    assert all(seen[what] > 2 for what in ("bad", "running", "at rest", "cycles", "version"))
    assert seen["COUNTER"] > 40
    assert seen["ACT"] > 400
