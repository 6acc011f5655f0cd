"""The feed cycle by cycle: beats that an array takes while it is at work, see :class:`.Feed`.

Behind it is the :class:`.Gearbox`, which has the array's width.
"""

from typing import Any

import numpy as np

from zeroskip.base.compiled import njit
from zeroskip.hw.system.feed import JOBS

__all__ = ["FED", "end_feed", "look_feed", "offers_beat"]

FED = np.dtype([
    # Jobs that wait, the first of them, and the one at work.
    *((name, "i8") for name in ("first", "waiting", "addr", "left", "coming", "held", "level")),
    ("queue", "i8", (JOBS,)),
    *((name, "?") for name in ("working", "request", "out")),
    *((name, "i8") for name in ("request_addr", "request_beats", "rows", "burst_beats")),
    # The gearbox: how many of the narrower beats the wider has, which of them is next, and whether
    # the array's is the narrower.
    *((name, "i8") for name in ("parts", "at")),
    ("splits", "?"),
    # What happens in this cycle.
    *((name, "?") for name in ("over", "pops", "moves", "begins", "asks")),
])
"""The registers."""


@njit(cache=True)
def offers_beat(f: Any) -> bool:
    """Say whether the array is offered a beat, of its width, in this cycle."""
    return f.out and (f.splits or f.at == f.parts - 1)


@njit(cache=True)
def look_feed(f: Any, ready: bool, takes: bool, stop: bool) -> None:
    """Find out what happens in a cycle.

    Parameters
    ----------
    f : the registers.
    ready : a request is taken.
    takes : the array takes the beat that it is offered.
    stop : jobs and beats are forgotten with this cycle.
    """
    final = f.at == f.parts - 1
    f.pops = f.out and ((takes and final) if f.splits else (takes or not final))
    f.moves = takes if f.splits else f.pops
    f.over = f.working and f.left == 0 and not f.request and f.coming == 0
    f.begins = f.waiting > 0 and (not f.working or f.over)
    f.asks = f.left != 0 and f.held <= f.rows - f.burst_beats and (not f.request or ready)
    f.asks = f.asks and not stop


@njit(cache=True)
def end_feed(f: Any, jobs: Any, ready: bool, comes: bool, job: int, stop: bool) -> None:
    """End a cycle; ``comes``: a beat; ``job``: that a command begins, -1 if none does."""
    freed = f.level > 0 and (not f.out or f.pops)
    if f.moves:
        f.at = 0 if f.at == f.parts - 1 else f.at + 1
    f.out = freed or (f.out and not f.pops)
    f.level += int(comes) - int(freed)
    asked = 0
    if ready:
        f.request = False
    if f.asks:
        asked = min(f.left, f.burst_beats)
        f.request, f.request_addr, f.request_beats = True, f.addr, asked
        f.addr += f.burst_beats
        f.left -= asked
    f.coming += asked - comes
    f.held += asked - freed
    if f.over:
        f.working = False
    if f.begins:
        begun = jobs[f.queue[f.first]]
        f.working, f.addr, f.left = True, begun.addr, begun.beats
        f.first = (f.first + 1) % JOBS
        f.waiting -= 1
    if job >= 0:
        f.queue[(f.first + f.waiting) % JOBS] = job
        f.waiting += 1
    if stop:
        # Beats that have been asked for still come.
        f.waiting = f.left = f.level = f.at = 0
        f.working = f.out = False
        f.held = f.coming
