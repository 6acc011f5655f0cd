"""Build the simulator of a board's netlist: the cells that the FPGA has, instead of RTL."""

import hashlib
import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zeroskip.base.cache import cache_dir
from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.board.sources import board_verilog
from zeroskip.flow.board.synthesize import check_log, netlist_commands
from zeroskip.flow.synth.yosys import check_yosys, run_yosys
from zeroskip.hw.board.boards import FAMILIES, Board
from zeroskip.hw.common.emit import SRAM_VERILOG
from zeroskip.sim.board.build import CLOCK_HZ, SIM_DIVISOR, TIMEOUT, BoardModel, compile_model

__all__ = ["ECP5_CELLS", "YOSYS_OPTIONS", "board_netlist", "build_board_gates", "cell_models"]

ECP5_CELLS: Path = SRAM_VERILOG.with_name("ecp5_cells.v")
"""Models of the cells of ECP5 that Yosys has none of."""

YOSYS_OPTIONS = [
    "--no-timing", "-Wno-lint", "-Wno-style", "-Wno-MULTIDRIVEN", "-Wno-SPECIFYIGN",
    "-Wno-INITIALDLY", "-Wno-UNOPTFLAT",
]  # fmt: skip
"""For Verilator: Yosys' models of cells are not made for its taste.

Yosys puts unrelated bits into one vector, which then seems to depend on itself; real loops are
found by its ``check -assert``, and in the RTL.
"""

_FILE = "netlist.v"


@dataclass(frozen=True)
class _Cells:
    """Models of a family's cells: Yosys' by their paths in its share, our own, and options."""

    yosys: tuple[str, ...]
    own: tuple[Path, ...] = ()
    options: tuple[str, ...] = ()


_CELLS = {
    "ice40": _Cells(
        ("ice40/cells_sim.v",), options=("-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-DICE40_U")
    ),
    # Not cells_sim.v, which has a box for a block memory.
    "ecp5": _Cells(
        ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"), (ECP5_CELLS,), options=("-DNO_INCLUDES",)
    ),
    "gowin": _Cells(("gowin/cells_sim.v",), (SRAM_VERILOG.with_name("gowin_cells.v"),)),
}


def build_board_gates(
    board: Board, array: BoardArray[Any], netlist: str | None = None, *, optimize: bool = True
) -> BoardModel:
    """Build the netlist of a board's top with an ``array``, unless it was built before.

    The netlist is made by the commands that make that of the bitstream. What is around the
    board's top there, PLL, reset and pins, is left out, and the serial line is faster.

    Parameters
    ----------
    board : the board.
    netlist : another one than :func:`board_netlist` makes.
    optimize : for speed of simulation, which takes most of the time to build.

    Raises
    ------
    ToolError
        If a tool is missing or fails.
    """
    models = cell_models(board)
    options = [*YOSYS_OPTIONS, *_CELLS[board.family].options]
    if not optimize:
        options += ["-CFLAGS", "-O0"]  # after what the simulators of boards have
    made_of = (netlist, *_recipe(board, array), options, sorted(models.items()))
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()
    folder = cache_dir() / f"board_gates_{board.family}_{array.engine}_{digest[:12]}"
    program = folder / "board"
    if not program.exists():
        text = board_netlist(board, array) if netlist is None else netlist
        shared = list(array.inside)
        compile_model({_FILE: text, **models}, folder, program.name, options, shared=shared)
    return BoardModel(program)


def board_netlist(board: Board, array: BoardArray[Any]) -> str:
    """Return the netlist of a board's top, with the serial line of simulations, as Verilog.

    Raises
    ------
    ToolError
        If Yosys is not there or fails, or has changed the design.
    """
    commands, files = _recipe(board, array)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, text in files:
            (folder / name).write_text(text)
        check_log(run_yosys([*commands, f"write_verilog -noattr {_FILE}"], folder), folder)
        return (folder / _FILE).read_text()


def cell_models(board: Board) -> dict[str, str]:
    """Return models of the cells of a board's FPGA: Verilog text by file name.

    Raises
    ------
    ToolError
        If Yosys, which has most of them, is not there.
    """
    check_yosys()
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    share = Path(found.origin).parent / "share"
    cells = _CELLS[board.family]
    paths = [*(share / path for path in cells.yosys), *cells.own]
    return {path.name: path.read_text() for path in paths}


def _recipe(board: Board, array: BoardArray[Any]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return Yosys' commands for a netlist, and the files that it needs."""
    files = board_verilog(array, divisor=SIM_DIVISOR, clock_hz=CLOCK_HZ, timeout=TIMEOUT)
    commands = netlist_commands(board, array, sorted(files), shell=False)
    libraries = {path.name: path.read_text() for path in FAMILIES[board.family].files}
    return commands, sorted({**files, **libraries}.items())
