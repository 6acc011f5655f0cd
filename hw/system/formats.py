"""Layouts of the system: command list, requests to the DMA, errors.

A command list lies in memory, and is read from its first byte up to an END. A command is 16 bytes,
lowest byte first.
"""

import enum as py_enum

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data, enum

from zeroskip.hw.system.params import SystemParams

__all__ = [
    "COMMAND_BYTES",
    "ENGINE_BITS",
    "PACKED",
    "ROW_BITS",
    "Base",
    "Error",
    "Op",
    "Wait",
    "command_layout",
    "read_request_layout",
    "row_bytes",
    "word_bytes",
    "write_request_layout",
]

COMMAND_BYTES = 16
ENGINE_BITS = 2
"""Width of an engine's number."""
PACKED = 1
"""Space of an INPUT whose rows lie several in a beat, if they are narrower than one."""
ROW_BITS = 24
"""Width of a count of rows, words, or beats."""


class Op(enum.Enum, shape=8):
    """What a command does. Any other value, 0 first, is an error: memory is full of zeros."""

    LOAD = 1
    """Write ``count`` words to memory ``space`` of PE ``pe``, from row ``row`` up. In memory each
    word takes :func:`word_bytes`."""
    INPUT = 2
    """Write ``count`` rows, all lanes at once, to the free activation file from row ``row`` up. In
    memory each row takes :func:`row_bytes`; where ``space`` is ``PACKED``, of packed ones."""
    OUTPUT = 3
    """Write ``count`` rows of an activation file to memory, from row ``row`` up; the file that is
    the source (which holds the result of a run that swaps), or with row's highest bit (bit 31) the
    destination. With ``Wait.DRAIN``, during a run, the file that will be the source."""
    CONTROL = 4
    """Write ``row`` to the engine's ``Control.COMMAND``, as :class:`.Command` has it, and count the
    engine as at work until it is not running."""
    WEIGHTS = 5
    """Give the engine ``count`` beats of weights, as it takes them, while it is at work, too. In
    memory each takes :func:`word_bytes`; what the last beat of the port has behind them is 0."""
    ELSE = 6
    """If an engine finds no room for what this list makes or brings, give the list up, clear the
    engines, and do that of ``count`` commands at the address instead."""
    END = 15
    """The list ends: once everything is done, the inference is."""


class Wait(py_enum.IntFlag):
    """What a command waits for before it begins, besides the unit that it needs itself."""

    LOADS = 1
    """All LOAD and INPUT before it are done."""
    ENGINE = 2
    """The engine that the command is for is not at work."""
    OUTPUTS = 4
    """All OUTPUT before it are done: their last word is acknowledged by the memory."""
    DRAIN = 8
    """Of OUTPUT: the engine is not at work, or its run has come to writing the result: pass ``pe``
    has begun to drain. Rows leave as they are made; those of a pass must stand behind those of the
    pass before."""


class Base(py_enum.IntEnum):
    """What a command's address is added to as the list is read.

    Another value, or a sum that has more bits than an address, is UNKNOWN.
    """

    NOTHING = 0
    INPUT = 1
    """Register INPUT, as it was at the start of the list."""
    OUTPUT = 2
    """Register OUTPUT, likewise."""


class Error(enum.Enum, shape=4):
    """Why an inference was abandoned."""

    NONE = 0
    FETCH = 1
    """The memory answered a read of the command list with an error."""
    CUT = 2
    """The list ended without END."""
    UNKNOWN = 3
    """No such command, or no such engine."""
    MISALIGNED = 4
    """An address that is no multiple of the bytes of a beat."""
    WINDOW = 5
    """An address, or the end of what is to be moved, outside the window of the DMA."""
    RANGE = 6
    """A space, PE, row or count that the engine does not have; 0 rows are none, too."""
    READ = 7
    """The memory answered a read with an error."""
    WRITE = 8
    """The memory answered a write with an error."""
    STOPPED = 9
    """The host stopped it. The number is that of no command."""
    LOST = 10
    """The engine had no room for what it made, or for what came in, and the list had no ELSE."""


def command_layout() -> data.StructLayout:
    """Lay out a command.

    Fields
    ------
    op : an :class:`Op`.
    space : of LOAD, an address space of the engine's host port; of INPUT, 0 or ``PACKED``.
    wait : a :class:`Wait`.
    pe : of LOAD, whose memory; of OUTPUT with ``Wait.DRAIN``, the number of a pass.
    engine : which engine, from 0.
    base : a :class:`Base`, what the address is added to.
    row : first row, or data, see :class:`Op`.
    addr : byte address in memory, or behind the base.
    count : rows or words, at least 1.
    """
    layout = data.StructLayout({
        "op": unsigned(8),
        "space": unsigned(4),
        "wait": unsigned(4),
        "pe": unsigned(8),
        "engine": unsigned(ENGINE_BITS),
        "base": unsigned(2),
        "zero": unsigned(4),
        "row": unsigned(32),
        "addr": unsigned(40),
        "count": unsigned(ROW_BITS),
    })
    assert Shape.cast(layout).width == 8 * COMMAND_BYTES
    return layout


def word_bytes(bits: int) -> int:
    """Count the bytes of a word of ``bits`` in memory: the next power of two, at least 1."""
    return 1 << max(0, (bits - 1).bit_length() - 3)


def row_bytes(bits: int, p: SystemParams, *, packed: bool = False) -> int:
    """Count the bytes of a row of all lanes, ``bits`` wide, in memory: whole beats.

    Of packed ones that are narrower than a beat, several lie in it, each in a power of two.
    """
    if packed and bits < p.data_bits:
        return word_bytes(bits)
    return -(-bits // p.data_bits) * p.beat_bytes


def read_request_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a request to read: whole beats, and a tag that comes back with each of them."""
    return data.StructLayout({
        "addr": unsigned(p.addr_bits),
        "beats": unsigned(ROW_BITS),
        "tag": unsigned(2),
    })


def write_request_layout(p: SystemParams) -> data.StructLayout:
    """Lay out a request to write whole beats."""
    return data.StructLayout({"addr": unsigned(p.addr_bits), "beats": unsigned(ROW_BITS)})
