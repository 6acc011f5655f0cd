"""From a board's top to a netlist of the FPGA's cells."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zeroskip.base.errors import ToolError
from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.board.fit import in_blocks, is_single
from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.board.boards import FAMILIES, Board
from zeroskip.hw.board.shell import TOP_INSTANCE
from zeroskip.hw.board.top import BOARD_MODULE

__all__ = ["NETLIST", "TOP", "check_log", "netlist_commands", "synthesize"]

TOP = "top"
"""Name of the whole design, and of its files."""

NETLIST = "netlist.json"

# Yosys 0.70's `ice40_dsp` loses the product where two registers follow the multiplier ("Resolved
# using constant"), so multipliers are mapped here, without registers inside.
_MULTIPLIER = (
    "-D DSP_A_MAXWIDTH=16 -D DSP_B_MAXWIDTH=16 -D DSP_A_MINWIDTH=2 -D DSP_B_MINWIDTH=2 "
    "-D DSP_Y_MINWIDTH=11 -D DSP_NAME=$__MUL16X16"
)
_ICE40_MULTIPLIERS = [
    "memory_dff",
    "wreduce t:$mul",
    f"techmap -map +/mul2dsp.v -map +/ice40/dsp_map.v {_MULTIPLIER}",
    "select a:mul2dsp",
    "setattr -unset mul2dsp",
    "opt_expr -fine",
    "wreduce",
    "select -clear",
    "chtype -set $mul t:$__soft_mul",
    "opt_clean",
]

# The netlist's LUTs by abc, whose default script takes 5 % fewer of them than abc9's, which is made
# for speed.
_ICE40_LUTS = [
    "techmap -map +/ice40/latches_map.v",
    "abc -dress -lut 4",
    "ice40_wrapcarry -unwrap",
    "techmap -map +/ice40/ff_map.v",
    "clean",
    "opt_lut -tech ice40",
]

# The part of `synth_ecp5` that maps to LUTs, which counts 300 ps for a wire, with other delays.
_ECP5_LUTS = ["techmap -map +/lattice/latches_map.v", "abc9 -W {wire_ps}", "clean"]

# What must never be in a log: the netlist is then not the design.
_WRONG = re.compile(
    r"^Warning: (.*(?:conflict|no driver|multiple.*driver|undriven|logic loop|latch).*)$",
    re.MULTILINE | re.IGNORECASE,
)


def netlist_commands(
    board: Board, array: BoardArray[Any], sources: Sequence[str], *, shell: bool = True
) -> list[str]:
    """Return what Yosys does to make a netlist of Verilog ``sources``.

    Parameters
    ----------
    shell : with what is around the board's top, in ``top.il``; else the board's top by itself,
        which can be simulated.
    """
    top = TOP if shell else BOARD_MODULE
    apart = array.apart if board.family == "ecp5" else {}
    commands = [
        f"read_verilog -sv -DSYNTHESIS -DSRAM_SINGLE_BITS={board.single_bits} {' '.join(sources)}",
        *([f"read_rtlil {TOP}.il"] if shell else []),
        f"hierarchy -top {top}",
        "proc",
        *[f"setattr -mod -set keep_hierarchy 1 {module}" for module in sorted(set(apart.values()))],
        "flatten",
    ]
    for need in array.needs:
        style = "huge" if is_single(board, need) else "block" if need.content else ""
        if board.family != "ice40":
            style = "block" if in_blocks(board, need) else "distributed"
        if style:
            where = _place(need.path, apart, f"{top}/m:{TOP_INSTANCE}." if shell else f"{top}/m:")
            command = f'setattr -set ram_style "{style}" {where}.rows'
            # A module that is mapped by itself has one memory, however many instances it has.
            if command not in commands:
                commands.append(command)
    synth = f"{FAMILIES[board.family].synth} -top {top}"
    if board.family == "ice40":
        commands += ["opt_clean", *_ICE40_MULTIPLIERS]
        commands += [f"{synth} -run :map_luts", *_ICE40_LUTS, f"{synth} -run map_cells:"]
    elif memories := FAMILIES[board.family].memories:
        commands += [f"{synth} -run :map_ram", *memories, f"{synth} -run map_ffram:"]
    elif board.family == "ecp5" and array.wire_ps is not None:
        luts = [command.format(wire_ps=array.wire_ps) for command in _ECP5_LUTS]
        commands += [f"{synth} -run :map_luts", *luts, f"{synth} -run map_cells:"]
    else:
        commands.append(synth)
    if apart:
        commands += ["setattr -mod -unset keep_hierarchy", "flatten", "clean"]
    return [*commands, "check -assert"]


def _place(path: str, apart: Mapping[str, str], whole: str) -> str:
    """Return what Yosys selects a memory of the board's top by, without the end of its name."""
    for instance, module in apart.items():
        if path.startswith(f"{instance}."):
            return f"{module}/m:{path.removeprefix(f'{instance}.')}"
    return f"{whole}{path}"


def synthesize(
    board: Board, array: BoardArray[Any], sources: Sequence[str], folder: Path
) -> tuple[Any, float]:
    """Synthesize ``sources`` and the shell ``top.il`` in ``folder`` to ``netlist.json`` there.

    Returns
    -------
    The netlist's top module as Yosys writes it to JSON, and the seconds it took.

    Raises
    ------
    ToolError
        If Yosys is not there or fails, or has dropped or joined something.
    """
    begin = time.monotonic()
    log = run_yosys([*netlist_commands(board, array, sources), f"write_json {NETLIST}"], folder)
    check_log(log, folder)
    netlist = json.loads((folder / NETLIST).read_text())["modules"][TOP]
    return netlist, time.monotonic() - begin


def check_log(log: str, folder: Path) -> None:
    """Check that Yosys made no other design than it was given.

    Raises
    ------
    ToolError
        With what it says.
    """
    if wrong := _WRONG.search(log):
        raise ToolError(f"Yosys has changed the design: {wrong[1]} (see {folder / 'yosys.log'})")
