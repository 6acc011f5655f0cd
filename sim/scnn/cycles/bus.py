"""Position bus of the array, as far as time depends on it: the order of words, and a cycle.

The order of words does not depend on time, so it is worked out before: a line of the bus, and the
FIFO of a PE, count what they have passed on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.run import ScnnDescriptor
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.system.turns import entry_came
from zeroskip.sim.system.units import ChipStates

__all__ = [
    "BUS_TOOK",
    "FIFO_HEAD",
    "FIFO_OVER",
    "FIFO_ROUNDS",
    "FIFO_ROWS",
    "FIFO_SPENT",
    "FIFO_VALID",
    "BusWork",
    "bus_cycle",
    "bus_state",
    "bus_work",
    "hops_of_bus",
    "pe_lines",
    "tile_steps",
    "words_of_bus",
    "words_of_channels",
]

Ints = NDArray[np.int64]

# Sender of a PE: rounds left, next entry; stages of act_fetch: directory, rest of a channel (and
# whether it is the last of the round), word; words in the queues of sender, row and column.
_ROUNDS, _ENTRY, _D_VALID, _D_ENTRY, _W_LEFT, _A_VALID = 0, 1, 2, 3, 4, 5
_SENT, _IN_ROW, _IN_COLUMN = 6, 7, 8
# FIFO of a PE: takes a word in this cycle; rows in use; the output is valid, and which word of the
# round it is; the round's last word, the group's last block has been taken; rounds left.
BUS_TOOK, FIFO_ROWS, FIFO_VALID, FIFO_HEAD, FIFO_OVER, FIFO_SPENT, FIFO_ROUNDS = range(9, 16)
_STATE = 16
# Words of the queues of senders and lines.
_QUEUE = 2

# Columns of the steps of a line: its first source, sources that must have a word and that give it
# up (bit 0: the first, bit 1: the one behind it), and whether readers get a word.
_SOURCE, _WAITS, _POPS, _PUSHES = 0, 1, 2, 3
# Columns of words: channel, vector of activations (less than 0: only the end), last of channel.
_CHANNEL, _VECTOR, _FINAL = 0, 1, 2


class BusWork(NamedTuple):
    """What the bus has to do in each round of a pass.

    Parameters
    ----------
    channels : entries of all owners, as headers number them.
    sizes : PEs across, rounds, entries of a PE, rows of a FIFO, PEs of a block across and down, and
        the first entry's place in the directory.
    counts : (pes, entries) activations of each entry that a PE sends.
    row_begin, row_steps : (rows * block + 1,) first step of each row and position, (steps, 4)
        the steps, with the number of a PE as source.
    column_begin, column_steps : (block * block + 1,), the same for columns of each position, by
        rows of positions, with the number of a row as source.
    word_begin, words : (block * block + 1,) first word of each position, (words, 3) the words:
        channel, vector (less than 0: none, the round ends), last of its channel.
    """

    channels: int
    sizes: tuple[int, int, int, int, int, int, int]
    counts: Ints
    row_begin: Ints
    row_steps: Ints
    column_begin: Ints
    column_steps: Ints
    word_begin: Ints
    words: Ints


def bus_work(
    params: ScnnParams, d: ScnnDescriptor, start: Ints, count: Ints, vectors: int
) -> BusWork:
    """Work out the order of words.

    Parameters
    ----------
    params, d : array and pass.
    start, count : (pes, entries) first vector and activations of each directory entry.
    vectors : all vectors; those of second tiles are numbered behind them, across, down, and both.

    Raises
    ------
    ValueError
        If the array has no bus: the pass would never end.
    """
    p = params
    if not p.act_fifo_words:
        raise ValueError("a pass over the bus, which the array does not have (act_fifo_words = 0)")
    entries = slice(d.src_base, d.src_base + d.src_entries)
    start, count = (np.ascontiguousarray(part[:, entries]) for part in (start, count))
    begin, sent = _sent(start, count, p.mult_i)
    size_x, pair_x = _geometry(p.pes_x, d.block_x, d.src_block_x)
    size_y, pair_y = _geometry(p.pes_y, d.block_y, d.src_block_y)
    wide, high = min(1 << size_x, p.pes_x), min(1 << size_y, p.pes_y)
    rows = [
        _line(range(y * p.pes_x, (y + 1) * p.pes_x), place, size_x, pair_x)
        for y in range(p.pes_y)
        for place in range(wide)
    ]
    row_begin, row_steps, begin, sent = _merge(begin, sent, rows, d.src_entries, vectors)
    across = -(-p.pes_x >> size_x + pair_x)
    columns = [
        _line(range(place, place + p.pes_y * wide, wide), y, size_y, pair_y)
        for y in range(high)
        for place in range(wide)
    ]
    column_begin, column_steps, word_begin, words = _merge(
        begin, sent, columns, d.src_entries * across, 2 * vectors
    )
    column_steps[:, _SOURCE] //= wide
    return BusWork(
        d.src_entries * across * -(-p.pes_y >> size_y + pair_y),
        (p.pes_x, d.groups, d.src_entries, p.act_fifo_words, wide, high, d.src_base),
        count,
        row_begin,
        row_steps,
        column_begin,
        column_steps,
        word_begin,
        words,
    )


@njit(cache=True)
def pe_lines(work: BusWork) -> Ints:
    """Tell which of the positions in ``word_begin`` each PE is at."""
    across, _, _, _, wide, high, _ = work.sizes
    pes = np.arange(len(work.counts))
    return pes // across % high * wide + pes % across % wide


def words_of_bus(work: BusWork) -> int:
    """Count what all PEs get in a round, ends that come without activations included."""
    return int(np.diff(work.word_begin)[pe_lines(work)].sum())


def hops_of_bus(params: ScnnParams, work: BusWork) -> int:
    """Count what all queues of senders, rows and columns take in a round."""
    wide = work.sizes[4]
    vectors = -(-work.counts // params.mult_i)
    # A sender without activations of its last entry sends a word that only ends the round.
    sent = int(vectors.sum() + (work.counts[:, -1] == 0).sum())
    readers = np.bincount(np.arange(params.pes_x) % wide)
    pushed = np.add.reduceat(work.row_steps[:, _PUSHES], work.row_begin[:-1])
    return sent + int((pushed.reshape(-1, wide) @ readers).sum()) + words_of_bus(work)


def words_of_channels(work: BusWork) -> Ints:
    """Count the words that reach each PE of a channel in a round, (pes, channels)."""
    found = []
    for line in pe_lines(work).tolist():
        words = work.words[work.word_begin[line] : work.word_begin[line + 1]]
        of_channel = words[words[:, _VECTOR] >= 0, _CHANNEL]
        found.append(np.bincount(of_channel, minlength=work.channels))
    return np.array(found)


def tile_steps(params: ScnnParams, d: ScnnDescriptor) -> list[int]:
    """List what moves the positions of each tile of owners, as far as a reader has any."""
    _, pair_x = _geometry(params.pes_x, d.block_x, d.src_block_x)
    _, pair_y = _geometry(params.pes_y, d.block_y, d.src_block_y)
    steps = [0, d.src_step_x, d.src_step_y, d.src_step_x + d.src_step_y]
    return steps[: 1 + pair_x + 2 * pair_y]


def _geometry(length: int, block: int, owners: int) -> tuple[int, int]:
    """Tell log2 of a block's PEs in a line, and whether owners' blocks are twice as large."""
    whole = (length - 1).bit_length()
    return min(block, whole), int(owners > block and block < whole)


def _line(sources: range, place: int, size: int, pair: int) -> Ints:
    """List the sources, (owners, 2), that a position in a line has; -1 where there is none."""
    owner = 1 << size + pair
    found = np.full((-(-len(sources) // owner), 2), -1)
    for number, second in np.ndindex(len(found), 1 + pair):
        at = number * owner + (place << pair) + second
        if at < len(sources):
            found[number, second] = sources[at]
    return found


@njit(cache=True)
def _sent(start: Ints, count: Ints, lanes: int) -> tuple[Ints, Ints]:
    """List the words of every PE in a round."""
    pes, entries = count.shape
    number = 0
    for pe in range(pes):
        for entry in range(entries):
            number += (count[pe, entry] + lanes - 1) // lanes
        number += count[pe, entries - 1] == 0
    begin, words = np.zeros(pes + 1, np.int64), np.zeros((number, 3), np.int64)
    at = 0
    for pe in range(pes):
        for entry in range(entries):
            of_entry = (count[pe, entry] + lanes - 1) // lanes
            for word in range(of_entry):
                words[at, _CHANNEL], words[at, _VECTOR] = entry, start[pe, entry] + word
                words[at, _FINAL] = word == of_entry - 1
                at += 1
        if count[pe, entries - 1] == 0:
            words[at, _VECTOR] = -1
            at += 1
        begin[pe + 1] = at
    return begin, words


def _merge(
    begin: Ints, words: Ints, lines: list[Ints], channels: int, second: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Merge what each of several lines gets; return steps and words, with where they begin."""
    step_begin, word_begin = [0], [0]
    all_steps, all_words = [], []
    for owners in lines:
        steps, merged = _merge_line(begin, words, owners, channels, second)
        all_steps.append(steps)
        all_words.append(merged)
        step_begin.append(step_begin[-1] + len(steps))
        word_begin.append(word_begin[-1] + len(merged))
    return (
        np.array(step_begin),
        np.concatenate(all_steps),
        np.array(word_begin),
        np.concatenate(all_words),
    )


