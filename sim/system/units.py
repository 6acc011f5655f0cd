"""The units between memory and array cycle by cycle: registers and conditions of the RTL.

Names are those of :mod:`zeroskip.hw.system`. Commands are given by their number in all lists that
are run, one list behind the other; none of them fails but for want of room. As in :mod:`.timing`,
states are NumPy records; :func:`step` does one cycle, and :func:`advance` cycles until somebody has
to be asked.
"""

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.feed import FEED_TAG, JOBS, WEIGHTS_BESIDE
from zeroskip.hw.system.fetch import CHUNK, DEPTH
from zeroskip.hw.system.formats import ENGINE_BITS, Op, Wait
from zeroskip.hw.system.sequence import LOADS
from zeroskip.sim.system.fed import end_feed, look_feed
from zeroskip.sim.system.timing import (
    ReadState,
    draw,
    look_read,
    look_write,
    step_read,
    step_write,
)
from zeroskip.sim.system.transfer import MOST_UNITS
from zeroskip.sim.system.turns import (
    INWARD,
    OUTWARD,
    AskedState,
    ask_units,
    begin_units,
    gives_beat,
    next_row,
    pack_units,
    row_asked,
    unit_levels,
    units_busy,
    units_read,
    unpack_units,
)

__all__ = ["ENGINES", "JOB", "UNITS", "ChipStates", "Event", "advance", "step"]

ENGINES = 1 << ENGINE_BITS
"""Engines that there is room for."""

ChipStates = tuple[
    NDArray[np.void],
    NDArray[np.void],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.int64],
    NDArray[np.void],
    ReadState,
    NDArray[np.void],
    AskedState,
    NDArray[np.void],
]
"""All registers of a chip: the arguments of :func:`advance` but the last."""

_LOAD, _INPUT, _OUTPUT, _CONTROL, _WEIGHTS, _ELSE, _END = (
    op.value for op in (Op.LOAD, Op.INPUT, Op.OUTPUT, Op.CONTROL, Op.WEIGHTS, Op.ELSE, Op.END)
)
_LOADS, _ENGINE, _OUTPUTS = int(Wait.LOADS), int(Wait.ENGINE), int(Wait.OUTPUTS)
_DRAIN = int(Wait.DRAIN)
_NEXT = int(Command.NEXT)
_IDLE, _CHECK, _ASK, _REQUEST, _BEATS = range(5)
_EMPTY, _SIZE, _JUDGE, _FULL = range(4)
_RUNS, _STOPS, _CLEARS = range(3)
_NEVER = 1 << 62


class Event(enum.IntEnum):
    """Why :func:`advance` comes back."""

    LATER = 0
    """It did as many cycles as it may."""
    RUN = 1
    """Arrays are at work that are ``unresolved``, and all rows that they take have come."""
    DONE = 2
    """An inference was done in the cycle before."""
    AGAIN = 3
    """Lists that are not done are to be begun again, the oldest with its other list."""


_LATER, _RUN, _DONE, _AGAIN = (int(event) for event in Event)

JOB = np.dtype([
    *((name, "i8") for name in ("op", "engine", "wait", "pe", "row", "count", "addr", "beats")),
    # Its engine asks for the beats of INPUT and OUTPUT itself; of INPUT, there is no room for them.
    *((name, "?") for name in ("asks", "lost")),
    # The list that it is of.
    ("list", "i8"),
    # Of LOAD, INPUT and OUTPUT: beats of a word or row; of the first two, words or rows of a beat.
    *((name, "i8") for name in ("needed", "of_beat")),
    ("ahead", "?"),
    # Of INPUT and OUTPUT of such an engine: where rows, slots and tiles of its units are, and
    # sizes, see :class:`.Transfer`.
    *(
        (name, "i8", (MOST_UNITS,))
        for name in ("row_first", "row_end", "slot", "slot_end", "tile", "tile_end")
    ),
    *((name, "i8") for name in ("units", "step", "lanes", "group", "rows_ahead", "beats_ahead")),
    *((name, "i8") for name in ("base", "entries")),
    # Filled in, of LOAD, INPUT and OUTPUT: cycles in which it begins, and in which it is done.
    *((name, "i8") for name in ("begun", "over")),
])
"""A command, see :func:`.job_layout`; ``addr`` in beats. Of OUTPUT, ``row`` is 1 for the
destination, else 0; of LOAD, ``ahead`` is ``ArrayState.reads_ahead`` of the space."""

