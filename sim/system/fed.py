"""The feed cycle by cycle: beats that an array takes while it is at work, see :class:`.Feed`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zeroskip.hw.system.feed import JOBS

__all__ = ["FED", "FedBeats", "end_feed", "fed_beats", "look_feed"]

FED = np.dtype([
    # Jobs that wait, the first of them, and the one at work.
    *((name, "i8") for name in ("first", "waiting", "addr", "left", "coming", "held", "level")),
    ("queue", "i8", (JOBS,)),
    *((name, "?") for name in ("working", "request", "out")),
    *((name, "i8") for name in ("request_addr", "request_beats", "rows", "burst_beats")),
    # Beats that have been at the output, of all jobs; that have left it; and at how many to stop.
    *((name, "i8") for name in ("shown", "gone", "until")),
    # What happens in this cycle.
    *((name, "?") for name in ("over", "pops", "begins", "asks")),
])
"""The registers."""

FedBeats = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Of each beat of all jobs, the cycle from which the array takes it, that in which it comes to the
output, and that in which it leaves."""


def fed_beats(count: int) -> FedBeats:
    """Make room for what becomes of beats, which the array takes as they come."""
    return np.full(count, -1), np.full(count, -1), np.full(count, -1)


@njit(cache=True)
def look_feed(f: Any, beats: FedBeats, now: int, ready: bool) -> None:
    """Find out what happens in a cycle; ``ready``: a request is taken."""
    f.pops = f.out and beats[0][f.gone] <= now
    f.over = f.working and f.left == 0 and not f.request and f.coming == 0
    f.begins = f.waiting > 0 and (not f.working or f.over)
    f.asks = f.left != 0 and f.held <= f.rows - f.burst_beats and (not f.request or ready)


@njit(cache=True)
def end_feed(
    f: Any, beats: FedBeats, jobs: Any, now: int, ready: bool, comes: bool, job: int
) -> None:
    """End a cycle; ``comes``: a beat; ``job``: that a command begins, -1 if none does."""
    freed = f.level > 0 and (not f.out or f.pops)
    if f.pops:
        beats[2][f.gone] = now
        f.gone += 1
    if freed:
        beats[1][f.shown] = now + 1
        f.shown += 1
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