@njit(cache=True)
def _merge_line(
    begin: Ints, words: Ints, owners: Ints, channels: int, second: int
) -> tuple[Ints, Ints]:
    """Merge the words of the sources of a line, as ``hw.scnn.bus_line`` does."""
    most = len(owners)
    for number in range(len(owners)):
        for source in owners[number]:
            if source >= 0:
                most += begin[source + 1] - begin[source]
    steps, merged = np.zeros((most, 4), np.int64), np.zeros((most, 3), np.int64)
    step = word = 0
    for number in range(len(owners)):
        at, end = np.zeros(2, np.int64), np.zeros(2, np.int64)
        ended = np.ones(2, np.bool_)
        for n in range(2):
            source = owners[number, n]
            if source >= 0:
                at[n], end[n], ended[n] = begin[source], begin[source + 1], False
        last = False
        while not last:
            empty0 = ended[0] or words[at[0], _VECTOR] < 0
            empty1 = ended[1] or words[at[1], _VECTOR] < 0
            no_word = empty0 and empty1
            if empty0:
                pick = int(not empty1)
            else:
                pick = int(not empty1 and words[at[1], _CHANNEL] < words[at[0], _CHANNEL])
            other_empty = empty0 if pick else empty1
            last = no_word or (other_empty and at[pick] == end[pick] - 1)
            steps[step, _SOURCE] = max(owners[number, 0], 0)
            steps[step, _WAITS] = (not ended[0]) + 2 * (not ended[1])
            if not no_word:
                goes_on = not other_empty and words[at[0], _CHANNEL] == words[at[1], _CHANNEL]
                merged[word] = words[at[pick]]
                merged[word, _CHANNEL] += number * channels
                merged[word, _VECTOR] += pick * second
                merged[word, _FINAL] &= not goes_on
            else:
                merged[word, _VECTOR] = -1
            pushes = not no_word or number == len(owners) - 1
            word += pushes
            for n in range(2):
                if not ended[n] and (last or (not no_word and pick == n)):
                    steps[step, _POPS] += 1 << n
                    at[n] += 1
                    ended[n] = at[n] == end[n]
            steps[step, _PUSHES] = pushes
            step += 1
    return steps[:step], merged[:word]


