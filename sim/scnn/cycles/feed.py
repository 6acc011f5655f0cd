"""Beats of weights on their way: from the port over the route and the FIFOs to the unpackers."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.streams import beat_numbers

__all__ = ["ITEM", "PIPE", "Feed", "make_feed", "move_beats", "settle"]

Ints = NDArray[np.int64]

# Registers of a stream. The FIFO: beats in the SRAM, and one at its output. The unpacker: number
# of the beat at work, and whether it is there. Decoding: a bit for each of its stages that has an
# item, the first lowest. ITEM: the next item of the pass to be unpacked.
_LEVEL, _OUT, _NOW, _NOW_VALID, PIPE, ITEM, _SIZE = range(7)


# Cycles from the port to an unpacker, at most.
_FROM_PORT = 8


class Feed(NamedTuple):
    """What is still to come of a run's weights, and what has come.

    Parameters
    ----------
    line : (beats,) stream of each beat at the port, in order; -1 for schedules.
    arrives : (beats,) cycle from which each is offered at the port, counted from the start of the
        run; before that, less than 0.
    taken : (beats,) cycle in which it was taken, filled in.
    at : (2,) beats of ``line`` that have been taken, and the cycle.
    streams : (streams, registers).
    depth : beats that a FIFO holds.
    """

    line: Ints
    arrives: Ints
    taken: Ints
    at: Ints
    streams: Ints
    depth: int


def make_feed(
    params: ScnnParams, words: NDArray[np.uint64] | None, arrives: Ints | None = None
) -> Feed:
    """Begin with a run, at its first cycle.

    Parameters
    ----------
    params : of the array, whose FIFOs are empty.
    words : of the run, see :func:`.beat_numbers`.
    arrives : see :class:`Feed`; unless given, a beat is offered in every cycle, so that those
        before the run have come as far as they can.
    """
    line = beat_numbers(words, params)
    if arrives is None:
        arrives = np.full(len(line), -len(line) - _FROM_PORT)
    # Beats of 0 behind the last are schedules of nothing.
    line = np.append(line, np.full(len(arrives) - len(line), -1))
    begin = min(0, int(arrives.min(initial=0)))
    feed = Feed(
        line=line,
        arrives=arrives,
        taken=np.full(len(line), -1),
        at=np.array([0, begin]),
        streams=np.zeros((params.num_streams, _SIZE), np.int64),
        depth=params.stream_beats,
    )
    settle(feed, -begin)
    return feed


@njit(cache=True)
def settle(feed: Feed, cycles: int) -> None:
    """Go through cycles in which no stream has a pass to work on."""
    nothing = np.zeros(0, np.int64)
    ends = np.zeros(len(feed.streams), np.int64)
    for stream in range(len(ends)):
        feed.streams[stream, ITEM] = 0
    ready = np.zeros(len(ends), np.bool_)
    for _ in range(cycles):
        move_beats(feed, ends, ready, nothing, nothing)


@njit(cache=True, nogil=True)
def move_beats(feed: Feed, ends: Ints, ready: NDArray[np.bool_], needs: Ints, leaves: Ints) -> None:
    """Go through a cycle.

    Parameters
    ----------
    feed : changes.
    ends : (streams,) the item behind a stream's last one of the pass.
    ready : (streams,) the PEs take what a stream's decoding offers.
    needs, leaves : of the items of the pass, see :class:`.PackedPass`.
    """
    line, arrives, taken, at, streams, depth = feed
    to = -1
    # The port takes nothing in the cycle in which the command to start is in hand.
    if at[0] < len(line) and arrives[at[0]] <= at[1] and at[1] != -1:
        to = line[at[0]]
        if to < 0 or streams[to, _LEVEL] < depth:
            taken[at[0]] = at[1]
            at[0] += 1
        else:
            to = -1
    at[1] += 1
    for stream in range(len(streams)):
        s = streams[stream]
        now, now_valid, out, pipe = s[_NOW], s[_NOW_VALID], s[_OUT], s[PIPE]
        advance = pipe < 16 or ready[stream]
        wanted = s[ITEM] < ends[stream] and (advance or pipe & 1 == 0)
        take = wanted and now_valid and (needs[s[ITEM]] == now or out)
        pop = not now_valid
        if take:
            behind = leaves[s[ITEM]]
            if behind > now:
                # A pass may end in the beat at the FIFO's output, which then goes, too.
                pop = True
                s[_NOW_VALID] = out and behind == now + 1
                s[_NOW] = behind
            s[ITEM] += 1
        elif not now_valid:
            s[_NOW_VALID] = out
        s[PIPE] = ((pipe << 1) & 30 if advance else pipe) | take
        read = s[_LEVEL] > 0 and (pop or not out)
        s[_OUT] = read or (out and not pop)
        s[_LEVEL] += (to == stream) - read
