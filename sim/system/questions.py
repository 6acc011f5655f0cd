"""An engine that asks its array for what an OUTPUT gives, cycle by cycle: see :mod:`.asked`.

It asks for the entry of a channel before the words of the channel in front of it, and uses words
where they wait, at the array's port.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.sim.system.transfer import COUNT_SHIFT, FOREIGN, OutSlot

__all__ = ["QUESTIONS", "begin_questions", "give"]

READS = 4
"""Questions that are not answered yet, at most."""

ANSWER_CYCLES = 3
"""From a question until its answer can be taken."""

_GIVES, _NEEDS, _POPS, _ENDS = (int(slot) for slot in OutSlot)
_IDLE, _PE, _ENTRY, _KNOWN, _WORD, _REST = range(6)

QUESTIONS = [
    # What it asks for; the PE's first number in ``tiles``, and its channels: asked for, and begun.
    *((name, "i8") for name in ("state", "tile", "tiles_end", "channels", "entries", "channel")),
    # Words that are still to be asked for; an entry has come; a channel is to be given, is given.
    ("unasked", "i8"),
    *((name, "?") for name in ("known", "follows", "giving")),
    # Answers on their way: whether they are words, and the cycle from which they are there.
    *((name, "i8") for name in ("first", "pending")),
    ("is_word", "u1", (READS,)),
    ("due", "i8", (READS,)),
]


@njit(cache=True)
def begin_questions(a: Any, job: Any, unit: int) -> None:
    """Begin with the next cycle, if it is an OUTPUT."""
    a.tile, a.tiles_end = job.tile[unit], job.tile_end[unit]
    a.state = _PE if a.tile < a.tiles_end else _IDLE


@njit(cache=True)
def give(a: Any, slots: NDArray[np.uint8], tiles: NDArray[np.int64], now: int, free: bool) -> int:
    """Go on with questions and with what is given; return how many values are.

    ``free``: the values before have been taken.
    """
    if a.state == _IDLE:
        return 0
    here = a.pending > 0 and a.due[a.first] <= now
    word = here and a.is_word[a.first] > 0
    given = 0
    ends = popped = False
    if a.giving:
        slot = slots[a.slot]
        if (not slot & _NEEDS or word) and (free or not slot & _GIVES):
            given = int(slot >> COUNT_SHIFT)
            ends, popped = slot & _ENDS > 0, slot & _POPS > 0
            a.slot += 1
    entry = here and not word and not a.known
    asks = a.state in (_ENTRY, _WORD) and a.pending < READS
    if asks:
        end = (a.first + a.pending) % READS
        a.is_word[end], a.due[end] = a.state == _WORD, now + ANSWER_CYCLES
    if popped or entry:
        a.first = (a.first + 1) % READS
    a.pending += int(asks) - int(popped or entry)
    known, follows, giving = a.known, a.follows, a.giving
    a.known = a.known or entry
    a.giving = a.giving and not ends
    if follows and not a.giving:
        a.follows, a.giving = False, True
    _ask(a, tiles, asks, known, follows, giving)
    return given


@njit(cache=True)
def _ask(
    a: Any, tiles: NDArray[np.int64], asks: bool, known: bool, follows: bool, giving: bool
) -> None:
    """Go on with questions; ``known``, ``follows`` and ``giving`` as the cycle began."""
    if a.state == _PE and tiles[a.tile] == FOREIGN:
        a.tile += 1
        a.state = _PE if a.tile < a.tiles_end else _IDLE
    elif a.state == _PE:
        a.channels, a.entries, a.channel = tiles[a.tile], 0, 0
        a.state = _ENTRY if a.channels > 0 else _REST
    elif a.state == _ENTRY:
        if asks:
            a.state = _ENTRY if a.entries == 0 and a.channels != 1 else _KNOWN
            a.entries += 1
    elif a.state == _KNOWN:
        if known and not follows:
            a.known, a.follows = False, True
            a.channel += 1
            a.unasked = tiles[a.tile + a.channel]
            a.state = _WORD if a.unasked > 0 else _after(a)
    elif a.state == _WORD:
        if asks:
            a.unasked -= 1
            if a.unasked == 0:
                a.state = _after(a)
    elif not follows and not giving:
        a.tile += 1 + a.channels
        a.state = _PE if a.tile < a.tiles_end else _IDLE


@njit(cache=True)
def _after(a: Any) -> int:
    """Return what is done behind a channel's words."""
    if a.entries != a.channels:
        return _ENTRY
    return _REST if a.channel == a.channels else _KNOWN