UNITS = np.dtype([
    *((name, "i8") for name in ("now", "engines", "per_beat", "per_command")),
    # Requests of an OUTPUT that are not answered yet.
    ("unanswered", "i8"),
    # Lists: how many have been started, taken, and done.
    *((name, "i8") for name in ("started", "taken", "done")),
    *((name, "i8") for name in ("fetch", "fetch_addr", "left", "wanted", "beats")),
    *((name, "?") for name in ("ended", "second")),
    # How many commands were fetched, and checked; those between, and the one that is fetched next.
    *((name, "i8") for name in ("fetched", "checked", "next", "check", "job")),
    ("ring", "i8", (DEPTH,)),
    *((name, "?") for name in ("output_waits", "end_waits")),
    *((name, "i8") for name in ("output", "end_list", "end_loads", "end_outputs")),
    # Of Sequence: its state, and the list that is given up.
    *((name, "i8") for name in ("state", "failing")),
    # ``spoiled``: a run that ended with this cycle, or an INPUT that was done in the cycle before,
    # had no room. ``noted``: such an INPUT was done in the cycle before; ``noted_list``: its list.
    *((name, "?") for name in ("spoiled", "noted")),
    ("noted_list", "i8"),
    # By engine: ``busy_at``, it is at work in this cycle; ``hold``, its INPUTs are held.
    *((name, "u1", (ENGINES,)) for name in ("end_engine", "stale", "control", "busy_at", "hold")),
    # Outputs of Sequence in this cycle: an OUTPUT begins; an inference is done.
    *((name, "?") for name in ("store_go", "ends")),
    # The load unit.
    ("load_request", "?"),
    *((name, "i8") for name in ("load_addr", "load_beats", "first", "waiting")),
    *((name, "i8") for name in ("words", "rows", "asked")),
    ("queue", "i8", (LOADS,)),
    *((name, "?") for name in ("at_work", "is_row")),
    # An INPUT whose beats its engine asks for was at work in the cycle before; beats of weights
    # that were asked for since the engine was given a command.
    ("loading", "?"),
    ("granted", "i8"),
    *((name, "i8") for name in ("at_job", "count", "items", "part")),
    # The store unit that is at work, and the array's end of it; ``stored`` is its OUTPUT.
    *((name, "?") for name in ("busy", "store_request", "out_start", "out_valid", "follows")),
    *((name, "i8") for name in ("stored", "store_left", "parts", "out_left")),
    # In front of the DMA.
    ("request", "?"),
    *((name, "i8") for name in ("addr", "request_beats", "tag")),
    # The arrays: cycles in which each runs, from and up to, not with; whose rows it takes; and the
    # last cycle in which it took a word that it reads ahead of runs.
    *(
        (name, "i8", (ENGINES,))
        for name in ("run_from", "run_end", "run_input", "last_input", "ahead_at", "controlled")
    ),
    # By engine: its run is to be counted; it has no room; cycles that a clearing takes.
    *((name, "u1", (ENGINES,)) for name in ("unresolved", "lost")),
    ("clearing", "i8", (ENGINES,)),
    ("read_beats", "i8"),
    ("write_beats", "i8"),
])


@njit(cache=True)
def _may(s: Any, job: Any, outputs: bool) -> bool:
    return not (
        (job.wait & _LOADS and s.words + s.rows > 0)
        or (job.wait & _ENGINE and s.busy_at[job.engine])
        or (job.wait & _OUTPUTS and outputs)
    )


@njit(cache=True)
def _begins(s: Any, f: Any, jobs: Any, job: Any) -> bool:
    """Say whether the command that is at the sequence begins, see :class:`.Sequence`."""
    load_ready = s.waiting < LOADS - 1 and not s.load_request and s.asked == 0
    engine, stored = job.engine, jobs[s.stored]
    busy = s.busy_at[engine]
    waits = s.output_waits and jobs[s.output].engine == engine
    stores = s.busy and stored.engine == engine
    moves = job.asks and (waits or stores)
    if job.op == _LOAD:
        can = load_ready and not busy and not moves
    elif job.op == _INPUT:
        can = load_ready and not s.control[engine] and not moves and not (job.asks and busy)
    elif job.op == _CONTROL:
        files = not stores
        if job.row & _NEXT:
            reads = stores and (stored.asks or s.store_left > 0)
            files = not reads or not (s.stale[engine] or stored.row == 1)
        loads = s.words > 0 or s.rows != (s.at_work and s.is_row)
        can = not busy and not waits and not loads and files
    elif job.op == _WEIGHTS:
        can = f.waiting < JOBS
    elif job.op == _OUTPUT:
        return not s.output_waits
    elif job.op == _END:
        return not s.end_waits
    else:
        can = True
    return can and _may(s, job, s.output_waits or s.busy)


