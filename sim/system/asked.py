"""An engine that asks for its beats itself, cycle by cycle: see :mod:`.units`, which this is of.

Its units of INPUT and of OUTPUT have the same parts: what asks goes from row to row of a
:class:`.UnitTransfer`, rows whose beats are on their way are in a queue, and values go between
beats and the slots of the engine. How units take turns says :mod:`.turns`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.system.formats import Op
from zeroskip.sim.system.questions import QUESTIONS, begin_questions, give
from zeroskip.sim.system.transfer import InSlot

__all__ = ["ASKED", "COMES", "ask", "begin", "busy", "offers", "pack", "reads", "unpack"]

COMES = 2
"""Cycles from the one in which an INPUT offers a directory entry to the array until a run may read
it."""

_INPUT = Op.INPUT.value
_VALUE, _FIRST, _SECOND, _ENDS, _PE = (int(slot) for slot in InSlot)

ASKED = np.dtype([
    # The next row to ask for, the oldest in the queue, and how many are there.
    *((name, "i8") for name in ("row", "rows_end", "head", "level")),
    # Of several units, beats that wait: of an INPUT for the unit, of an OUTPUT for its turn.
    ("waiting", "i8"),
    *((name, "i8") for name in ("slot", "slots_end", "step", "lanes", "group", "ahead", "base")),
    # The row at hand, once begun.
    *((name, "?") for name in ("begun", "ended", "full")),
    *((name, "i8") for name in ("lane", "columns", "beats")),
    # Of an INPUT: what the step before and the one before that make, words that there is room for,
    # whether the word is written already, and whether another waits.
    *((name, "i8") for name in ("coming", "writes", "room")),
    # The PE that these are of, and how many of its directory entries have been written.
    *((name, "i8") for name in ("pe", "entry")),
    *((name, "?") for name in ("wrote", "waits")),
    # Of an OUTPUT: see :mod:`.questions`; values that wait to be put into beats, and how many of
    # them are there already.
    *QUESTIONS,
    *((name, "i8") for name in ("held", "done")),
])

Rows = NDArray[np.int64]
Slots = NDArray[np.uint8]


@njit(cache=True)
def begin(a: Any, job: Any, unit: int) -> None:
    """Begin with the next cycle."""
    a.row, a.rows_end = job.row_first[unit], job.row_end[unit]
    a.slot, a.slots_end = job.slot[unit], job.slot_end[unit]
    a.head, a.step, a.lanes, a.group = a.row, job.step, job.lanes, job.group
    a.ahead, a.base = job.rows_ahead, job.addr
    begin_questions(a, job, unit)
    if job.op == _INPUT:
        # Nothing is asked of the array.
        a.state = 0


@njit(cache=True)
def busy(a: Any) -> bool:
    """Say whether anything is left to do."""
    asks = a.row < a.rows_end or a.level > 0
    return asks or a.slot < a.slots_end or a.full or a.waiting > 0 or reads(a)


@njit(cache=True)
def reads(a: Any) -> bool:
    """Say whether an OUTPUT still asks the array, or has values that are not in a beat yet."""
    return a.state > 0 or a.held > 0


@njit(cache=True)
def offers(a: Any, rows: Rows) -> bool:
    """Say whether beats are asked for."""
    if a.row >= a.rows_end or a.level >= a.ahead:
        return False
    return rows[a.row, 1] > 0 and rows[a.row, 4] > 0


@njit(cache=True)
def ask(a: Any, rows: Rows, level: int, taken: bool) -> None:
    """Go on to the next row, if this one could be asked for.

    ``level`` is that of the queue at the beginning of the cycle.
    """
    if a.row >= a.rows_end:
        return
    if rows[a.row, 1] == 0:
        a.row += 1
    elif level < a.ahead and (taken or rows[a.row, 4] == 0):
        if a.level == 0:
            a.head = a.row
        a.level += 1
        a.row += 1


@njit(cache=True)
def _pop(a: Any, rows: Rows) -> None:
    a.level -= 1
    a.begun = a.ended = False
    a.head += 1
    while a.level > 0 and rows[a.head, 1] == 0:
        a.head += 1


@njit(cache=True)
def _move(a: Any, rows: Rows, comes: bool, goes: bool, most: int) -> tuple[int, bool]:
    """Go through the row at the head of the queue.

    Parameters
    ----------
    comes : its beat can be worked on.
    goes : values of it can be moved.
    most : how many at most.

    Returns
    -------
    Values that are moved, and whether the beat is done with.
    """
    if not comes:
        return 0, False
    if not a.begun:
        a.beats, a.lane, a.columns = rows[a.head, 1], rows[a.head, 2], rows[a.head, 3]
    skips = a.ended or a.lane >= a.lanes
    count = 0
    if goes and not skips:
        fits = (a.lanes - a.lane + a.step - 1) // a.step
        count = min(most, min(fits, (a.columns + a.step - 1) // a.step))
    last = count > 0 and a.columns <= count * a.step
    following = a.lane + count * a.step
    drops = skips or (count > 0 and (last or following >= a.lanes))
    if drops and a.beats == 1:
        _pop(a, rows)
    elif drops or count > 0:
        a.begun = True
        a.ended = a.ended or last
        a.lane = following - (a.lanes if drops else 0)
        a.columns -= count * a.step
        a.beats -= drops
    return count, drops


@njit(cache=True)
def unpack(
    a: Any, rows: Rows, slots: Slots, tiles: Rows, came: Rows, beat: bool, now: int, free: bool
) -> bool:
    """Take activations of an INPUT out of the beat in hand; return whether the beat is used up.

    Parameters
    ----------
    a, rows, slots, tiles : of the unit, see :class:`.UnitTransfer`.
    came : (pes, entries) gets the cycles from which directory entries are seen.
    beat : there is a beat in hand.
    now : the cycle.
    free : the array takes what is written in it.
    """
    inside = a.level > 0 and rows[a.head, 4] > 0
    comes = a.level > 0 and (beat or not inside)
    writes = (a.waits or a.writes & _FIRST > 0) and a.room > 0
    ends = a.writes & _ENDS > 0
    held = (writes or ends) and not free
    still = held or (writes and ends and not a.wrote)
    working = a.slot < a.slots_end and not still
    takes = working and bool(slots[a.slot] & _VALUE)
    count, drops = _move(a, rows, comes, takes, a.group)
    goes = working and (count > 0 or not takes)
    if not held:
        a.wrote = still
    if not still:
        if ends:
            came[a.pe, a.entry] = now + COMES
            a.entry += 1
        a.room -= writes
        a.waits = a.writes & (_FIRST if a.waits else _SECOND) > 0
        a.writes, a.coming = a.coming, slots[a.slot] if goes else 0
    if goes and slots[a.slot] & _PE:
        # What the PE before writes has been written.
        a.pe, a.room, a.entry = tiles[a.tile], tiles[a.tile + 1], 0
        a.tile += 2
    a.slot += goes
    return drops and inside


@njit(cache=True)
def pack(a: Any, rows: Rows, slots: Slots, tiles: Rows, now: int, beat_taken: bool) -> None:
    """Let the engine give values, and put them into beats.

    ``beat_taken``: a beat that is full leaves in this cycle, if there is one.
    """
    comes = a.level > 0 and (not a.full or beat_taken)
    inside = a.level > 0 and rows[a.head, 4] > 0
    left = a.held - a.done
    count, drops = _move(a, rows, comes, left > 0, left)
    a.full = drops and inside if count > 0 or drops else a.full and not beat_taken
    taken = count > 0 and count == left
    a.done = 0 if taken else a.done + count
    given = give(a, slots, tiles, now, a.held == 0 or taken)
    if given > 0 or taken:
        a.held = given
