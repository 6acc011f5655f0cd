"""Layouts of what the units of the system hand on to one another, and what they know of an engine.

The units name no engine: :class:`Engine` has what they need of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amaranth.hdl import unsigned
from amaranth.lib import data

from zeroskip.hw.system.formats import (
    ENGINE_BITS,
    ROW_BITS,
    Error,
    Op,
    command_layout,
    row_bytes,
    word_bytes,
)
from zeroskip.hw.system.params import SystemParams

__all__ = [
    "ADDRESS_BITS",
    "Engine",
    "Memory",
    "failure_layout",
    "fetched_layout",
    "job_layout",
    "list_layout",
    "place_layout",
    "window_layout",
]

ADDRESS_BITS = 41
"""Width of an address that is to be checked: one bit more than those of commands, which stands for
all that are higher."""


@dataclass(frozen=True)
class Memory:
    """A memory of an engine that LOAD writes.

    Attributes
    ----------
    pes : how many PEs have one; 1 if it is the array's.
    rows : words of each.
    bits : width of a word.
    """

    pes: int
    rows: int
    bits: int


@dataclass(frozen=True)
class Engine:
    """What the system knows of an engine.

    Attributes
    ----------
    command : layout of the commands that its host port takes.
    memories : what LOAD writes, by number of the space.
    rows : of an activation file.
    row_bits : width of a row, all lanes, each of them the next power of two of bytes.
    stream_bits : width of a beat of weights that it takes while it is at work; 0 if it takes none.
    asks : it asks for the beats of INPUT and OUTPUT itself, in any order; rows are beats then, and
        inputs and outputs lie in RAMs that a run uses.
    sizes : of the array, for registers that tell them, see :func:`.engine_sizes`.
    """

    command: data.StructLayout
    memories: Mapping[int, Memory]
    rows: int
    row_bits: int
    stream_bits: int = 0
    asks: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])

    def row_beats(self, p: SystemParams) -> int:
        """Count the beats that a row takes in memory."""
        return row_bytes(self.row_bits, p) // p.beat_bytes

    def beat_rows(self, p: SystemParams) -> int:
        """Count the packed rows that lie in a beat, at least 1."""
        return max(1, p.beat_bytes // row_bytes(self.row_bits, p, packed=True))

    def word_shifts(self) -> dict[int, int]:
        """Return the binary logarithm of the bytes that a word takes in memory, by space."""
        return {
            space: word_bytes(memory.bits).bit_length() - 1
            for space, memory in self.memories.items()
        }


def place_layout() -> data.StructLayout:
    """Lay out where a command list lies in memory: address of its first byte, and its bytes."""
    return data.StructLayout({"addr": unsigned(ADDRESS_BITS), "bytes": unsigned(32)})


def list_layout() -> data.StructLayout:
    """Lay out a command list as it is started: its place, and bases, see :class:`.Base`."""
    address = unsigned(ADDRESS_BITS)
    return data.StructLayout({**place_layout().members, "input": address, "output": address})


def window_layout() -> data.StructLayout:
    """Lay out what may be read and written: from byte ``base`` up to, not with, ``end``."""
    return data.StructLayout({
        "base": unsigned(ADDRESS_BITS),
        "end": unsigned(ADDRESS_BITS + 1),
    })


def fetched_layout() -> data.StructLayout:
    """Lay out a command as it was read.

    With ``failed``, its lowest bits are the :class:`.Error` that the list ends with instead.
    """
    return data.StructLayout({"command": command_layout(), "failed": unsigned(1)})


def failure_layout() -> data.StructLayout:
    """Lay out what went wrong with a command.

    Fields
    ------
    error : why; NONE if nothing did.
    number : of the command in its list, from 0.
    parity : of the list, 0 and 1 in turn: two lists at most are under way.
    """
    return data.StructLayout({
        "error": Error,
        "number": unsigned(ROW_BITS),
        "parity": unsigned(1),
    })


def job_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a command that has been checked: what it does, and the beats that it moves."""
    return data.StructLayout({
        "op": Op,
        "engine": unsigned(ENGINE_BITS),
        "space": unsigned(4),
        "wait": unsigned(4),
        "pe": unsigned(8),
        "row": unsigned(32),
        "addr": unsigned(p.addr_bits),
        "count": unsigned(ROW_BITS),
        "beats": unsigned(ROW_BITS),
        "failure": failure_layout(),
    })
