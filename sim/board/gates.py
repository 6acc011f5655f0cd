"""Build the simulator of a board's netlist: the cells that the FPGA has, instead of RTL."""

import hashlib
import importlib.util
import tempfile
from pathlib import Path

from hw.board.boards import FAMILIES, Board
from hw.board.sources import board_verilog
from hw.board.synthesize import check_log, netlist_commands
from hw.eie.params import EieParams
from hw.synth.yosys import check_yosys, run_yosys
from sim.board.build import CLOCK_HZ, SIM_DIVISOR, TIMEOUT, BoardModel, compile_model
from sim.errors import ToolError
from sim.rtl.build import cache_dir

__all__ = ["build_board_gates"]

_FILE = "netlist.v"
# Models of cells: Yosys' own, and ours of those that it has none of.
_CELLS = {"ice40": (), "gowin": (SRAM_VERILOG.with_name("gowin_cells.v"),)}
# Yosys' models of cells are not made for Verilator's taste.
_OPTIONS = [
    "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-DICE40_U", "--no-timing", "-Wno-lint", "-Wno-style",
    "-Wno-MULTIDRIVEN", "-Wno-SPECIFYIGN",
]  # fmt: skip


def build_board_gates(board: Board, params: EieParams) -> BoardModel:
    """Build the netlist of a board's top with an array of ``params``, unless it was built before.

    The netlist is made by the commands that make that of the bitstream. What is around the
    board's top there, PLL, reset and pins, is left out, and the serial line is faster.

    Parameters
    ----------
    board : of iCE40 or Gowin; there are no models of ECP5's memories.

    Raises
    ------
    ToolError
        If a tool is missing or fails, or there are no models of the board's cells.
    """
    if board.family not in _CELLS:
        raise ToolError(f"there are no models to simulate the memories of {board.name} with")
    check_yosys()
    files = board_verilog(params, divisor=SIM_DIVISOR, clock_hz=CLOCK_HZ, timeout=TIMEOUT)
    commands = netlist_commands(board, params, sorted(files), shell=False)
    for path in FAMILIES[board.family].files:
        files[path.name] = path.read_text()
    cells = _cells(board.family)
    parts = (commands, _OPTIONS, sorted(files.items()), cells)
    digest = hashlib.sha256(repr(parts).encode())
    folder = cache_dir() / f"board_gates_{params.num_pes}_{digest.hexdigest()[:12]}"
    program = folder / "board"
    if not program.exists():
        compile_model({_FILE: _netlist(commands, files), **cells}, folder, program.name, _OPTIONS)
    return BoardModel(program)


def _netlist(commands: list[str], files: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, text in files.items():
            (folder / name).write_text(text)
        check_log(run_yosys([*commands, f"write_verilog -noattr {_FILE}"], folder), folder)
        return (folder / _FILE).read_text()


def _cells(family: str) -> dict[str, str]:
    """Return models of a family's cells."""
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "share" / family / "cells_sim.v"
    return {one.name: one.read_text() for one in (path, *_CELLS[family])}
