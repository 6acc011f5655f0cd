"""Units of an engine that move parts of an INPUT or OUTPUT at a time, cycle by cycle.

They take turns at the memory's port, see :mod:`zeroskip.hw.scnn.turns`; one that is alone has the
port for itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.sim.system.asked import ASKED, Rows, Slots, ask, begin, busy, offers, pack, unpack
from zeroskip.sim.system.asked import reads as unit_reads
from zeroskip.sim.system.transfer import MOST_UNITS

__all__ = [
    "INWARD",
    "OUTWARD",
    "AskedState",
    "ask_units",
    "asked_state",
    "begin_units",
    "entry_came",
    "gives_beat",
    "next_row",
    "pack_units",
    "row_asked",
    "unit_levels",
    "units_busy",
    "units_read",
    "unpack_units",
]

_ROWS = 16
"""Rows of a unit that are asked for, at most."""

INWARD, OUTWARD = 0, 1

_TURNS = np.dtype([
    # Units, which is looked at first for a request, and beats of a unit that may wait.
    *((name, "i8") for name in ("units", "turn", "depth")),
    # Rows that were asked for: a ring of whose they are, and of their beats; how many beats of the
    # oldest have moved.
    *((name, "i8") for name in ("first", "level", "moved")),
    # Of an INPUT, the directory entries that each PE gets.
    *((name, "i8") for name in ("base", "entries")),
    ("unit", "i8", (MOST_UNITS * _ROWS,)),
    ("beats", "i8", (MOST_UNITS * _ROWS,)),
])

AskedState = tuple[NDArray[np.void], NDArray[np.void], Rows, Slots, Rows, Rows]
"""What INPUT and OUTPUT are at: turns and units, each of INPUT and of OUTPUT; rows, slots and tiles
of all transfers; and (PEs, entries) int64, the cycle in which each directory entry came."""

_NEVER = 1 << 62


def asked_state(rows: Rows, slots: Slots, tiles: Rows, came: tuple[int, int]) -> AskedState:
    """Return units after a reset; ``came``: PEs, and the most entries that each gets."""
    turns = np.zeros(2, _TURNS)
    turns["units"] = 1
    return turns, np.zeros((2, MOST_UNITS), ASKED), rows, slots, tiles, np.full(came, _NEVER)


@njit(cache=True)
def begin_units(asked: AskedState, way: int, job: Any) -> None:
    """Begin with the next cycle."""
    turns = asked[0][way]
    turns.units, turns.depth = job.units, job.beats_ahead
    if way == INWARD:
        turns.base, turns.entries = job.base, job.entries
        asked[5][:] = _NEVER
    for unit in range(turns.units):
        begin(asked[1][way, unit], job, unit)


@njit(cache=True)
def units_busy(asked: AskedState, way: int) -> bool:
    """Say whether anything is left to do."""
    some = False
    for unit in range(asked[0][way].units):
        some = some or busy(asked[1][way, unit])
    return some


@njit(cache=True)
def entry_came(asked: AskedState, pe: int, entry: int, now: int) -> bool:
    """Say whether a PE's directory entry is there, of an INPUT that is at work.

    Those in front of the INPUT's are, as soon as its first is.
    """
    turns = asked[0][INWARD]
    at = max(0, entry - turns.base)
    return at < turns.entries and asked[5][pe, at] <= now


@njit(cache=True)
def units_read(asked: AskedState) -> bool:
    """Say whether an OUTPUT still asks the array, or has values that are not in a beat yet."""
    some = False
    for unit in range(asked[0][OUTWARD].units):
        some = some or unit_reads(asked[1][OUTWARD, unit])
    return some


@njit(cache=True)
def next_row(asked: AskedState, way: int) -> int:
    """Return the unit whose row is asked for, -1 if there is none."""
    turns = asked[0][way]
    for place in range(turns.units):
        unit = (turns.turn + place) % turns.units
        if offers(asked[1][way, unit], asked[2]):
            return unit
    return -1


@njit(cache=True)
def row_asked(asked: AskedState, way: int, unit: int) -> tuple[int, int]:
    """Return the first beat of the row that a unit asks for, and its beats."""
    a, rows = asked[1][way, unit], asked[2]
    return a.base + rows[a.row, 0], rows[a.row, 1]


@njit(cache=True)
def unit_levels(asked: AskedState, way: int) -> tuple[int, int, int, int]:
    """Return how many rows each plane unit has asked for and not moved yet."""
    some = asked[1]
    return some[way, 0].level, some[way, 1].level, some[way, 2].level, some[way, 3].level


@njit(cache=True)
def ask_units(
    asked: AskedState, way: int, levels: tuple[int, int, int, int], chosen: int, taken: bool
) -> None:
    """Go on to the next rows; that of the ``chosen`` unit may have been ``taken``.

    ``levels`` are those of the units' queues at the beginning of the cycle.
    """
    turns = asked[0][way]
    if taken and turns.units > 1:
        end = (turns.first + turns.level) % len(turns.unit)
        turns.unit[end] = chosen
        turns.beats[end] = asked[2][asked[1][way, chosen].row, 1]
        turns.level += 1
        turns.turn = (chosen + 1) % turns.units
    for unit in range(turns.units):
        ask(asked[1][way, unit], asked[2], levels[unit], taken and unit == chosen)


@njit(cache=True)
def _moves(turns: Any) -> None:
    """Note that a beat of the oldest row moves."""
    turns.moved += 1
    if turns.moved == turns.beats[turns.first]:
        turns.moved = 0
        turns.first = (turns.first + 1) % len(turns.unit)
        turns.level -= 1


@njit(cache=True)
def unpack_units(asked: AskedState, beat: bool, now: int, free: bool) -> bool:
    """Take activations of an INPUT; return whether a ``beat`` that is in hand would be taken.

    ``now``: the cycle; ``free``: the first unit has the array's port in it.
    """
    turns, rows, slots, tiles, came = asked[0][INWARD], asked[2], asked[3], asked[4], asked[5]
    if turns.units == 1:
        return unpack(asked[1][INWARD, 0], rows, slots, tiles, came, beat, now, free)
    takes, whose = False, turns.unit[turns.first]
    if turns.level > 0:
        takes = asked[1][INWARD, whose].waiting < turns.depth
    for unit in range(turns.units):
        a = asked[1][INWARD, unit]
        owns = free or unit > 0
        a.waiting -= unpack(a, rows, slots, tiles, came, a.waiting > 0, now, owns)
    if takes and beat:
        asked[1][INWARD, whose].waiting += 1
        _moves(turns)
    return takes


@njit(cache=True)
def gives_beat(asked: AskedState) -> bool:
    """Say whether a beat of an OUTPUT is offered to the memory."""
    turns = asked[0][OUTWARD]
    if turns.units == 1:
        return asked[1][OUTWARD, 0].full
    return turns.level > 0 and asked[1][OUTWARD, turns.unit[turns.first]].waiting > 0


@njit(cache=True)
def pack_units(asked: AskedState, now: int, ready: bool) -> None:
    """Let units give values of an OUTPUT, and put them into beats; ``ready``: of the memory."""
    turns, rows, slots, tiles = asked[0][OUTWARD], asked[2], asked[3], asked[4]
    if turns.units == 1:
        pack(asked[1][OUTWARD, 0], rows, slots, tiles, now, ready)
        return
    leaves = gives_beat(asked) and ready
    whose = turns.unit[turns.first]
    for unit in range(turns.units):
        a = asked[1][OUTWARD, unit]
        free = a.waiting < turns.depth
        a.waiting += a.full and free
        a.waiting -= leaves and unit == whose
        pack(a, rows, slots, tiles, now, free)
    if leaves:
        _moves(turns)
