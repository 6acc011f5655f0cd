"""Netlists that go into bitstreams, driven by the host's own code.

What Yosys makes of a board's top (LUTs, carries, memories, multipliers) under Verilator, with the
same commands as for a bitstream: every output and cycle must be the models'.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.tiers import simulated
from zeroskip.compiler.image.image import Image
from zeroskip.flow.board.fit import is_single
from zeroskip.flow.board.sources import board_verilog
from zeroskip.flow.board.synthesize import netlist_commands
from zeroskip.flow.eie.board import EieBoardArray
from zeroskip.flow.eie.host import load_image, run_image
from zeroskip.flow.host import Board, HostError, Line
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.board.top import BOARD_MODULE
from zeroskip.hw.eie.boards import DIGITS
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.board.build import BoardModel
from zeroskip.sim.board.gates import board_netlist, build_board_gates
from zeroskip.sim.board.process import simulated_board
from zeroskip.sim.eie.gates import draw_network
from zeroskip.sim.run import run

pytestmark = [pytest.mark.cosim, pytest.mark.filterwarnings("ignore:Generating overly large")]

Trials = Callable[[EieParams], st.SearchStrategy[Any]]

# Boards' own arrays, but for the number of PEs, and with no more words than make an SPRAM. One has
# several PEs.
_ARRAYS = {
    "icebreaker": dataclasses.replace(DIGITS["icebreaker"], num_pes=2, spmat_words=2048),
    "ulx3s-85f": dataclasses.replace(DIGITS["ulx3s-85f"], num_pes=1),
    "tangnano9k": dataclasses.replace(DIGITS["tangnano9k"], num_pes=1),
}

_SWAP = "swap_inputs"

_ECP5_CELLS = {
    *("LUT4", "CCU2C", "PFUMX", "L6MUX21", "TRELLIS_FF", "TRELLIS_DPR16X4"),
    *("DP16KD", "MULT18X18D"),
}


def _full_range(p: EieParams, *seeds: int) -> list[tuple[Image, NDArray[Any]]]:
    """Draw a network a seed, with the float inputs that the host takes, of the full range."""
    drawn = (draw_network(p, seed) for seed in seeds)
    return [(image, inputs.astype(np.float64)) for image, inputs in drawn]


def _cases(p: EieParams, trials: Trials) -> list[tuple[Image, NDArray[Any]]]:
    """Return images with inputs: of all structures, and such that wrong numbers are seen."""
    drawn: list[list[Any]] = []

    # The first example is the least there is: no weight.
    @simulated(2)
    @given(st.lists(trials(p), min_size=3, max_size=3))
    def draw(some: list[Any]) -> None:
        drawn.append(some)

    draw()
    return [
        *((trial.image, trial.inputs) for trial in drawn[1]),
        *_full_range(p, 1, 2, 3),
    ]


def _compare(
    model: BoardModel,
    cases: list[tuple[Image, NDArray[Any]]],
    *plusargs: str,
    run_seconds: float = 10.0,
) -> dict[str, int]:
    """Run images on a netlist; count words compared, those neither 0 nor at an end, and wrong."""
    counts = {"words": 0, "inner": 0, "differ": 0}
    with (
        simulated_board(model, plusargs=plusargs) as simulated,
        Line(simulated.port, clock=simulated.clock) as line,
    ):
        board = Board(line, run_seconds=run_seconds)
        # The first again: nothing of the others is left.
        for image, inputs in [*cases, cases[0]]:
            part = image.part("eie")
            load_image(board, part)
            got = run_image(board, part, inputs.astype(np.int64))
            wanted = run(image, inputs, "cycles")
            assert wanted.cycles is not None
            outputs = wanted.layer_outputs[-1]
            ends = (0, part.params.min_act, part.params.max_act)
            assert got.result.shape == outputs.shape
            assert got.cycles.shape == wanted.cycles.shape
            counts["words"] += outputs.size + wanted.cycles.size
            counts["inner"] += int(np.count_nonzero(~np.isin(outputs, ends)))
            counts["differ"] += int(np.count_nonzero(got.result != outputs))
            counts["differ"] += int(np.count_nonzero(got.cycles != wanted.cycles))
        assert board.retries == 0
    return counts


@pytest.mark.long("makes and compiles the netlist of a board")
@pytest.mark.parametrize("name", _ARRAYS)
def test_netlist_computes_what_golden_does(name: str, trials: Trials) -> None:
    board, array = BOARDS[name], EieBoardArray(_ARRAYS[name])
    single = [need.name for need in array.needs if is_single(board, need)]
    assert single == (["pe_0/spmat", "pe_1/spmat"] if name == "icebreaker" else [])
    netlist = board_netlist(board, array)
    if board.family == "ecp5":
        # It has every kind of cell that has a model.
        cells = re.findall(r"^  ([A-Z][A-Z0-9_]+) (?:#\(|\\)", netlist, re.MULTILINE)
        assert set(cells) == _ECP5_CELLS
        netlist = _with_swapped_inputs(netlist)
    model = build_board_gates(board, array, netlist, optimize=False)
    counts = _compare(model, _cases(array.params, trials))
    assert counts["words"] > 200
    assert counts["inner"] > 30
    assert counts["differ"] == 0
    if board.family == "ecp5":
        cases = _full_range(array.params, 1)
        try:
            differ = _compare(model, cases, f"+{_SWAP}", run_seconds=0.01)["differ"]
        except HostError:  # it may also not come to an end
            differ = 1
        assert differ


def _with_swapped_inputs(netlist: str) -> str:
    """Let two data inputs of the memory of a PE's matrix change places where a plusarg says so.

    Whether a wrong netlist would be found is so asked of the netlist that was right, which takes
    a minute to build.
    """
    begin = netlist.index(") \\array.pe_0.spmat_read.spmat.rows.0.0 ")
    end = netlist.index(");\n", begin)
    (first,), (second,) = (re.findall(rf"\.DIA{pin}\((.*)\)", netlist[begin:end]) for pin in (0, 1))
    block = netlist[begin:end]
    for pin, straight, crossed in ((0, first, second), (1, second, first)):
        block = block.replace(
            f".DIA{pin}({straight})", f".DIA{pin}({_SWAP} ? {crossed} : {straight})"
        )
    head, module, rest = (netlist[:begin] + block + netlist[end:]).partition(
        f"module {BOARD_MODULE}("
    )
    ports, close, body = rest.partition(");\n")
    switch = f'  reg {_SWAP};\n  initial {_SWAP} = $test$plusargs("{_SWAP}");\n'
    return head + module + ports + close + switch + body


@pytest.mark.parametrize("name", _ARRAYS)
def test_netlist_is_made_as_for_the_bitstream(name: str) -> None:
    board, array = BOARDS[name], EieBoardArray(_ARRAYS[name])
    files = sorted(board_verilog(array, divisor=4, clock_hz=1_000_000))
    alone = netlist_commands(board, array, files, shell=False)
    inside = netlist_commands(board, array, files)
    assert inside.pop(1) == "read_rtlil top.il"
    for line, other in zip(alone, inside, strict=True):
        assert line == re.sub(
            r"-top top\b", "-top zeroskip_board", other.replace("top/m:board.", "zeroskip_board/m:")
        )
