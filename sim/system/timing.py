"""The memory ports cycle by cycle: registers and conditions of the RTL, without addresses and data.

Names are those of :mod:`zeroskip.hw.system` and :mod:`zeroskip.hw.system.memory`. In every cycle,
:func:`draw` comes first; then :func:`look_read` and :func:`look_write` tell what the ports show in
it, and :func:`step_read` and :func:`step_write` go on to the next. Errors change no cycle, so there
are none.

States are NumPy records, whose fields compiled code reads and writes like attributes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.hw.system.memory import BURSTS, FULL_RATE, Channel, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.write_dma import AHEAD, UNANSWERED

__all__ = [
    "ReadState",
    "draw",
    "look_read",
    "look_write",
    "memory_state",
    "read_state",
    "step_read",
    "step_write",
    "write_state",
]

_AR, _R, _AW, _W, _B = (int(channel) for channel in Channel)

ReadState = tuple[NDArray[np.void], NDArray[np.int64]]
"""A record, and (requests, 2) tags and beats of the requests that are under way."""

_MEMORY = np.dtype([
    ("number", "u8"),
    ("share", "i8"),
    ("now", "i8"),
    ("stalled", "u1", (len(Channel),)),
    ("turn", "?"),
    *((name, "i8") for name in ("read_latency", "write_latency", "stall", "rate")),
])
_BURSTS = [(name, "i8") for name in ("burst_beats", "place", "left")] + [("bursts_valid", "?")]
_READ = np.dtype([
    # What the port shows.
    *((name, "?") for name in ("ready", "valid", "last", "idle")),
    ("tag", "i8"),
    *_BURSTS,
    *((name, "?") for name in ("ar_valid", "ar_ready", "ask_ready", "r_valid", "r_last")),
    *((name, "i8") for name in ("ar_len", "outstanding", "asked", "room", "level")),
    # Requests that beats are still to leave of: a ring, and beats of the oldest that have left.
    *((name, "i8") for name in ("first_request", "requests", "given")),
    # In the memory: bursts, and beats of the oldest that were read.
    *((name, "i8") for name in ("first", "waiting", "number")),
    ("len", "i8", (BURSTS,)),
    ("due", "i8", (BURSTS,)),
])
_WRITE = np.dtype([
    # What the port shows.
    *((name, "?") for name in ("ready", "i_ready", "done", "idle")),
    *_BURSTS,
    *((name, "?") for name in ("aw_valid", "aw_ready", "send_ready")),
    *((name, "?") for name in ("w_valid", "w_ready", "w_last", "b_valid")),
    # Bursts by their beats less 1, beats of the oldest that were taken, and bursts to be answered.
    *((name, "i8") for name in ("aw_len", "first_length", "lengths", "number")),
    ("length", "i8", (AHEAD,)),
    *((name, "i8") for name in ("first_answer", "answers")),
    ("final", "u1", (UNANSWERED,)),
    # In the memory: bursts that beats are still to come of, and bursts to be answered.
    *((name, "i8") for name in ("unanswered", "waiting", "first_due", "dues")),
    ("due", "i8", (BURSTS,)),
])


def memory_state(settings: MemorySettings) -> NDArray[np.void]:
    """Return a memory before cycle 0."""
    state = np.zeros(1, _MEMORY)
    for name in ("read_latency", "write_latency", "stall", "rate"):
        state[name] = getattr(settings, name)
    state["number"] = settings.first_number
    state["now"] = -1
    return state


def read_state(params: SystemParams) -> ReadState:
    """Return a :class:`.ReadDma` after reset, with its bursts in the memory."""
    state = np.zeros(1, _READ)
    rows = params.outstanding * params.burst_beats
    state["burst_beats"], state["outstanding"] = params.burst_beats, params.outstanding
    state["room"] = rows
    return state, np.zeros((rows + params.outstanding + 2, 2), np.int64)


def write_state(params: SystemParams) -> NDArray[np.void]:
    """Return a :class:`.WriteDma` after reset, with its bursts in the memory."""
    state = np.zeros(1, _WRITE)
    state["burst_beats"] = params.burst_beats
    return state


@njit(cache=True)
def draw(memory: NDArray[np.void]) -> None:
    """Begin a cycle: draw which channels stall, and see whether it is a beat's turn."""
    m = memory[0]
    m.now += 1
    number = m.number
    for channel in range(len(m.stalled)):
        m.stalled[channel] = np.int64(number >> np.uint64(8 * channel) & np.uint64(255)) < m.stall
    number ^= number << np.uint64(13)
    number ^= number >> np.uint64(7)
    number ^= number << np.uint64(17)
    m.number = number
    total = m.share + m.rate
    m.turn = total >= FULL_RATE
    m.share = total % FULL_RATE


@njit(cache=True)
def look_read(memory: NDArray[np.void], state: ReadState) -> None:
    """Tell what a :class:`.ReadDma` shows in this cycle.

    Fields of its record are ``ready`` of ``request``; ``valid`` of ``o``, and then its ``tag`` and
    ``last``; and ``idle``.
    """
    m, s, requests = memory[0], state[0][0], state[1]
    s.ar_ready = s.waiting < BURSTS and not m.stalled[_AR]
    s.ask_ready = (
        (not s.ar_valid or s.ar_ready) and s.asked < s.outstanding and s.room >= s.burst_beats
    )
    s.ready = not s.bursts_valid or (s.ask_ready and s.left <= s.burst_beats - s.place)
    s.idle = not s.bursts_valid and not s.valid and s.room == s.outstanding * s.burst_beats
    if s.valid:
        s.tag = requests[s.first_request, 0]
        s.last = s.given == requests[s.first_request, 1] - 1