@njit(cache=True)
def _sequence(
    s: Any,
    f: Any,
    jobs: Any,
    drains: NDArray[np.int64],
    store_done: bool,
    load_done: bool,
) -> int:
    """Begin what may begin, see :class:`.Sequence`; return the operation of what was taken."""
    job, stored = jobs[s.job], jobs[s.stored]
    stops = s.state != _RUNS
    goes = s.check == _FULL and not stops and not s.spoiled and _begins(s, f, jobs, job)
    op = job.op if goes else 0
    output = jobs[s.output]
    drained = s.now >= drains[output.engine, output.pe]
    early = output.wait & _DRAIN and s.busy_at[output.engine] and not drained
    output_fails = stops and output.list == s.failing
    s.store_go = s.output_waits and not s.busy and not early and _may(s, output, False)
    s.store_go = s.store_go and not s.spoiled and not output_fails
    engine_ended = True
    for engine in range(s.engines):
        engine_ended = engine_ended and not s.end_engine[engine]
    end_fails = stops and s.end_list == s.failing
    s.ends = s.end_waits and engine_ended and s.end_loads == 0 and s.end_outputs == 0
    s.ends = s.ends and not end_fails and not s.noted
    outputs = int(s.output_waits) + int(s.busy and not store_done)
    if op == _END:
        s.end_waits, s.end_list = True, job.list
        s.end_loads, s.end_outputs = s.words + s.rows - load_done, outputs
    else:
        s.end_waits = s.end_waits and not s.ends and not end_fails
        s.end_loads -= load_done and s.end_loads > 0
        s.end_outputs -= store_done and s.end_outputs > 0
    is_reading = s.busy if stored.asks else s.store_left > 0
    for engine in range(s.engines):
        reading = is_reading and stored.engine == engine
        told = op == _CONTROL and job.engine == engine
        s.hold[engine] = s.stale[engine] and reading
        s.end_engine[engine] = s.busy_at[engine] and (op == _END or s.end_engine[engine])
        if s.control[engine] and s.state == _CLEARS:
            s.run_from[engine] = s.now + 1
            s.run_end[engine] = s.now + s.clearing[engine] - 1
        elif s.control[engine]:
            # The array sees it in the next cycle.
            s.run_from[engine], s.run_end[engine] = s.now + 1, _NEVER
            s.run_input[engine], s.unresolved[engine] = s.last_input[engine], True
            s.lost[engine] = False
        s.control[engine] = told
        if told:
            s.controlled[engine] = s.job
            drains[engine, :] = _NEVER
            s.stale[engine] = bool(job.row & _NEXT) and reading
        elif not reading:
            s.stale[engine] = False
    if store_done:
        stored.over = s.now
    if s.store_go:
        s.stored = s.output
        output.begun = s.now
    if s.store_go or output_fails:
        s.output_waits = False
    if op == _OUTPUT:
        s.output, s.output_waits = s.job, True
    return op


@njit(cache=True)
def _store(
    s: Any,
    jobs: Any,
    made: NDArray[np.int64],
    request_taken: bool,
    beat_taken: bool,
    done: bool,
) -> None:
    """Go on with an OUTPUT, see :class:`.Store`, and with the rows that the array gives."""
    beat_leaves = s.parts > 0 and beat_taken
    row_ready = s.store_left > 0 and (s.parts == 0 or (s.parts == 1 and beat_taken))
    row_comes = s.out_valid and row_ready
    stored: Any = jobs[s.stored]
    count, engine = stored.count, stored.engine
    running = s.run_from[engine] < s.now < s.run_end[engine]
    unmade = s.follows and running and s.out_left > 0 and made[engine, count - s.out_left] > s.now
    out_en = s.out_left > 0 and (not s.out_valid or row_ready) and not unmade
    s.write_beats += beat_leaves
    s.out_left = count if s.out_start else s.out_left - out_en
    s.follows = running and (stored.wait & _DRAIN if s.out_start else s.follows)
    s.out_valid = out_en or (s.out_valid and not row_ready)
    s.out_start = s.store_go
    s.parts -= beat_leaves
    if row_comes:
        s.parts = stored.needed
        s.store_left -= 1
    if request_taken:
        s.store_request = False
    if s.store_go:
        s.busy, s.store_left, s.store_request = True, count, True
    elif done:
        s.busy = False


