"""The array cycle by cycle: registers and conditions of the RTL, without its data.

Every variable that lives from cycle to cycle is a register of the RTL, or a count that follows
from some; names are those of ``zeroskip.hw.eie``. Tests compare every counter with the RTL's.
"""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.eie.host import StallClass

__all__ = ["compute"]

# Cycles from issue to the write of the sum: codebook, multiply, add.
_ARITHM_STAGES = 3

_USEFUL, _PADDING, _FETCH = int(StallClass.USEFUL), int(StallClass.PADDING), int(StallClass.FETCH)
_BLOCKED, _STARVED = int(StallClass.BLOCKED), int(StallClass.STARVED)
_TAIL, _MEMORY = int(StallClass.TAIL), int(StallClass.MEMORY)


@njit(cache=True)
def compute(
    issue: NDArray[np.int32],
    padding: NDArray[np.int32],
    after: NDArray[np.int32],
    columns: NDArray[np.int32],
    row_counts: NDArray[np.int32],
    queue_depth: int,
    pointers_first: bool,
    counters: NDArray[np.int64],
    log: NDArray[np.int32],
    row_at: NDArray[np.int64],
) -> int:
    """Run the COMPUTE state of a pass.

    One function, longer than others: it goes through the pipeline from its end to its begin, so
    that each unit finds the one behind it as that was before the cycle.

    Parameters
    ----------
    issue, padding, after : (positions, pes) cycles of columns, see ``ColumnWork``.
    columns : positions of the non-zero activations, in the order of the scan.
    row_counts : (rows,) how many of them are in each scanned row.
    queue_depth, pointers_first : parameters of the array.
    counters : (pes, stall classes); what the cycles were spent on is added.
    log : (3, positions, pes); gets the cycle in which a column enters a PE's queue, leaves it, and
        issues its last entry, see :class:`.PassTrace`. Or (0, 0, 0), where nobody asks for them:
        for None, all would be compiled again.
    row_at : (rows,) the cycle in which each scanned row streams in, below 0 if it is there: the
        scan reads it in a later one.

    Returns
    -------
    The cycles it took.
    """
    pes, logged = issue.shape[1], len(log) > 0
    queue = np.zeros((pes, queue_depth), np.int32)
    first, level = np.zeros(pes, np.int32), np.zeros(pes, np.int32)
    p_full, p_column = np.zeros(pes, np.bool_), np.zeros(pes, np.int32)
    p_issue = np.zeros(pes, np.int32)  # cycles of the column in it
    # Cycles that the column at work still issues in, and its number.
    left, column = np.zeros(pes, np.int32), np.zeros(pes, np.int32)
    issued_at = np.full(pes, -_ARITHM_STAGES - 1, np.int64)

    rows_left, row, r_valid, pending = len(row_counts), 0, False, 0
    b_valid, broadcast, n_valid, behind, taken = False, 0, False, 0, 0
    now = 0
    num_full = 0  # queues without room
    while True:
        room = num_full == 0
        broadcast_en, blocked = b_valid and room, b_valid and not room
        grant = pending > 0 and not n_valid
        take = r_valid and (pending == 0 or (grant and pending == 1))
        read = rows_left > 0 and (not r_valid or take)
        lacking = read and row_at[len(row_counts) - rows_left] >= now
        read = read and not lacking
        done = rows_left == 0 and not r_valid and pending == 0 and not b_valid
        idle_class = _TAIL if done else (_BLOCKED if blocked else _STARVED)
        if lacking and not blocked:
            idle_class = _MEMORY

        if done:
            busy = False
            for pe in range(pes):
                busy = busy or level[pe] > 0 or p_full[pe] or left[pe] > 0
                busy = busy or now - issued_at[pe] <= _ARITHM_STAGES
        else:
            busy = True

        num_full = 0
        for pe in range(pes):
            if left[pe] == 0:
                waiting = level[pe] > 0 or p_full[pe]
                counters[pe, _FETCH if waiting else idle_class] += 1
            if left[pe] > 0:
                left[pe] -= 1
                if left[pe] == 0:
                    place = column[pe]
                    if logged:
                        log[2, place, pe] = now
                    if after[place, pe] < issue[place, pe]:
                        issued_at[pe] = now - after[place, pe]
            free = left[pe] == 0
            leaves = p_issue[pe] > 0  # else the column is empty, or there is none
            head, occupied = first[pe], level[pe]
            pop = push = False
            if pointers_first:
                pop, push, pushed = free and occupied > 0, leaves, p_column[pe]
                if pop:
                    column[pe] = queue[pe, head]
                    left[pe] = issue[column[pe], pe]
                p_full[pe], p_column[pe] = broadcast_en, broadcast
                p_issue[pe] = issue[broadcast, pe] if broadcast_en else 0
            else:
                advance = not leaves or free
                pop, push, pushed = advance and occupied > 0, broadcast_en, broadcast
                if leaves and free:
                    column[pe], left[pe] = p_column[pe], p_issue[pe]
                if advance:
                    p_full[pe], p_column[pe] = pop, queue[pe, head]
                    p_issue[pe] = issue[p_column[pe], pe] if pop else 0
            if logged:
                if push:
                    log[0, pushed, pe] = now
                if pop:
                    log[1, queue[pe, head], pe] = now
            if push:
                tail = head + occupied
                queue[pe, tail if tail < queue_depth else tail - queue_depth] = pushed
                occupied += 1
            if pop:
                first[pe] = head + 1 if head + 1 < queue_depth else 0
                occupied -= 1
            level[pe] = occupied
            num_full += occupied + (p_full[pe] if pointers_first else 0) >= queue_depth

        if not blocked:
            b_valid = n_valid or grant
            if n_valid:
                broadcast = behind
            elif grant:
                broadcast = columns[taken]
            n_valid = False
        elif grant:
            n_valid, behind = True, columns[taken]
        if grant:
            taken += 1
            pending -= 1
        if take:
            pending = row_counts[row]
            row += 1
        if read:
            rows_left -= 1
            r_valid = True
        elif take:
            r_valid = False
        now += 1
        if done and not busy:
            break
    # Every column has been issued in full by every PE.
    for place in columns:
        for pe in range(pes):
            counters[pe, _USEFUL] += issue[place, pe] - padding[place, pe]
            counters[pe, _PADDING] += padding[place, pe]
    return now