@njit(cache=True)
def step_read(
    memory: NDArray[np.void],
    state: ReadState,
    request: bool,
    addr: int,
    beats: int,
    tag: int,
    take: bool,
) -> None:
    """End a cycle of a :class:`.ReadDma`.

    Parameters
    ----------
    memory, state : what :func:`look_read` has seen.
    request, addr, beats, tag : a request is offered; ``addr`` in beats.
    take : ``o.ready``.
    """
    m, s, requests = memory[0], state[0][0], state[1]
    read = s.level > 0 and (not s.valid or take)
    if s.valid and take:
        s.given += 1
        if s.given == requests[s.first_request, 1]:
            s.given = 0
            s.requests -= 1
            s.first_request = (s.first_request + 1) % len(requests)
    s.valid = read or (s.valid and not take)
    s.level += s.r_valid - read
    s.room += read
    answered = s.r_valid and s.r_last

    # The memory: it looks at its line before the burst of this cycle is in it.
    give = s.waiting > 0 and m.now >= s.due[s.first] and m.turn and not m.stalled[_R]
    asks = s.ar_valid and s.ar_ready
    if asks:
        end = (s.first + s.waiting) % BURSTS
        s.len[end], s.due[end] = s.ar_len, m.now + m.read_latency - 1
    s.waiting += asks
    s.r_valid = give
    if give:
        s.r_last = s.number == s.len[s.first]
        s.number = 0 if s.r_last else s.number + 1
        if s.r_last:
            s.first = (s.first + 1) % BURSTS
            s.waiting -= 1

    ask = s.bursts_valid and s.ask_ready
    s.ar_valid = ask or (s.ar_valid and not s.ar_ready)
    s.asked += ask - answered
    if ask:
        s.ar_len = _cut(s)
        s.room -= s.ar_len + 1
    if request and s.ready:
        s.bursts_valid, s.place, s.left = True, addr % s.burst_beats, beats
        end = (s.first_request + s.requests) % len(requests)
        requests[end, 0], requests[end, 1] = tag, beats
        s.requests += 1


@njit(cache=True)
def look_write(memory: NDArray[np.void], state: NDArray[np.void]) -> None:
    """Tell what a :class:`.WriteDma` shows in this cycle.

    Fields of its record are ``ready`` of ``request``, ``i_ready`` of ``i``, ``done`` and ``idle``.
    """
    m, s = memory[0], state[0]
    s.aw_ready = s.unanswered < BURSTS and not m.stalled[_AW]
    s.w_ready = s.waiting > 0 and m.turn and not m.stalled[_W]
    s.send_ready = (not s.aw_valid or s.aw_ready) and s.lengths < AHEAD and s.answers < UNANSWERED
    s.ready = not s.bursts_valid or (s.send_ready and s.left <= s.burst_beats - s.place)
    s.i_ready = s.lengths > 0 and (not s.w_valid or s.w_ready)
    s.idle = not s.bursts_valid and s.answers == 0


@njit(cache=True)
def step_write(
    memory: NDArray[np.void],
    state: NDArray[np.void],
    request: bool,
    addr: int,
    beats: int,
    give: bool,
) -> None:
    """End a cycle of a :class:`.WriteDma`.

    Parameters
    ----------
    memory, state : what :func:`look_write` has seen.
    request, addr, beats : a request is offered; ``addr`` in beats.
    give : ``i.valid``.
    """
    m, s = memory[0], state[0]
    # The memory: what it sees of its lines is as they were at the beginning of the cycle.
    answer = s.dues > 0 and m.now >= s.due[s.first_due] and not m.stalled[_B]
    sent = s.aw_valid and s.aw_ready
    written = s.w_valid and s.w_ready and s.w_last
    if written:
        s.due[(s.first_due + s.dues) % BURSTS] = m.now + m.write_latency - 1
    if answer:
        s.first_due = (s.first_due + 1) % BURSTS
    s.dues += written - answer
    s.waiting += sent - written
    s.unanswered += sent - s.b_valid

    s.done = s.b_valid and s.final[s.first_answer]
    if s.b_valid:
        s.first_answer = (s.first_answer + 1) % UNANSWERED
        s.answers -= 1
    s.b_valid = answer

    take, send = give and s.i_ready, s.bursts_valid and s.send_ready
    s.w_valid = take or (s.w_valid and not s.w_ready)
    if take:
        s.w_last = s.number == s.length[s.first_length]
        s.number = 0 if s.w_last else s.number + 1
        if s.w_last:
            s.first_length = (s.first_length + 1) % AHEAD
            s.lengths -= 1
    s.aw_valid = send or (s.aw_valid and not s.aw_ready)
    if send:
        s.length[(s.first_length + s.lengths) % AHEAD] = _cut(s)
        s.final[(s.first_answer + s.answers) % UNANSWERED] = not s.bursts_valid
        s.lengths += 1
        s.answers += 1
    if request and s.ready:
        s.bursts_valid, s.place, s.left = True, addr % s.burst_beats, beats


@njit(cache=True)
def _cut(s: Any) -> int:
    """Cut the next burst off a request, see :class:`.Bursts`; return its beats less 1."""
    beats = min(s.left, s.burst_beats - s.place)
    s.place = 0
    s.left -= beats
    s.bursts_valid = s.left > 0
    return beats - 1