@njit(cache=True)
def _store_asked(
    s: Any, jobs: Any, asked: AskedState, leaves: bool, request: bool, done: bool
) -> None:
    """Go on with an OUTPUT, see :class:`.StoreAsked`."""
    s.write_beats += leaves
    s.unanswered += request
    if s.out_start:
        begin_units(asked, OUTWARD, jobs[s.stored])
    s.out_start = s.store_go
    if s.store_go:
        s.busy = True
    elif done:
        s.busy = False


@njit(cache=True)
def _load(
    s: Any,
    jobs: Any,
    arrivals: NDArray[np.int64],
    asked: AskedState,
    op: int,
    request_taken: bool,
    beat: bool,
    given: bool,
    done: bool,
) -> None:
    """Go on with a LOAD or INPUT, see :class:`.Load`; take in what begins."""
    begins = s.waiting > 0 and not s.at_work
    head = jobs[s.queue[s.first]]
    begins = begins and not (s.hold[head.engine] and head.op == _INPUT)
    job, current = jobs[s.job], jobs[s.at_job]
    asks = op == _INPUT and job.asks
    asks_rows = s.is_row and current.asks
    if op == _LOAD or (op == _INPUT and not asks):
        s.load_request, s.load_addr, s.load_beats = True, job.addr, job.beats
    elif request_taken:
        s.load_request = False
    if given and s.is_row and not asks_rows:
        arrivals[current.count - s.count] = s.now
    if given and current.ahead:
        s.ahead_at[current.engine] = s.now
    s.asked += int(asks) - int(done and asks_rows)
    s.words += int(op == _LOAD) - int(done and not s.is_row)
    s.rows += int(op == _INPUT) - int(done and s.is_row)
    items = s.items - (given and not asks_rows)
    s.count -= given
    if beat and not asks_rows:
        if s.part == current.needed - 1:
            s.part, items = 0, current.of_beat
        else:
            s.part += 1
    s.items = 0 if done else items
    if done:
        s.at_work, current.over = False, s.now
    if begins:
        s.at_job = s.queue[s.first]
        head.begun = s.now
        s.first = (s.first + 1) % LOADS
        s.at_work, s.is_row = True, head.op == _INPUT
        s.count = head.count
        if s.is_row:
            s.last_input[head.engine] = s.at_job
            if head.asks:
                begin_units(asked, INWARD, head)
    if op in (_LOAD, _INPUT):
        s.queue[(s.first + s.waiting - begins) % LOADS] = s.job
    s.waiting += int(op in (_LOAD, _INPUT)) - int(begins)


@njit(cache=True)
def _fetch(
    s: Any, jobs: Any, lists: NDArray[np.int64], goes: bool, coming: bool, taken: bool, free: bool
) -> None:
    """Go on with a list, see :class:`.Fetch`, and with the command in :class:`.Check`."""
    level = s.fetched - s.checked
    stops = s.state != _RUNS
    if stops:
        s.check, s.checked = _EMPTY, s.fetched
    elif s.check == _EMPTY:
        if level > 0:
            s.job, s.check = s.ring[s.checked % DEPTH], _SIZE
            s.checked += 1
    elif s.check != _FULL:
        s.check += 1
    elif goes:
        s.check = _EMPTY

    if coming and s.wanted > 0 and (s.per_command == 1 or s.second):
        s.wanted -= 1
        if not s.ended and not stops:
            s.ended = jobs[s.next].op == _END
            s.ring[s.fetched % DEPTH] = s.next
            s.fetched += 1
            s.next += 1
    if coming and (s.per_command > 1 or s.per_beat > 1):
        s.second = not s.second
    if s.fetch == _IDLE:
        if s.taken < s.started and not stops:
            s.fetch, s.ended = _CHECK, False
            s.fetch_addr, s.left, s.next = lists[s.taken, 1], lists[s.taken, 2], lists[s.taken, 4]
            s.taken += 1
    elif s.fetch == _CHECK:
        s.fetch = _ASK
    elif s.fetch == _ASK:
        s.wanted = min(s.left, CHUNK)
        s.beats = (s.wanted * s.per_command + s.per_beat - 1) // s.per_beat
        if stops:
            s.fetch = _IDLE
        elif level <= DEPTH - CHUNK:
            s.fetch = _REQUEST
    elif s.fetch == _REQUEST:
        if free:
            s.left -= s.wanted
            s.fetch_addr += CHUNK * s.per_command // s.per_beat
            s.fetch = _BEATS
    elif taken:
        s.beats -= 1
        if s.beats == 0:
            s.fetch = _IDLE if s.ended or stops else _ASK


