"""Check that an array fits a board, before anything is synthesized."""

from typing import Any

from zeroskip.base.errors import InputError
from zeroskip.flow.board.array import BoardArray, Need
from zeroskip.hw.board.boards import FAMILIES, Board

__all__ = ["check_fit", "in_blocks", "is_single"]

# Of Gowin, memories without contents and of fewer bits are made of LUTs: such blocks are few.
_GOWIN_BLOCK = 2048

# Block memories of ECP5 are slow and stand far apart; accumulators are in a loop with an adder. So
# memories without contents and of so many rows are made of LUTs.
_ECP5_FEW_ROWS = 128


def is_single(board: Board, need: Need) -> bool:
    """Tell whether a memory goes to the board's memories with one port."""
    return need.shared and bool(board.single_bits) and need.bits >= board.single_bits


def in_blocks(board: Board, need: Need) -> bool:
    """Tell whether a memory takes block memories, whatever Yosys would rather have."""
    if is_single(board, need):
        return False
    if need.content or board.family == "ice40":
        return True
    if board.family == "gowin":
        return need.bits >= _GOWIN_BLOCK
    return need.depth > _ECP5_FEW_ROWS


def check_fit(board: Board, array: BoardArray[Any]) -> dict[str, tuple[int, int]]:
    """Check memories against what the board has; return blocks needed and there, by kind.

    Memories that may become registers or small memories in logic cells are not counted.

    Raises
    ------
    InputError
        If they do not fit; the message has the numbers, and what needs most.
    """
    needs = array.needs
    block = FAMILIES[board.family].block
    singles = [need for need in needs if is_single(board, need)]
    blocks = [need for need in needs if in_blocks(board, need)]
    counts = {block.name: (sum(block.blocks(n.depth, n.width) for n in blocks), board.blocks)}
    groups = {block.name: (block, blocks)}
    if board.singles:
        kind = board.single
        counts[kind.name] = (
            sum(kind.blocks(n.depth, n.width) for n in singles), board.singles
        )  # fmt: skip
        groups[kind.name] = (kind, singles)
    wrong: list[str] = []
    for name, (needed, there) in counts.items():
        if needed > there:
            kind, group = groups[name]
            most = max(group, key=lambda need: kind.blocks(need.depth, need.width))
            size = f"{most.depth} rows of {most.width} bits"
            wrong.append(
                f"{needed} {name} blocks of {there} (the largest is {most.name}: {size}, "
                f"{kind.blocks(most.depth, most.width)} blocks)"
            )
    if wrong:
        raise InputError(
            f"the array does not fit {board.name}: its memories need {' and '.join(wrong)}; "
            f"{array.advice}"
        )
    return counts
