"""The netlists that go into bitstreams, driven by the host's own code.

What Yosys makes of a board's top (LUTs, block memories, SPRAM, multipliers) under Verilator,
with the same commands as for a bitstream: every output and cycle must be the models'.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hw.board.boards import BOARDS
from hw.board.fit import is_single, memory_needs
from hw.board.sources import board_verilog
from hw.board.synthesize import netlist_commands
from hw.eie.params import EieParams
from hw.host import Board, Line, load_image, run_image
from sim.board.gates import build_board_gates
from sim.board.process import simulated_board
from sim.errors import ToolError
from sim.run import run

pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]

# The boards' own arrays, but for the number of PEs; on iCE40 with no more words than make an
# SPRAM.
_ARRAYS = {
    "icebreaker": dataclasses.replace(BOARDS["icebreaker"].params(), num_pes=2, spmat_words=2048),
    "tangnano9k": dataclasses.replace(BOARDS["tangnano9k"].params(), num_pes=2),
}


@pytest.mark.parametrize("name", _ARRAYS)
def test_netlist_computes_what_golden_does(
    name: str, trials: Callable[[EieParams], st.SearchStrategy[Any]]
) -> None:
    board_itself, array = BOARDS[name], _ARRAYS[name]
    singles = [need.name for need in memory_needs(array) if is_single(board_itself, need)]
    assert singles == (["pe_0/spmat", "pe_1/spmat"] if name == "icebreaker" else [])
    model = build_board_gates(board_itself, array)

    @settings(
        max_examples=1,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(trials(array), min_size=3, max_size=3))
    def check(drawn: list[Any]) -> None:
        with simulated_board(model) as simulated, Line(simulated.port) as line:
            board = Board(line, patience=60.0)
            # The first again: nothing of the others is left.
            for trial in [*drawn, drawn[0]]:
                load_image(board, trial.image)
                got = run_image(board, trial.image, trial.inputs.astype(np.int64))
                wanted = run(trial.image, trial.inputs, "cycles")
                assert wanted.cycles is not None
                np.testing.assert_array_equal(got.result, wanted.layer_outputs[-1])
                np.testing.assert_array_equal(got.cycles, wanted.cycles)
            assert board.retries == 0

    check()


@pytest.mark.parametrize("name", _ARRAYS)
def test_netlist_is_made_as_for_the_bitstream(name: str) -> None:
    array = _ARRAYS[name]
    files = sorted(board_verilog(array, divisor=4, clock_hz=1_000_000))
    alone = netlist_commands(BOARDS[name], array, files, shell=False)
    inside = netlist_commands(BOARDS[name], array, files)
    assert inside.pop(1) == "read_rtlil top.il"
    for line, other in zip(alone, inside, strict=True):
        assert line == other.replace("top/m:board.", "zeroskip_board/m:").replace(
            "-top top", "-top zeroskip_board"
        )


def test_boards_without_models() -> None:
    with pytest.raises(ToolError, match=r"no models to simulate the memories of ulx3s-85f with$"):
        build_board_gates(BOARDS["ulx3s-85f"], _ARRAYS["icebreaker"])
