"""Beats of weights on their way: from the port over the route and the FIFOs to the unpackers."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.streams import beat_numbers
from zeroskip.sim.system.fed import offers_beat
from zeroskip.sim.system.units import ChipStates, step

__all__ = [
    "ITEM",
    "PIPE",
    "Feed",
    "advance_feed",
    "begin_run",
    "empty_feed",
    "end_run",
    "make_feed",
    "move_beats",
    "settle",
]

Ints = NDArray[np.int64]

# Registers of a stream. The FIFO: beats in the SRAM, and one at its output. The unpacker: number
# of the beat at work, and whether it is there. Decoding: a bit for each of its stages that has an
# item, the first lowest. ITEM: the next item of the pass to be unpacked.
_LEVEL, _OUT, _NOW, _NOW_VALID, PIPE, ITEM, _SIZE = range(7)


# Cycles from the port to an unpacker, at most.
_FROM_PORT = 8


class Feed(NamedTuple):
    """Weights that are still to come to the array, and what has come.

    Parameters
    ----------
    line : (beats,) stream of each beat at the port, in order; -1 for schedules.
    arrives : (beats,) cycle from which each is offered at the port, counted from the start of the
        run; before that, less than 0. With a chip, that offers them.
    at : (2,) beats of ``line`` that have been taken, and the cycle.
    streams : (streams, registers).
    before : (streams,) beats of each that runs before have taken.
    depth : beats that a FIFO holds.
    """

    line: Ints
    arrives: Ints
    at: Ints
    streams: Ints
    before: Ints
    depth: int


def empty_feed(params: ScnnParams, line: Ints, arrives: Ints) -> Feed:
    """Begin with an array that has no weights.

    Parameters
    ----------
    params : of the array.
    line, arrives : see :class:`Feed`.
    """
    return Feed(
        line=line,
        arrives=arrives,
        at=np.array([0, min(0, int(arrives.min(initial=0)))]),
        streams=np.zeros((params.num_streams, _SIZE), np.int64),
        before=np.zeros(params.num_streams, np.int64),
        depth=params.stream_beats,
    )


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
    feed = empty_feed(params, line, arrives)
    advance_feed(feed, -int(feed.at[1]), None)
    return feed


def begin_run(feed: Feed, chip: ChipStates | None) -> None:
    """Go through the cycle in which the array gets the command to start."""
    feed.at[1] = -1
    settle(feed, 1, chip)


def end_run(feed: Feed, words: NDArray[np.uint64] | None, params: ScnnParams) -> None:
    """Leave a run behind, whose beats ``words`` are."""
    line = beat_numbers(words, params)
    feed.before[:] += np.bincount(line[line >= 0], minlength=len(feed.before))


def settle(feed: Feed, cycles: int, chip: ChipStates | None = None) -> None:
    """Go through cycles in which no stream has a pass to work on.

    Parameters are those of :func:`move_beats`.
    """
    for _ in range(cycles):
        advance_feed(feed, 1, chip)


@njit(cache=True)
def advance_feed(feed: Feed, most: int, chip: ChipStates | None) -> int:
    """Go through cycles in which no stream has a pass to work on, up to the chip's first event.

    Parameters are those of :func:`move_beats`.

    Returns
    -------
    The event, see :class:`.Event`.
    """
    nothing = np.zeros(0, np.int64)
    ends = np.zeros(len(feed.streams), np.int64)
    for stream in range(len(ends)):
        feed.streams[stream, ITEM] = 0
    ready = np.zeros(len(ends), np.bool_)
    for _ in range(most):
        event = move_beats(feed, ends, ready, nothing, nothing, chip)
        if event != 0:
            return event
    return 0


@njit(cache=True, nogil=True)
def move_beats(
    feed: Feed,
    ends: Ints,
    ready: NDArray[np.bool_],
    needs: Ints,
    leaves: Ints,
    chip: ChipStates | None = None,
) -> int:
    """Go through a cycle.

    Parameters
    ----------
    feed : changes.
    ends : (streams,) the item behind a stream's last one of the pass.
    ready : (streams,) the PEs take what a stream's decoding offers.
    needs, leaves : of the items of the pass, see :class:`.PackedPass`.
    chip : arguments of :func:`.units.advance`, to go through the cycle, too; or None.

    Returns
    -------
    The chip's event, see :class:`.Event`.
    """
    line, arrives, at, streams, before, depth = feed
    # The port takes nothing in the cycle in which the command to start is in hand.
    offered = at[0] < len(line) and at[1] != -1
    if chip is None:
        offered = offered and arrives[at[0]] <= at[1]
    else:
        offered = offered and offers_beat(chip[10][0])
    to, takes = -1, False
    if offered:
        to = line[at[0]]
        if to < 0 or streams[to, _LEVEL] < depth:
            takes = True
            at[0] += 1
        else:
            to = -1
    event = 0
    if chip is not None:
        event = step(*chip, takes)
    at[1] += 1
    for stream in range(len(streams)):
        s = streams[stream]
        now, now_valid, out, pipe = s[_NOW], s[_NOW_VALID], s[_OUT], s[PIPE]
        advance = pipe < 16 or ready[stream]
        wanted = s[ITEM] < ends[stream] and (advance or pipe & 1 == 0)
        take = wanted and now_valid and (before[stream] + needs[s[ITEM]] == now or out)
        pop = not now_valid
        if take:
            behind = before[stream] + leaves[s[ITEM]]
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
    return event
