"""Check that an array fits a board, before anything is synthesized."""

from dataclasses import dataclass

from zeroskip.base.errors import InputError
from zeroskip.hw.board.boards import FAMILIES, Board
from zeroskip.hw.board.protocol import FRAME_BYTES
from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.eie.formats import sram_files
from zeroskip.hw.eie.host import stall_classes
from zeroskip.hw.eie.params import EieParams

__all__ = ["Need", "check_fit", "in_blocks", "is_single", "memory_needs"]

# Of Gowin, memories without contents and of fewer bits are made of LUTs: such blocks are few.
_GOWIN_BLOCK = 2048


@dataclass(frozen=True)
class Need:
    """A memory of the board's top.

    Parameters
    ----------
    name : an image's SRAM as :func:`.sram_files` names it; others by their own.
    depth, width : rows, and bits of a row.
    content : an image has contents for it.
    shared : one port reads and writes, see :class:`.Ports`. A test holds it against
        the Verilog.
    """

    name: str
    depth: int
    width: int
    content: bool
    shared: bool

    @property
    def bits(self) -> int:
        """Rows times width."""
        return self.depth * self.width


def memory_needs(p: EieParams) -> list[Need]:
    """List the memories of a board's top with an array of ``p``."""
    needs = [Need(name, *size, content=True, shared=True) for name, size in sram_files(p).items()]
    for pe in range(p.num_pes):
        needs += [
            Need(
                f"pe_{pe}/act_{number}", p.num_acts, p.act_bits, content=False, shared=not p.streams
            )
            for number in range(p.act_files)
        ]
        needs.append(Need(f"pe_{pe}/accs", p.num_accs, p.acc_bits, content=False, shared=False))
        if p.counters:
            rows = 1 << counter_addr_bits(p, stall_classes(p))
            needs.append(Need(f"pe_{pe}/counters", rows, COUNTER_BITS, content=False, shared=False))
    return [*needs, Need("buffer", FRAME_BYTES, 8, content=False, shared=False)]


def is_single(board: Board, need: Need) -> bool:
    """Tell whether a memory goes to the board's memories with one port."""
    return need.shared and bool(board.single_bits) and need.bits >= board.single_bits


def in_blocks(board: Board, need: Need) -> bool:
    """Tell whether a memory takes block memories, whatever Yosys would rather have."""
    if is_single(board, need):
        return False
    most = {"ice40": 0, "gowin": _GOWIN_BLOCK}.get(board.family)
    return need.content or (most is not None and need.bits >= most)


def check_fit(board: Board, p: EieParams) -> dict[str, tuple[int, int]]:
    """Check memories against what the board has; return blocks needed and there, by kind.

    Memories that may become registers or small memories in logic cells are not counted.

    Raises
    ------
    InputError
        If they do not fit; the message has the numbers, and what needs most.
    """
    needs = memory_needs(p)
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
            f"compile for smaller memories, or fewer PEs than {p.num_pes}"
        )
    return counts
