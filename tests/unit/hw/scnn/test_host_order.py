"""The host port of the SCNN array, against commands executed one after the other."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.support.assembly import assemble
from tests.unit.hw.host_bench import play, watched, with_gaps
from tests.unit.hw.host_model import check_in_order
from tests.unit.hw.scnn.scnn_commands import draw_commands
from tests.unit.hw.scnn.scnn_model import P, draw_network, feeder, new_model
from zeroskip.hw.scnn.array import PE_MODULE, ScnnArray
from zeroskip.hw.scnn.pe import ScnnPe


@pytest.mark.long("simulates an array in Python")
def test_commands_take_effect_in_their_order() -> None:
    seen: Counter[str] = Counter()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        # A pass of one output-channel group may leave its sums for the next run to add to.
        networks = [draw_network(rng, channels) for channels in (1, 2)]
        assert [one.run.program[0].groups for one in networks] == [1, 2]
        drawn = Random(seed)
        commands = with_gaps(drawn, draw_commands(drawn, networks, 120))
        sequencers: dict[str, Any] = {}
        array = watched(ScnnArray, "sequencer", sequencers)(P)
        dut, _ = assemble(array, {PE_MODULE: lambda: ScnnPe(P)})
        model = new_model(networks)
        feed = feeder(array, lambda found=sequencers: found["array"], networks)
        model.cuts = play(array, dut, sequencers, commands, seed, monitors=[feed])["array"]
        check_in_order(model.check, commands, seed)
        seen.update(model.seen)
    # All that there is to see was seen, and could be known.
    assert all(seen[what] > 2 for what in ("bad", "running", "at rest", "cycles", "version"))
    assert seen["COUNTER"] > 20
    assert seen["ACT"] > 50
    assert seen["DIRECTORY"] > 60