@njit(cache=True)
def step(
    units: NDArray[np.void],
    jobs: NDArray[np.void],
    lists: NDArray[np.int64],
    arrivals: NDArray[np.int64],
    drains: NDArray[np.int64],
    made: NDArray[np.int64],
    memory: NDArray[np.void],
    reads: ReadState,
    writes: NDArray[np.void],
    asked: AskedState,
    fed: NDArray[np.void],
    takes_beat: bool,
) -> int:
    """Do a cycle; return the event that it brings.

    One function, longer than others: first comes what all units show in the cycle, at which any may
    look, and then what they become.

    Parameters are those of :func:`advance`; ``takes_beat``: the array takes the beat of weights
    that it is offered, see :func:`.offers_beat`.
    """
    s, r, w, f = units[0], reads[0][0], writes[0], fed[0]
    draw(memory)
    look_read(memory, reads)
    look_write(memory, writes)

    sending, busy_engines, fails, failing = False, False, False, s.failing
    for engine in range(s.engines):
        runs = s.run_from[engine] <= s.now < s.run_end[engine]
        s.busy_at[engine] = s.control[engine] or runs
        sending = sending or s.control[engine] > 0
        busy_engines = busy_engines or s.busy_at[engine] > 0
        if s.state == _RUNS and s.lost[engine] and s.now == s.run_end[engine]:
            begun: Any = jobs[s.controlled[engine]]
            fails, failing = True, begun.list
    if s.noted and s.state == _RUNS and not fails:
        fails, failing = True, s.noted_list
    s.spoiled = fails
    at_rest = s.words + s.rows == 0 and not s.busy and not s.output_waits and not s.end_waits
    at_rest = at_rest and f.coming == 0 and not f.request and s.fetch == _IDLE and not sending
    feed_stops = s.state != _RUNS and not s.end_waits
    for_fetch, for_load = r.valid and r.tag == 0, r.valid and r.tag == 1
    for_feed = r.valid and r.tag == FEED_TAG
    fetching = s.fetch == _BEATS
    fetch_takes = fetching and (s.per_beat == 1 or s.second)
    current: Any = jobs[s.at_job]
    s.loading = False
    if s.at_work and s.is_row and current.asks:
        s.loading = units_busy(asked, INWARD)
        given = load_done = not s.loading
        in_unit, in_levels = next_row(asked, INWARD), unit_levels(asked, INWARD)
        load_takes = unpack_units(asked, for_load, s.now, not s.control[current.engine])
    else:
        # Whoever moves a plane has the array's port.
        given = s.at_work and s.items > 0 and not (current.asks and units_read(asked))
        load_done = given and s.count == 1
        in_unit, in_levels = -1, unit_levels(asked, INWARD)
        load_takes = s.at_work and (s.items == 0 or (s.items == 1 and given and not load_done))
    takes = for_feed or (fetch_takes if for_fetch else load_takes)
    s.read_beats += r.valid and takes

    # What the DMA is offered in this cycle.
    read_request, read_addr, read_beats, read_tag = s.request, s.addr, s.request_beats, s.tag
    free = not s.request or r.ready
    fetch_asks = s.fetch == _REQUEST
    load_free = free and not fetch_asks
    takes_in = s.at_work and s.is_row and current.asks and not load_done
    feed_goes = f.request and not (takes_in and s.granted >= WEIGHTS_BESIDE)
    in_request = in_unit >= 0 and not feed_goes
    in_taken = in_request and load_free and not s.load_request
    feed_ready = load_free and not s.load_request and (feed_goes or not takes_in)
    if sending:
        s.granted = 0
    elif feed_ready and feed_goes:
        s.granted += f.request_beats
    look_feed(f, feed_ready, takes_beat, feed_stops)
    if free:
        s.request = fetch_asks or s.load_request or in_request or feed_goes
        if fetch_asks:
            s.addr, s.request_beats, s.tag = s.fetch_addr, s.beats, 0
        elif s.load_request:
            s.addr, s.request_beats, s.tag = s.load_addr, s.load_beats, 1
        elif in_request:
            s.addr, s.request_beats = row_asked(asked, INWARD, in_unit)
            s.tag = 1
        elif feed_goes:
            s.addr, s.request_beats, s.tag = f.request_addr, f.request_beats, FEED_TAG
    ask_units(asked, INWARD, in_levels, in_unit, in_taken)

    stored: Any = jobs[s.stored]
    if stored.asks:
        gives, out_unit = gives_beat(asked), next_row(asked, OUTWARD)
        write_request, out_levels = out_unit >= 0, unit_levels(asked, OUTWARD)
        write_addr, write_beats = 0, 0
        if write_request:
            write_addr, write_beats = row_asked(asked, OUTWARD, out_unit)
        store_done = s.busy and not s.out_start and not units_busy(asked, OUTWARD)
        store_done = store_done and s.unanswered == 0
        s.unanswered -= w.done
        pack_units(asked, s.now, w.i_ready)
        ask_units(asked, OUTWARD, out_levels, out_unit, write_request and w.ready)
    else:
        gives, write_request = s.parts > 0, s.store_request
        write_addr, write_beats = stored.addr, stored.beats
        store_done = s.busy and w.done
    op = _sequence(s, f, jobs, drains, store_done, load_done)
    s.noted, s.noted_list = load_done and current.lost, current.list
    stored = jobs[s.stored]
    if stored.asks:
        _store_asked(s, jobs, asked, gives and w.i_ready, write_request and w.ready, store_done)
    else:
        _store(s, jobs, made, w.ready, w.i_ready, store_done)
    _load(s, jobs, arrivals, asked, op, load_free, for_load and load_takes, given, load_done)
    end_feed(f, jobs, feed_ready, for_feed, s.job if op == _WEIGHTS else -1, feed_stops)
    coming = for_fetch and fetching
    _fetch(s, jobs, lists, op != 0, coming, coming and fetch_takes, free)
    if s.started < len(lists) and lists[s.started, 0] == s.now:
        s.started += 1
    step_read(memory, reads, read_request, read_addr, read_beats, read_tag, takes)
    step_write(memory, writes, write_request, write_addr, write_beats, gives)
    s.now += 1
    if fails:
        s.state, s.failing = _STOPS, failing
    elif s.state == _STOPS and at_rest:
        s.state = _CLEARS
        for engine in range(s.engines):
            s.control[engine] = True
    elif s.state == _CLEARS and not busy_engines:
        s.state, s.taken = _RUNS, s.done
        return _AGAIN
    if s.ends:
        lists[s.done, 3] = s.now - 1
        s.done += 1
        return _DONE
    for engine in range(s.engines):
        # A run that takes what comes is counted once it is there, but of an engine that asks.
        taken: Any = jobs[s.at_job]
        coming = s.at_work and s.is_row and s.at_job == s.run_input[engine] and not taken.asks
        if s.unresolved[engine] and not coming:
            return _RUN
    return _LATER


