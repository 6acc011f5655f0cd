"""A pass on the array, cycle by cycle: registers and conditions of the RTL, without its data.

Every variable that lives from cycle to cycle is a register of the RTL, or a count that follows from
some; names are those of ``hw.scnn``. ``OLD`` is whatever is for the set of accumulators that is
finished. Tests compare every counter with the RTL's.

All stands in one function, as arrays that are passed on have their references counted, which takes
longer than the rest; and all registers of a PE in one row of an array.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.cycles.bus import (
    BUS_TOOK,
    FIFO_HEAD,
    FIFO_OVER,
    FIFO_ROUNDS,
    FIFO_ROWS,
    FIFO_SPENT,
    FIFO_VALID,
    BusWork,
    bus_cycle,
    bus_state,
    pe_lines,
)
from zeroskip.sim.scnn.cycles.feed import ITEM, PIPE, Feed, move_beats
from zeroskip.sim.system.turns import entry_came
from zeroskip.sim.system.units import ChipStates

__all__ = ["PassWork", "run_pass"]

Ints = NDArray[np.int64]
Banks = NDArray[np.int32]

_USEFUL, _FRAGMENTATION = int(StallClass.USEFUL), int(StallClass.FRAGMENTATION)
_CONFLICT, _STARVED = int(StallClass.CONFLICT), int(StallClass.STARVED)
_BARRIER, _HALO, _DRAIN = int(StallClass.BARRIER), int(StallClass.HALO), int(StallClass.DRAIN)
_BUS = int(StallClass.BUS)

# Weight FIFO: vectors and headers that came, and blocks that were looked up.
_COMING, _BLOCKS_IN, _BLOCKS_OUT = 0, 1, 2
# act_read: directory stage, rest of a channel, word stage. NONE: nothing to multiply.
_D_VALID, _D_BLOCK, _W_VALID, _W_BLOCK, _W_WORD, _W_LEFT = 3, 4, 5, 6, 7, 8
_A_VALID, _A_NONE, _A_LAST, _A_BLOCK, _A_WORD = 9, 10, 11, 12, 13
# Multiplier array: number in its block of the next vector; operands, and those behind them.
_INDEX, _M_VALID, _M_OLD, _M_VECTOR, _M_WORD = 14, 15, 16, 17, 18
_N_VALID, _N_OLD, _N_VECTOR, _N_WORD = 19, 20, 21, 22
# Scatter network: operands whose products wait, and a bit for each that does; products in queues.
_H_WAITS, _H_OLD, _H_VECTOR, _H_WORD, _QUEUED, _OLD_QUEUED = 23, 24, 25, 26, 27, 28
# Accumulators: products of the finished set are being added. Groups.
_X_OLD, _LEFT, _HELD, _FINISHED = 29, 30, 31, 32
# Queue of act_read: places taken, the first of them, and then the places' registers.
_Q_LEVEL, _Q_HEAD, _Q = 33, 34, 35
_Q_BLOCK, _Q_WORD, _Q_NONE, _Q_LAST, _Q_SIZE = 0, 1, 2, 3, 4


class PassWork(NamedTuple):
    """Work of a pass: its descriptor, stored weights and stored activations.

    Parameters
    ----------
    begin : (streams + 1,) first block of each stream.
    channel, vectors, last : (blocks,) directory entry of each block, its vectors, and whether a
        group ends with it.
    first : (blocks + 1,) each block's first vector.
    weight_banks : (vectors, F) bank that each weight's offset stands for, -1 if it is 0.
    weight_used : (vectors,) weights of each that are not 0.
    act_start, act_count : (pes, entries) first vector of a directory entry, and activations; with
        a bus, ``act_count`` is of all that reaches a PE, as headers number it, in full vectors.
    act_banks : (vectors, I) bank that each position stands for, -1 if there is no activation.
    act_used : (vectors,) activations of each that are there.
    act_apart : (vectors,) these are in different banks.
    item_begin : (streams + 1,) first item of each stream.
    needs, leaves : of each item, see :class:`.PackedPass`.
    """

    begin: Ints
    channel: Ints
    vectors: Ints
    last: Ints
    first: Ints
    weight_banks: Banks
    weight_used: Ints
    act_start: Ints
    act_count: Ints
    act_banks: Banks
    act_used: Ints
    act_apart: Ints
    item_begin: Ints
    needs: Ints
    leaves: Ints


@njit(cache=True, nogil=True)
def run_pass(
    work: PassWork,
    pe_stream: Ints,
    exchange: NDArray[np.bool_],
    groups: tuple[int, int, int],
    drain: bool,
    limits: tuple[int, int, int, int, int],
    ppu_cycles: int,
    latency: int,
    counters: Ints,
    bus: BusWork | None,
    feed: Feed | None,
    chip: ChipStates | None,
    issued_at: Ints,
    drained_at: Ints,
) -> int:
    """Run a pass from the first cycle of its RUN phase to the last.

    One function, longer than others: every step of a cycle reads and writes the state of most
    units, which a function for each step would have to be given whole.

    Parameters
    ----------
    work : of the pass.
    pe_stream : (pes,) stream of each PE.
    exchange : (steps of an output channel,) whether a step of the drain fetches a neighbour's sum.
    groups : groups of the pass, output channels of a group, and of the last one.
    drain : see ``descriptor_layout``.
    limits : banks, products before a bank, vectors and headers in a weight FIFO, vectors of
        activations that are read ahead.
    ppu_cycles : after a step of the drain in which the PPU is at work.
    latency : cycles until a stream has its first item, if all beats are there.
    counters : (pes, stall classes); what the multiplier-cycles were spent on is added.
    bus : what the position bus has to do, or None in a pass without it.
    feed : beats on their way, which changes; None: all are there.
    chip : that brings them, and goes on with the array; None: ``feed`` says when they come.
    issued_at : (2, pes, blocks), filled with -1; gets the cycles of each block's first and last
        pair.
    drained_at : (2, groups), filled with -1; gets the cycles of each group's first and last step.
        Where nobody asks, both have no elements; the loop compiled without a bus has nothing of it.

    Returns
    -------
    The cycles it took.
    """
    begin, channel, count, last, first = work[:5]
    weight_banks, weight_used, act_start, act_count = work[5:9]
    act_banks, act_used, act_apart, item_begin = work[9:13]
    pes, num_streams = len(pe_stream), len(begin) - 1
    mult_f, mult_i = weight_banks.shape[1], act_banks.shape[1]
    mults = mult_f * mult_i
    banks, scatter_depth, weight_depth, block_depth, queue_depth = limits
    groups_left, kc, kc_last = groups
    traced = len(drained_at) > 0

    s = np.zeros((pes, _Q + _Q_SIZE * queue_depth), np.int64)
    level, old_level = np.zeros((pes, banks), np.uint8), np.zeros((pes, banks), np.uint8)
    s_block, s_vector = begin[:-1].copy(), np.zeros(num_streams, np.int64)
    s_taken, s_ready = np.zeros(num_streams, np.bool_), np.ones(num_streams, np.bool_)
    # Of streams that come over the port: the item behind the last, and who takes one now.
    ends, takers = np.zeros(1, np.int64), np.zeros(1, np.bool_)
    if feed is not None:
        ends = np.zeros(len(feed.streams), np.int64)
        takers = np.ones(len(feed.streams), np.bool_)
        ends[:num_streams] = item_begin[1:]
        feed.streams[:num_streams, ITEM] = item_begin[:-1]
    for pe in range(pes):
        s[pe, _BLOCKS_IN] = s[pe, _BLOCKS_OUT] = s_block[pe_stream[pe]]
        s[pe, _COMING] = first[s_block[pe_stream[pe]]]
        s[pe, _LEFT] = groups_left

    # Of the bus: its registers, the words of each PE, and PEs that have not all of them yet.
    b = rows = columns = np.zeros((0, 0), np.int64)
    line_of_pe, receiving = np.zeros(0, np.int64), 0
    if bus is not None:
        b, rows, columns = bus_state(bus)
        line_of_pe, receiving = pe_lines(bus), pes
    all_ready, freed = False, False
    steps, place = 0, 0  # of the drain: left in the group, and of the output channel
    busy = 0  # cycles that the PPU is at work
    now = 0
    while True:
        # The cycle of the chip while an INPUT is at work; else -1, as all entries have come.
        clock = -1
        if chip is not None:
            state = chip[0][0]
            if state.loading:
                clock = state.now
        done = groups_left == 0 and busy == 0
        for stream in range(num_streams):
            done = done and s_block[stream] == begin[stream + 1]
        if bus is not None:
            done = done and receiving == 0
            bus_cycle(bus, mult_i, b, rows, columns, clock, chip)
        step = steps > 0
        halo = step and exchange[place]
        drained = steps == 1 if drain else freed
        freed = False
        if step:
            steps -= 1
            place = place + 1 if place + 1 < len(exchange) else 0
        elif all_ready and not drained and groups_left > 0 and clock < 0:
            freed = True
            if drain:
                steps, place = len(exchange) * (kc_last if groups_left == 1 else kc), 0
        if traced and step:
            group = groups[0] - groups_left
            if drained_at[0, group] < 0:
                drained_at[0, group] = now
            drained_at[1, group] = now
        groups_left -= drained
        idle_class = _HALO if halo else _DRAIN if step or busy > 0 else _BARRIER
        busy = ppu_cycles if step else max(0, busy - 1)

        for stream in range(num_streams):
            if feed is None:
                there = now >= latency and s_block[stream] < begin[stream + 1]
            else:
                there = feed.streams[stream, PIPE] >= 16
                takers[stream] = s_ready[stream]
            s_taken[stream] = s_ready[stream] and there
            s_ready[stream] = True
        if feed is not None:
            move_beats(feed, ends, takers, work.needs, work.leaves, chip)
        all_ready = True
        for pe in range(pes):
            # scatter: heads leave, then products that wait enter, in the order of their rows.
            popped = old_popped = np.uint8(0)
            if s[pe, _QUEUED] > 0:
                for bank in range(banks):
                    leaves = np.uint8(level[pe, bank] > 0)
                    level[pe, bank] = np.uint8(level[pe, bank] - leaves)
                    popped = np.uint8(popped + leaves)
                s[pe, _QUEUED] -= popped
            if s[pe, _OLD_QUEUED] > 0:
                for bank in range(banks):
                    leaves = np.uint8(old_level[pe, bank] > 0)
                    old_level[pe, bank] = np.uint8(old_level[pe, bank] - leaves)
                    old_popped = np.uint8(old_popped + leaves)
                s[pe, _OLD_QUEUED] -= old_popped
            waits = s[pe, _H_WAITS]
            if waits != 0:
                vector, word, old = s[pe, _H_VECTOR], s[pe, _H_WORD], s[pe, _H_OLD] != 0
                entered = 0
                for f in range(mult_f):
                    row = (waits >> (f * mult_i)) & ((1 << mult_i) - 1)
                    if row == 0:
                        continue
                    for i in range(mult_i):
                        if (row >> i) & 1 == 0:
                            continue
                        if act_apart[word] == 0:
                            # Of a row, only the first product for a bank is offered to it.
                            offered = True
                            for j in range(i):
                                if (row >> j) & 1 and act_banks[word, j] == act_banks[word, i]:
                                    offered = False
                            if not offered:
                                continue
                        bank = (weight_banks[vector, f] + act_banks[word, i]) & (banks - 1)
                        if level[pe, bank] < scatter_depth:
                            level[pe, bank] += 1
                            waits &= ~(1 << (f * mult_i + i))
                            entered += 1
                            if old:
                                old_level[pe, bank] += 1
                s[pe, _H_WAITS] = waits
                s[pe, _QUEUED] += entered
                if old:
                    s[pe, _OLD_QUEUED] += entered

            # multiplier_array: operands go to the scatter network, the next pair is issued.
            m_valid, blocked = s[pe, _M_VALID] != 0, s[pe, _N_VALID] != 0
            moves = not m_valid or waits == 0
            if m_valid and moves:
                vector, word = s[pe, _M_VECTOR], s[pe, _M_WORD]
                row = 0
                for i in range(mult_i):
                    if act_banks[word, i] >= 0:
                        row |= 1 << i
                for f in range(mult_f):
                    if weight_banks[vector, f] >= 0:
                        waits |= row << (f * mult_i)
                s[pe, _H_WAITS], s[pe, _H_OLD] = waits, s[pe, _M_OLD]
                s[pe, _H_VECTOR], s[pe, _H_WORD] = vector, word
            issued = passed = ended = False
            working = s[pe, _HELD] == 0 and s[pe, _LEFT] > 0
            if s[pe, _Q_LEVEL] > 0 and s[pe, _HELD] == 0:
                head = _Q + _Q_SIZE * s[pe, _Q_HEAD]
                block, index = s[pe, head + _Q_BLOCK], s[pe, _INDEX]
                if s[pe, head + _Q_NONE] != 0:
                    passed = True
                elif not blocked and s[pe, _COMING] - first[block] > index:
                    issued = True
                    vector, word = first[block] + index, s[pe, head + _Q_WORD]
                    passed = index + 1 >= count[block]
                    s[pe, _INDEX] = 0 if passed else index + 1
                    s[pe, _N_VECTOR], s[pe, _N_WORD], s[pe, _N_OLD] = vector, word, 0
                    useful = weight_used[vector] * act_used[word]
                    if traced:
                        if issued_at[0, pe, block] < 0:
                            issued_at[0, pe, block] = now
                        issued_at[1, pe, block] = now
                    counters[pe, _USEFUL] += useful
                    counters[pe, _FRAGMENTATION] += mults - useful
                ended = passed and s[pe, head + _Q_LAST] != 0
            if issued or blocked:
                if moves:
                    s[pe, _M_VECTOR], s[pe, _M_WORD] = s[pe, _N_VECTOR], s[pe, _N_WORD]
                    s[pe, _M_OLD] = s[pe, _N_OLD]
                s[pe, _M_VALID], s[pe, _N_VALID] = 1, not moves
            elif moves:
                s[pe, _M_VALID] = 0
            if not issued:
                idle = _CONFLICT if blocked else _STARVED if working else idle_class
                if bus is not None and idle == _STARVED and s[pe, _Q_LEVEL] == 0:
                    idle = _BUS if s[pe, _BLOCKS_OUT] < s[pe, _BLOCKS_IN] else _STARVED
                counters[pe, idle] += mults

            # act_read: the queue, the word stage before it, rest and directory stage before that.
            room = s[pe, _Q_LEVEL] < queue_depth
            if bus is not None:
                # The FIFO behind the bus: a word that meets its block is in the word stage here.
                block, line = s[pe, _BLOCKS_OUT], line_of_pe[pe]
                at, header = bus.word_begin[line] + b[pe, FIFO_HEAD], block < s[pe, _BLOCKS_IN]
                valid, over, spent = b[pe, FIFO_VALID], b[pe, FIFO_OVER], b[pe, FIFO_SPENT]
                name, word, final = bus.words[at]
                later = same = False
                if header:
                    later = over != 0 or count[block] == 0
                    later = later or (valid != 0 and (word < 0 or name > channel[block]))
                    same = not later and valid != 0 and name == channel[block]
                offers = spent == 0 and (same or (later and last[block] != 0))
                goes = room or not offers
                block_done = spent == 0 and goes and (later or (same and final != 0))
                takes = valid != 0 and over == 0 and goes
                takes = takes and (spent != 0 or word < 0 or (header and not later))
                s[pe, _A_VALID] = offers and goes
                if offers:
                    s[pe, _A_BLOCK], s[pe, _A_WORD], s[pe, _A_NONE] = block, word, later
                    s[pe, _A_LAST] = last[block] != 0 and (later or final != 0)
                if block_done:
                    s[pe, _BLOCKS_OUT] += 1
                    spent |= last[block]
                if takes:
                    b[pe, FIFO_HEAD] += 1
                    if at + 1 == bus.word_begin[line + 1]:
                        b[pe, FIFO_HEAD], over = 0, 1
                if over != 0 and spent != 0:
                    over = spent = 0
                    b[pe, FIFO_ROUNDS] -= 1
                    receiving -= b[pe, FIFO_ROUNDS] == 0
                b[pe, FIFO_OVER], b[pe, FIFO_SPENT] = over, spent
                leaves = b[pe, FIFO_ROWS] > 0 and (valid == 0 or takes)
                b[pe, FIFO_ROWS] += b[pe, BUS_TOOK] - leaves
                b[pe, FIFO_VALID] = leaves or (valid != 0 and not takes)
            if s[pe, _A_VALID] != 0 and room:
                tail = s[pe, _Q_HEAD] + s[pe, _Q_LEVEL]
                tail = _Q + _Q_SIZE * (tail if tail < queue_depth else tail - queue_depth)
                s[pe, tail + _Q_BLOCK], s[pe, tail + _Q_WORD] = s[pe, _A_BLOCK], s[pe, _A_WORD]
                s[pe, tail + _Q_NONE], s[pe, tail + _Q_LAST] = s[pe, _A_NONE], s[pe, _A_LAST]
                s[pe, _Q_LEVEL] += 1
            if passed:
                head = s[pe, _Q_HEAD] + 1
                s[pe, _Q_HEAD] = head if head < queue_depth else 0
                s[pe, _Q_LEVEL] -= 1
            if bus is not None:
                s[pe, _A_VALID] = 0
            else:
                go = s[pe, _A_VALID] == 0 or room
                left, block, drop, d_done = 0, s[pe, _D_BLOCK], False, True
                if s[pe, _D_VALID] != 0:
                    left = act_count[pe, channel[block]] if count[block] > 0 else 0
                    drop = left == 0 and last[block] == 0
                    d_done = drop or (go and s[pe, _W_VALID] == 0)
                if go:
                    if s[pe, _W_VALID] != 0:
                        block, word, left = s[pe, _W_BLOCK], s[pe, _W_WORD], s[pe, _W_LEFT]
                        fetch = True
                    else:
                        fetch = s[pe, _D_VALID] != 0 and not drop
                        word = act_start[pe, channel[block]] if fetch else 0
                    s[pe, _A_VALID] = fetch
                    s[pe, _W_VALID] = fetch and left > mult_i
                    if fetch:
                        s[pe, _A_BLOCK], s[pe, _A_WORD], s[pe, _A_NONE] = block, word, left == 0
                        s[pe, _A_LAST] = last[block] != 0 and left <= mult_i
                        s[pe, _W_BLOCK], s[pe, _W_WORD], s[pe, _W_LEFT] = (
                            block,
                            word + 1,
                            left - mult_i,
                        )
                if d_done:
                    there = s[pe, _BLOCKS_OUT] < s[pe, _BLOCKS_IN]
                    if chip is not None:
                        entry: Any = channel[s[pe, _BLOCKS_OUT]] if there else 0
                        there = there and (clock < 0 or entry_came(chip[9], pe, entry, clock))
                    s[pe, _D_VALID] = there
                    s[pe, _D_BLOCK] = s[pe, _BLOCKS_OUT]
                    s[pe, _BLOCKS_OUT] += s[pe, _D_VALID]

            # weight_fifo: takes from the broadcast; keeps all from the oldest block in act_read on,
            # less than nothing while vectors of a dropped block come.
            stream = pe_stream[pe]
            if s_taken[stream]:
                s[pe, _BLOCKS_IN] += s_vector[stream] == 0
                s[pe, _COMING] += count[s_block[stream]] > 0
            if s[pe, _Q_LEVEL] > 0:
                oldest = s[pe, _Q + _Q_SIZE * s[pe, _Q_HEAD] + _Q_BLOCK]
            elif s[pe, _A_VALID] != 0:
                oldest = s[pe, _A_BLOCK]
            elif s[pe, _W_VALID] != 0:
                oldest = s[pe, _W_BLOCK]
            elif s[pe, _D_VALID] != 0:
                oldest = s[pe, _D_BLOCK]
            else:
                oldest = s[pe, _BLOCKS_OUT]
            headers = s[pe, _BLOCKS_IN] - s[pe, _BLOCKS_OUT]
            kept = s[pe, _COMING] - first[oldest]
            s_ready[stream] &= headers != block_depth and kept < weight_depth

            # groups: after a change all that is on its way is for the finished set.
            s[pe, _X_OLD] = old_popped
            if ended:
                s[pe, _LEFT] -= 1
                s[pe, _HELD] = 1
            if s[pe, _HELD] != 0 and (s[pe, _FINISHED] == 0 or drained):
                s[pe, _FINISHED], s[pe, _HELD] = 1, 0
                s[pe, _M_OLD], s[pe, _N_OLD], s[pe, _H_OLD], s[pe, _X_OLD] = 1, 1, 1, popped
                s[pe, _OLD_QUEUED] = s[pe, _QUEUED]
                for bank in range(banks):
                    old_level[pe, bank] = level[pe, bank]
            elif drained:
                s[pe, _FINISHED] = 0
            all_ready &= (
                s[pe, _FINISHED] != 0
                and s[pe, _OLD_QUEUED] == 0
                and s[pe, _X_OLD] == 0
                and not (s[pe, _M_VALID] != 0 and s[pe, _M_OLD] != 0)
                and not (s[pe, _N_VALID] != 0 and s[pe, _N_OLD] != 0)
                and not (s[pe, _H_WAITS] != 0 and s[pe, _H_OLD] != 0)
            )

        for stream in range(num_streams):
            if s_taken[stream]:
                s_vector[stream] += 1
                if s_vector[stream] >= count[s_block[stream]]:
                    s_block[stream] += 1
                    s_vector[stream] = 0
        now += 1
        if done:
            return now
