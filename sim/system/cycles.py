"""Cycle model of a chip with its memory: when each queued inference starts and ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import COMMAND_BYTES, PACKED, Op, row_bytes, word_bytes
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import PASS_BITS
from zeroskip.sim.system.fed import FED
from zeroskip.sim.system.golden import Attempt, Performed
from zeroskip.sim.system.state import ArrayCycles, ArrayState
from zeroskip.sim.system.timing import memory_state, read_state, write_state
from zeroskip.sim.system.transfer import ROW_FIELDS, Transfer
from zeroskip.sim.system.turns import AskedState, asked_state
from zeroskip.sim.system.units import ENGINES, JOB, UNITS, ChipStates, Event

__all__ = ["MoveTime", "RunTime", "Started", "SystemCycles", "TimedArray", "count_system"]

_MOVES = Op.LOAD, Op.INPUT, Op.OUTPUT
_PASSES = 1 << PASS_BITS
_CHUNK = 1 << 27
"""Cycles without an event after which an array that runs for ever is given up."""


@dataclass(frozen=True, eq=False)
class TimedArray:
    """An array, and what its time is counted with.

    Parameters
    ----------
    state : which widths its memories have.
    cycles : gives the cycle model of the array, of what golden says of all its WEIGHTS.
    transfer : gives what an engine that asks for beats itself does in an INPUT or OUTPUT, of what
        golden moved.
    clearing : see :meth:`.ListMachine.clearing`.
    """

    state: ArrayState
    cycles: Callable[[Sequence[Any]], ArrayCycles]
    transfer: Callable[[Any], Transfer]
    clearing: int


@dataclass(frozen=True, eq=False)
class Started:
    """A command list that is started.

    Parameters
    ----------
    cycle : of the START.
    attempts : what golden carried out.
    """

    cycle: int
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class RunTime:
    """A run of an array.

    Parameters
    ----------
    inference : number of its list among those started.
    engine : whose.
    begin, end : cycles in which it is at work, from and up to, not with.
    cycles : those of the program, as the array counts them.
    count : see :class:`.RunCycles`.
    """

    inference: int
    engine: int
    begin: int
    end: int
    cycles: int
    count: Any = None


@dataclass(frozen=True)
class MoveTime:
    """A LOAD, INPUT or OUTPUT.

    Parameters
    ----------
    op, engine : which, and whose.
    begin, end : cycles in which it is at work, from and up to, not with; of a list that was given
        up, 0 if it has not begun, or not ended.
    """

    op: Op
    engine: int
    begin: int
    end: int


@dataclass(frozen=True)
class SystemCycles:
    """When inferences end.

    Parameters
    ----------
    starts, done : cycle of each START, and of the end of its inference.
    reruns : how often each was begun again, for want of room.
    runs : of the arrays, in order.
    moves : in the order of the commands.
    read_beats, write_beats : that went over the memory port.
    """

    starts: tuple[int, ...]
    done: tuple[int, ...]
    reruns: tuple[int, ...]
    runs: tuple[RunTime, ...]
    moves: tuple[MoveTime, ...]
    read_beats: int
    write_beats: int

    @property
    def cycles(self) -> tuple[int, ...]:
        """Cycles of each inference from its START to its end, as the register has them."""
        return tuple(end - start for start, end in zip(self.starts, self.done, strict=True))


def count_system(
    arrays: Sequence[TimedArray],
    port: SystemParams,
    settings: MemorySettings,
    started: Sequence[Started],
) -> SystemCycles:
    """Count the cycles of inferences that are started one behind the other.

    Parameters
    ----------
    arrays : by the number of their engines.
    port : of the chip to the memory.
    settings : how the memory behaves; what it draws begins with cycle 0.
    started : lists in the order of their starts; the chip has nothing to do before.
    """
    tried = [
        (number, attempt) for number, start in enumerate(started) for attempt in start.attempts
    ]
    commands = [done for _, attempt in tried for done in attempt.performed]
    jobs = _jobs(arrays, port, commands)
    jobs["list"] = [number for number, attempt in tried for _ in attempt.performed]
    asked = _transfers(jobs, commands, arrays)
    asks = set(jobs["engine"][jobs["asks"]].tolist())
    lists = np.full((len(started), 5), -1, np.int64)
    lists[:, 0] = [start.cycle for start in started]
    num_rows = max(
        (one.state.num_rows for number, one in enumerate(arrays) if number not in asks), default=0
    )
    arrivals = np.zeros(num_rows, np.int64)
    drains, made = np.zeros((ENGINES, _PASSES), np.int64), np.zeros((ENGINES, num_rows), np.int64)
    units = np.zeros(1, UNITS)
    units["per_beat"] = max(1, port.beat_bytes // COMMAND_BYTES)
    units["per_command"] = max(1, COMMAND_BYTES // port.beat_bytes)
    units["engines"] = len(arrays)
    units["clearing"][0, : len(arrays)] = [array.clearing for array in arrays]
    units["ahead_at"] = -_CHUNK
    units["run_from"] = units["run_input"] = units["last_input"] = -1
    memory, reads, writes = memory_state(settings), read_state(port), write_state(port)
    width = max(array.state.stream_bits for array in arrays)
    fed = _fed(width, port)
    chip = _Chip(
        (units, jobs, lists, arrivals, drains, made, memory, reads, writes, asked, fed),
        arrays,
        started,
        port,
    )
    while units[0]["done"] < len(started):
        event = chip.go()
        if event == Event.RUN:
            chip.count_runs()
        elif event == Event.AGAIN:
            chip.begin_again()
    state: Any = units[0]
    return SystemCycles(
        tuple(start.cycle for start in started),
        tuple(lists[:, 3].tolist()),
        tuple(len(start.attempts) - 1 for start in started),
        chip.runs(),
        tuple(
            MoveTime(Op(job["op"]), int(job["engine"]), int(job["begun"]), int(job["over"]))
            for job in jobs
            if Op(job["op"]) in _MOVES
        ),
        int(state["read_beats"]),
        int(state["write_beats"]),
    )


class _Chip:
    """Cycle model of a chip: its DMA units and its arrays, advanced to the next event.

    Parameters
    ----------
    states : arguments of :func:`.advance`.
    arrays : by the number of their engines.
    started : the lists.
    port : of the chip to the memory.
    """

    def __init__(
        self,
        states: ChipStates,
        arrays: Sequence[TimedArray],
        started: Sequence[Started],
        port: SystemParams,
    ) -> None:
        self._states, self._units = states, states[0]
        self._started, self._port = started, port
        self._streams = [bool(array.state.stream_bits) for array in arrays]
        self._models: list[ArrayCycles] = []
        # Runs that have not begun, by engine, the next one last; and those that have, by command.
        self._waiting: list[list[int]] = []
        self._runs: dict[int, RunTime] = {}
        # Attempts that have been begun of each list; numbers of the first commands of all.
        self._begun_lists = [0] * len(started)
        # By engine, which WEIGHTS is the first behind each clearing.
        self._restarts: dict[int, list[int]] = {number: [] for number in range(len(arrays))}
        attempts = [attempt for start in started for attempt in start.attempts]
        self._firsts = np.cumsum([0, *(len(attempt.performed) for attempt in attempts)])
        self._commands = [done for attempt in attempts for done in attempt.performed]
        for number, array in enumerate(arrays):
            self._models.append(array.cycles(self._weights(number)))
            self._waiting.append(
                [
                    at
                    for at, one in enumerate(self._commands)
                    if one.op == Op.CONTROL
                    and one.fields["engine"] == number
                    and one.run is not None
                ][::-1]
            )
        for number in range(len(started)):
            self._show(number)
        # An array that streams takes beats in the cycles between its runs, too.
        self._leader = self._models[self._streams.index(True) if any(self._streams) else 0]

    def _weights(self, engine: int) -> list[Any]:
        """Return what golden says of the WEIGHTS of an engine, in the order in which they come.

        Behind those of a list that is given up come those of the lists behind it, as if it were
        not: they are asked for before it is known.
        """
        found: list[Any] = []
        for number, start in enumerate(self._started):
            for place, attempt in enumerate(start.attempts):
                if place:
                    self._restarts[engine].append(len(found))
                some = [attempt]
                if attempt.lost is not None:
                    some += [later.attempts[0] for later in self._started[number + 1 :]]
                found += [
                    done.run
                    for one in some
                    for done in one.performed
                    if done.op == Op.WEIGHTS and done.fields["engine"] == engine
                ]
        return found

    def _show(self, number: int) -> None:
        """Say where a list lies, and its commands."""
        before = sum(len(start.attempts) for start in self._started[:number])
        attempt = self._started[number].attempts[self._begun_lists[number]]
        row = self._states[2][number]
        row[1] = attempt.address // self._port.beat_bytes
        row[2] = attempt.size // COMMAND_BYTES
        row[4] = self._firsts[before + self._begun_lists[number]]

    def begin_again(self) -> None:
        """Begin with the other list of the oldest inference, on arrays that have been cleared."""
        number = int(self._units[0]["done"])
        self._begun_lists[number] += 1
        self._show(number)
        for engine, model in enumerate(self._models):
            model.clear(self._restarts[engine].pop(0))

    def go(self) -> Event:
        """Go on to an event."""
        event = Event(self._leader.advance(self._states, _CHUNK))
        if event == Event.LATER:
            raise ValueError("the command lists wait for what never comes")
        return event

    def count_runs(self) -> None:
        """Count the runs whose rows have come: last the one that has the chip go on with it."""
        for engine in sorted(self._begun(), key=lambda engine: self._streams[engine]):
            self._count(engine)
            if self._streams[engine] and self._begun():
                # Its end would have to be known before the end of the run that was counted.
                raise InputError(
                    "cycles of these inferences cannot be counted when they are queued, as an "
                    "array begins its run for the next one while another still takes weights for "
                    "this one; give one input at a time"
                )

    def runs(self) -> tuple[RunTime, ...]:
        """Return all runs in the order of their commands."""
        return tuple(self._runs[at] for at in sorted(self._runs))

    def _begun(self) -> list[int]:
        """Return the engines whose runs are to be counted."""
        state: Any = self._units[0]
        at = state["at_job"]
        waits = state["at_work"] and state["is_row"] and not self._states[1]["asks"][at]
        row = at if waits else -2
        return [
            engine
            for engine in range(len(self._models))
            if state["unresolved"][engine] and state["run_input"][engine] != row
        ]

    def _count(self, engine: int) -> None:
        """Count the next run of an engine."""
        units, arrivals, drains, made = self._units[0], *self._states[3:6]
        at = self._waiting[engine].pop()
        command = self._commands[at]
        units["unresolved"][engine] = False
        # The program's own cycles begin in the one after the command was seen.
        begin = int(units["run_from"][engine]) + 1
        takes = command.fields["row"] & Command.NEXT
        came = arrivals - begin if takes else np.full(len(arrivals), -1)
        ahead = int(units["ahead_at"][engine])
        spent = self._models[engine].run(command.run, came, begin, ahead, self._states)
        end = begin + spent.cycles
        number = int(self._states[1]["list"][at])
        self._runs[at] = RunTime(number, engine, begin - 1, end, spent.cycles, spent.count)
        units["run_end"][engine], units["lost"][engine] = end, command.lost
        drains[engine, : len(spent.drains)] = begin + spent.drains
        made[engine, : len(spent.made)] = begin + spent.made


def _fed(width: int, port: SystemParams) -> NDArray[np.void]:
    """Return the feed, and the gearbox to beats of ``width``, as they are after a reset."""
    fed = np.zeros(1, FED)
    fed["rows"], fed["burst_beats"] = port.outstanding * port.burst_beats, port.burst_beats
    if width:
        fed["splits"] = port.data_bits > width
        widths = sorted((port.data_bits, width))
        fed["parts"] = widths[1] // widths[0]
    return fed


def _jobs(
    arrays: Sequence[TimedArray], port: SystemParams, commands: Sequence[Performed]
) -> NDArray[np.void]:
    """Return the commands as the units see them."""
    found = np.zeros(len(commands), JOB)
    beat = port.beat_bytes
    asking = {command.fields["engine"] for command in commands if _asks(command)}
    for job, command in zip(found, commands, strict=True):
        fields, op = command.fields, command.op
        array = arrays[fields["engine"]].state
        packed = op == Op.INPUT and fields["space"] == PACKED
        size = row_bytes(array.lanes * array.lane_bits, port, packed=packed)
        if op == Op.LOAD:
            size = word_bytes(array.word_bits(fields["space"]))
        elif op == Op.WEIGHTS:
            size = word_bytes(array.stream_bits)
        job["op"], job["engine"], job["wait"] = op.value, fields["engine"], fields["wait"]
        job["asks"] = fields["engine"] in asking
        job["lost"] = op == Op.INPUT and command.lost
        job["ahead"] = op == Op.LOAD and array.reads_ahead(fields["space"])
        job["pe"] = fields["pe"]
        job["row"] = fields["row"] >> 31 if op == Op.OUTPUT else fields["row"]
        job["count"], job["addr"] = fields["count"], fields["addr"] // beat
        job["beats"] = -(-fields["count"] * size // beat)
        job["needed"], job["of_beat"] = max(1, size // beat), max(1, beat // size)
    return found


def _asks(command: Performed) -> bool:
    """Say whether a command is one for whose beats the engine asks itself."""
    return command.op in (Op.INPUT, Op.OUTPUT) and command.run is not None


def _transfers(
    jobs: NDArray[np.void], commands: Sequence[Performed], arrays: Sequence[TimedArray]
) -> AskedState:
    """Say where rows, slots and tiles of transfers are; return units, and all of these."""
    rows: list[NDArray[np.int64]] = [np.zeros((0, ROW_FIELDS), np.int64)]
    slots: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    tiles: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    ends, pes = np.zeros(3, np.int64), 0
    for job, command in zip(jobs, commands, strict=True):
        if not _asks(command):
            continue
        found = arrays[command.fields["engine"]].transfer(command.run)
        for number, unit in enumerate(found.units):
            job["row_first"][number], job["slot"][number], job["tile"][number] = ends
            rows.append(unit.rows)
            slots.append(unit.slots)
            tiles.append(unit.tiles)
            ends += [len(unit.rows), len(unit.slots), len(unit.tiles)]
            job["row_end"][number], job["slot_end"][number], job["tile_end"][number] = ends
        job["units"], job["step"], job["lanes"] = len(found.units), found.step, found.lanes
        job["group"], job["rows_ahead"] = found.group, found.ahead
        job["beats_ahead"] = found.beats
        job["base"], job["entries"] = found.base, found.entries
        pes = max(pes, found.pes)
    came = pes, int(jobs["entries"].max(initial=0))
    return asked_state(np.concatenate(rows), np.concatenate(slots), np.concatenate(tiles), came)