@njit(cache=True)
def advance(
    units: NDArray[np.void],
    jobs: NDArray[np.void],
    lists: NDArray[np.int64],
    arrivals: NDArray[np.int64],
    drains: NDArray[np.int64],
    made: NDArray[np.int64],
    memory: NDArray[np.void],
    reads: ReadState,
    writes: NDArray[np.void],
    asked: AskedState,
    fed: NDArray[np.void],
    most: int,
) -> int:
    """Do cycles up to the first event, at most ``most``, with an array that takes no weights.

    Parameters
    ----------
    units : see :data:`UNITS`.
    jobs : commands of all lists, see :data:`JOB`.
    lists : (n, 5) cycle of the start, address in beats, commands, the cycle in which it is
        done, filled in, and the number of its first command.
    arrivals : gets the cycle in which each row of an INPUT comes, by its place among them.
    drains, made : by engine, of the run at work, see :class:`.RunCycles`, but in cycles as these;
        ``drains`` is set back when a run begins.
    memory, reads, writes : see :mod:`.timing`.
    asked : an engine's own side of INPUT and of OUTPUT, see :mod:`.turns`.
    fed : the feed, see :mod:`.fed`.
    """
    # Numba compiles `step` anew for a literal False; this one has the type of a variable.
    no = bool(np.bool_(False))
    for _ in range(most):
        event = step(
            units, jobs, lists, arrivals, drains, made, memory, reads, writes, asked, fed, no
        )
        if event != _LATER:
            return event
    return _LATER