@njit(cache=True)
def bus_state(work: BusWork) -> tuple[Ints, Ints, Ints]:
    """Return the registers of PEs, and of rows and columns what they did and have to do."""
    across, rounds, _, _, _, high, _ = work.sizes
    pes = len(work.counts)
    state = np.zeros((pes, _STATE), np.int64)
    state[:, _ROUNDS] = state[:, FIFO_ROUNDS] = rounds
    rows = np.zeros((len(work.row_begin) - 1, 3), np.int64)
    columns = np.zeros((high * across, 3), np.int64)
    rows[:, 1] = columns[:, 1] = rounds
    return state, rows, columns


@njit(cache=True, nogil=True)
def bus_cycle(
    work: BusWork,
    mult_i: int,
    state: Ints,
    rows: Ints,
    columns: Ints,
    clock: int,
    chip: ChipStates | None,
) -> None:
    """Advance senders, lines, and what FIFOs take, by a cycle.

    One function, longer than others, as a cycle's moves are all decided before any is done.

    ``rows`` and ``columns`` have the step of each position, rounds left, and whether it moves.
    ``chip`` brings entries, at its cycle ``clock``; less than 0 if all are there.
    """
    across, _, entries, depth, wide, high, first = work.sizes
    down = len(state) // across
    for row in range(len(rows)):
        y, place = row // wide, row % wide
        moves = rows[row, 1] > 0
        if moves:
            step = work.row_begin[row] + rows[row, 0]
            source, waits = work.row_steps[step, _SOURCE], work.row_steps[step, _WAITS]
            moves = (waits & 1 == 0 or state[source, _SENT] > 0) and (
                waits & 2 == 0 or state[source + 1, _SENT] > 0
            )
            for x in range(place, across, wide):
                moves = moves and state[y * across + x, _IN_ROW] < _QUEUE
        rows[row, 2] = moves
    for column in range(len(columns)):
        place, x = column // across, column % across
        moves = columns[column, 1] > 0
        if moves:
            step = work.column_begin[place * wide + x % wide] + columns[column, 0]
            source = work.column_steps[step, _SOURCE] * across + x
            waits = work.column_steps[step, _WAITS]
            moves = (waits & 1 == 0 or state[source, _IN_ROW] > 0) and (
                waits & 2 == 0 or state[source + across, _IN_ROW] > 0
            )
            for y in range(place, down, high):
                moves = moves and state[y * across + x, _IN_COLUMN] < _QUEUE
        columns[column, 2] = moves

    for pe in range(len(state)):
        took = state[pe, _IN_COLUMN] > 0 and state[pe, FIFO_ROWS] < depth
        state[pe, BUS_TOOK] = took
        state[pe, _IN_COLUMN] -= took
        # act_fetch, from its last stage to its first.
        room = state[pe, _SENT] < _QUEUE
        state[pe, _SENT] += state[pe, _A_VALID] != 0 and room
        go = state[pe, _A_VALID] == 0 or room
        d_done = drop = state[pe, _D_VALID] == 0
        left = 0
        if state[pe, _D_VALID] != 0:
            left = work.counts[pe, state[pe, _D_ENTRY]]
            drop = left == 0 and state[pe, _D_ENTRY] < entries - 1
            d_done = drop or (go and state[pe, _W_LEFT] == 0)
        if go:
            fetch = True
            if state[pe, _W_LEFT] > 0:
                left = state[pe, _W_LEFT]
            else:
                fetch = not drop
            state[pe, _A_VALID] = fetch
            state[pe, _W_LEFT] = max(0, left - mult_i) if fetch else 0
        if d_done:
            asks = state[pe, _ROUNDS] > 0
            if chip is not None:
                entry = first + state[pe, _ENTRY]
                asks = asks and (clock < 0 or entry_came(chip[9], pe, entry, clock))
            state[pe, _D_VALID], state[pe, _D_ENTRY] = asks, state[pe, _ENTRY]
            if asks:
                state[pe, _ENTRY] += 1
                if state[pe, _ENTRY] == entries:
                    state[pe, _ENTRY] = 0
                    state[pe, _ROUNDS] -= 1

    for row in range(len(rows)):
        if rows[row, 2]:
            y, place = row // wide, row % wide
            step = work.row_begin[row] + rows[row, 0]
            source, pops = work.row_steps[step, _SOURCE], work.row_steps[step, _POPS]
            state[source, _SENT] -= pops & 1
            if pops & 2:
                state[source + 1, _SENT] -= 1
            if work.row_steps[step, _PUSHES]:
                for x in range(place, across, wide):
                    state[y * across + x, _IN_ROW] += 1
            _next_step(rows, row, work.row_begin[row + 1] - work.row_begin[row])
    for column in range(len(columns)):
        if columns[column, 2]:
            place, x = column // across, column % across
            line = place * wide + x % wide
            step = work.column_begin[line] + columns[column, 0]
            source = work.column_steps[step, _SOURCE] * across + x
            pops = work.column_steps[step, _POPS]
            state[source, _IN_ROW] -= pops & 1
            if pops & 2:
                state[source + across, _IN_ROW] -= 1
            if work.column_steps[step, _PUSHES]:
                for y in range(place, down, high):
                    state[y * across + x, _IN_COLUMN] += 1
            _next_step(columns, column, work.column_begin[line + 1] - work.column_begin[line])


@njit(cache=True)
def _next_step(lines: Ints, line: int, steps: int) -> None:
    """Go on with a line that has moved."""
    lines[line, 0] += 1
    if lines[line, 0] == steps:
        lines[line, 0] = 0
        lines[line, 1] -= 1
