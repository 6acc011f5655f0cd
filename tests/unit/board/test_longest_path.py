"""The longest path is named as the design names registers and memories, for each family."""

from typing import Any

import pytest

from zeroskip.flow.board.longest_path import LongestPath, longest_path, name_of_cell


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        # Of ECP5: a register's bit, a block of a memory, and LUTs that are a memory.
        ("board.array.ccu.run_control.state_TRELLIS_FF_Q_1", "array.ccu.run_control.state"),
        ("board.array.pe_14.ptr_read.ptr_even.rows.0.0", "array.pe_14.ptr_read.ptr_even"),
        ("board.array.answers.entries.0.2$DPRAM_COMB1", "array.answers.entries"),
        # Of iCE40, where a register is in the cell of the LUT before it.
        ("board.deframe.count_SB_DFFESR_Q_2_D_SB_LUT4_O_LC", "deframe.count"),
        ("board.array.pe_0.ptr_read.p_value__odd_SB_DFFE_Q_LC", "array.pe_0.ptr_read.p_value__odd"),
        # What has no name of its own is named by its unit; what is a tool's, as the tool does.
        ("board.array.pe_0.spmat_read._18__L6MUX21_Z_D0", "array.pe_0.spmat_read"),
        ("$nextpnr_ICESTORM_LC_7", "$nextpnr_ICESTORM_LC_7"),
    ],
)
def test_names(cell: str, name: str) -> None:
    assert name_of_cell(cell) == name


def path(begin: str, end: str, *delays: float, clocks: tuple[str, str] = ("c", "c")) -> Any:
    """Draft a path as nextpnr reports it: clock to output, then wires and logic in turn."""
    kinds = ["clk-to-q", *["routing", "logic"] * len(delays)][: len(delays)]
    steps: list[Any] = [
        {"type": kind, "delay": delay, "from": {"cell": "LUT"}, "to": {"cell": "LUT"}}
        for kind, delay in zip(kinds, delays, strict=True)
    ]
    steps[0]["from"], steps[-1]["to"] = {"cell": begin}, {"cell": end}
    return {"from": clocks[0], "to": clocks[1], "path": steps}


def test_the_longest_between_registers() -> None:
    """A pin's path may be longer, and is no matter of the clock."""
    paths = [
        path("board.a_TRELLIS_FF_Q", "pin", 0.5, 99.0, clocks=("c", "<async>")),
        path("board.a_TRELLIS_FF_Q", "board.b.rows.0.1", 0.5, 1.25, 0.25, 3.0),
        path("board.c_TRELLIS_FF_Q", "board.d_TRELLIS_FF_Q_3", 0.5, 2.0),
    ]
    assert longest_path({"critical_paths": paths}) == LongestPath("a", "b", 5.0, 4.25, 3.0)
    assert longest_path({"critical_paths": paths[:1]}) is None
