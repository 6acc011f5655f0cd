"""An engine that asks for its beats itself, cycle by cycle: see :mod:`.units`, which this is of.

Its side of INPUT and of OUTPUT has the same parts: what asks goes from row to row of a
:class:`.Transfer`, rows whose beats are on their way are in a queue, and values go between beats
and the slots of the engine.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zeroskip.sim.system.transfer import Slot

__all__ = ["ASKED", "ROWS_AHEAD", "ask", "begin", "busy", "offers", "pack", "unpack"]

ROWS_AHEAD = 4
"""Rows that are asked for, and not read or written yet, at most."""

ANSWER_CYCLES = 4
"""From a question to an array until its answer can be taken."""

_GO, _VALUE, _ANSWER, _END, _ASKS, _WRITES = (int(slot) for slot in Slot)

ASKED = np.dtype([
    # The next row to ask for, the oldest in the queue, and how many are there.
    *((name, "i8") for name in ("row", "rows_end", "head", "level")),
    *((name, "i8") for name in ("slot", "slots_end", "answer")),
    *((name, "i8") for name in ("step", "lanes", "base")),
    # The row at hand, once begun.
    *((name, "?") for name in ("begun", "ended", "held", "full")),
    *((name, "i8") for name in ("lane", "columns", "beats")),
    # Of an INPUT: steps behind that are written in two cycles, and whether the first has passed.
    *((name, "?") for name in ("coming", "writes", "wrote")),
])

Rows = NDArray[np.int64]
Slots = NDArray[np.uint8]


@njit(cache=True)
def begin(a: Any, job: Any, now: int) -> None:
    """Begin with the next cycle."""
    a.row, a.rows_end, a.slot, a.slots_end = job.row_first, job.row_end, job.slot, job.slot_end
    a.head, a.step, a.lanes, a.base = job.row_first, job.step, job.lanes, job.addr
    a.answer = now + ANSWER_CYCLES


@njit(cache=True)
def busy(a: Any) -> bool:
    """Say whether anything is left to do."""
    return a.row < a.rows_end or a.slot < a.slots_end or a.level > 0 or a.full


@njit(cache=True)
def offers(a: Any, rows: Rows) -> bool:
    """Say whether beats are asked for."""
    if a.row >= a.rows_end or a.level >= ROWS_AHEAD:
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
    elif level < ROWS_AHEAD and (taken or rows[a.row, 4] == 0):
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
def _start_row(a: Any, rows: Rows) -> None:
    if not a.begun:
        a.beats, a.lane, a.columns = rows[a.head, 1], rows[a.head, 2], rows[a.head, 3]


@njit(cache=True)
def unpack(a: Any, rows: Rows, slots: Slots, beat: bool) -> bool:
    """Take a value out of a beat, and let the engine have it; return whether the beat is taken."""
    head = a.level > 0
    inside = head and rows[a.head, 4] > 0
    comes = head and (beat or not inside)
    skips = False
    if head:
        _start_row(a, rows)
        skips = a.ended or a.lane >= a.lanes
    still = a.writes and not a.wrote
    working = a.slot < a.slots_end and not still
    kind = slots[a.slot] & 3 if working else _GO
    taken = working and kind == _VALUE and comes and not skips
    goes = working and (kind == _GO or taken)
    a.wrote = still
    if not still:
        a.writes, a.coming = a.coming, goes and slots[a.slot] & _WRITES > 0
    a.slot += goes
    if not comes:
        return False
    last = a.columns <= a.step
    following = a.lane + (0 if skips else a.step)
    drops = skips or (taken and (last or following >= a.lanes))
    if drops and a.beats == 1:
        _pop(a, rows)
    elif taken or drops:
        a.begun = True
        a.ended = a.ended or (taken and last)
        a.lane = following - (a.lanes if drops else 0)
        a.columns -= a.step if taken else 0
        a.beats -= drops
    return drops and inside


@njit(cache=True)
def pack(a: Any, rows: Rows, slots: Slots, now: int, beat_taken: bool) -> None:
    """Let the engine give a value, and put it into a beat.

    ``beat_taken``: a beat that is full leaves in this cycle, if there is one.
    """
    ready = a.level > 0 and (not a.full or beat_taken)
    given = False
    if a.slot < a.slots_end:
        asks, kind = slots[a.slot] & _ASKS, slots[a.slot] & 3
        goes = kind == _GO
        if kind in (_VALUE, _END):
            goes = not a.held or ready
            given = a.held and ready
        elif kind == _ANSWER:
            goes = now >= a.answer
        if goes:
            a.slot += 1
            if kind == _VALUE:
                a.held = True
            elif kind == _END:
                a.held = False
            if asks:
                a.answer = now + ANSWER_CYCLES
    a.full = a.full and not beat_taken
    if given:
        _start_row(a, rows)
        last = a.columns == 1
        a.full = (last or a.lane == a.lanes - 1) and rows[a.head, 4] > 0
        a.begun = True
        a.lane = (a.lane + 1) % a.lanes
        a.columns -= 1
        if last:
            _pop(a, rows)
