"""Cycle model of a chip with its memory: when each queued inference starts and ends."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import COMMAND_BYTES, PACKED, Op, row_bytes, word_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import PASS_BITS
from zeroskip.sim.system.asked import ASKED
from zeroskip.sim.system.fed import FED, fed_beats
from zeroskip.sim.system.golden import Performed
from zeroskip.sim.system.memory import MemorySettings
from zeroskip.sim.system.state import ArrayState, CountRun, Cycles, RunCycles
from zeroskip.sim.system.timing import memory_state, read_state, write_state
from zeroskip.sim.system.transfer import ROW_FIELDS, Transfer
from zeroskip.sim.system.units import ENGINES, JOB, UNITS, Event, advance

__all__ = ["RunTime", "Started", "SystemCycles", "TimedArray", "count_system"]

_PASSES = 1 << PASS_BITS
_CHUNK = 1 << 27
"""Cycles without an event after which an array that runs for ever is given up."""


@dataclass(frozen=True, eq=False)
class TimedArray:
    """An array, and what its time is counted with.

    Parameters
    ----------
    state : which widths its memories have.
    count_run : see :data:`CountRun`.
    transfer : gives what an engine that asks for beats itself does in an INPUT or OUTPUT, of what
        golden moved.
    """

    state: ArrayState
    count_run: CountRun
    transfer: Callable[[Any], Transfer]


@dataclass(frozen=True, eq=False)
class Started:
    """A command list that is started.

    Parameters
    ----------
    cycle : of the START.
    address, size : of the list, in bytes.
    performed : what golden carried out.
    """

    cycle: int
    address: int
    size: int
    performed: Sequence[Performed]


@dataclass(frozen=True)
class RunTime:
    """A run of an array.

    Parameters
    ----------
    engine : whose.
    begin, end : cycles in which it is at work, from and up to, not with.
    cycles : those of the program, as the array counts them.
    """

    engine: int
    begin: int
    end: int
    cycles: int


@dataclass(frozen=True)
class SystemCycles:
    """When inferences end.

    Parameters
    ----------
    starts, done : cycle of each START, and of the end of its inference.
    runs : of the arrays, in order.
    read_beats, write_beats : that went over the memory port.
    """

    starts: tuple[int, ...]
    done: tuple[int, ...]
    runs: tuple[RunTime, ...]
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
    jobs = np.concatenate([_jobs(arrays, port, start.performed) for start in started])
    asked = _transfers(jobs, [done for start in started for done in start.performed], arrays)
    asks = set(jobs["engine"][jobs["asks"]].tolist())
    lists = np.array(
        [
            (start.cycle, start.address // port.beat_bytes, start.size // COMMAND_BYTES)
            for start in started
        ],
        np.int64,
    )
    controls = [done for start in started for done in start.performed if done.op == Op.CONTROL]
    num_rows = max(
        (one.state.num_rows for number, one in enumerate(arrays) if number not in asks), default=0
    )
    arrivals, there = np.zeros(num_rows, np.int64), np.full(num_rows, -1)
    drains, made = np.zeros((ENGINES, _PASSES), np.int64), np.zeros((ENGINES, num_rows), np.int64)
    fed = np.zeros(1, FED), fed_beats(int(jobs["beats"][jobs["op"] == Op.WEIGHTS.value].sum()))
    fed[0]["rows"], fed[0]["burst_beats"] = port.outstanding * port.burst_beats, port.burst_beats
    fed[0]["until"] = -1
    units = np.zeros(1, UNITS)
    units["per_beat"] = max(1, port.beat_bytes // COMMAND_BYTES)
    units["per_command"] = max(1, COMMAND_BYTES // port.beat_bytes)
    units["engines"] = len(arrays)
    units["ahead_at"] = -_CHUNK
    units["run_from"] = units["run_input"] = units["last_input"] = -1
    memory, reads, writes = memory_state(settings), read_state(port), write_state(port)
    width = max(array.state.stream_bits for array in arrays)
    chip = _Chip(
        (units, jobs, lists, arrivals, drains, made, memory, reads, writes, asked, fed),
        max(1, width // port.data_bits),
        max(1, port.data_bits // width) if width else 1,
    )
    ends = np.cumsum(np.where(jobs["op"] == Op.WEIGHTS.value, jobs["beats"], 0))
    ends = ends[jobs["op"] == Op.CONTROL.value]
    for command, end in zip(controls, ends.tolist(), strict=True):
        # The program's own cycles begin in the one after the command was seen.
        takes = command.fields["row"] & Command.NEXT
        number = command.fields["engine"]
        array = arrays[number]

        def count(
            begin: int,
            beats: NDArray[np.int64],
            run: Any = command.run,
            takes: int = takes,
            number: int = number,
            array: TimedArray = array,
        ) -> RunCycles:
            came = arrivals - begin - 1 if takes else there
            ahead = int(units["ahead_at"][0, number])
            return array.count_run(run, came, begin + 1, ahead, beats)

        chip.run(number, count, end if array.state.stream_bits else None)
    while len(chip.done) < len(started):
        chip.go()
    state: Any = units[0]
    return SystemCycles(
        tuple(start.cycle for start in started),
        tuple(chip.done),
        tuple(chip.runs),
        int(state["read_beats"]),
        int(state["write_beats"]),
    )


class _Chip:
    """A chip that goes on from event to event.

    Parameters
    ----------
    states : arguments of :func:`.advance`.
    parts : beats of the port that a beat of weights takes.
    whole : beats of weights that a beat of the port has.
    """

    def __init__(self, states: Any, parts: int, whole: int) -> None:
        self._states = states
        self._units, self._fed = states[0], states[10]
        self._drains, self._made = states[4], states[5]
        self._parts, self._whole = parts, whole
        self._beats = 0
        self.done: list[int] = []
        self.runs: list[RunTime] = []

    def go(self) -> Event:
        """Go on to an event."""
        event = Event(advance(*self._states, most=_CHUNK))
        if event == Event.LATER:
            raise ValueError("the command lists wait for what never comes")
        if event == Event.DONE:
            self.done.append(int(self._units[0]["now"]) - 1)
        return event

    def run(self, engine: int, count: Callable[[int, Cycles], RunCycles], end: int | None) -> None:
        """Go on to where a run's end is known, whose weights are the beats up to number ``end``.

        An engine that takes none has no such number.

        When beats come depends on when the array takes those before them. The chip is tried with
        times of these that are right for some first beats, which gives times that are right for
        more of them, until they are right for all.
        """
        first = self._beats
        if end is None or first == end:
            begin = self._to_run(engine)
            self._end(engine, begin, count(begin, np.zeros(0, np.int64)))
            return
        self._beats = end
        pops, came = (times[first:end] for times in self._fed[1][:2])
        before = self._save()
        while True:
            begin = self._to_run(engine)
            if (self._fed[0]["shown"] < end).any():
                self._fed[0]["until"] = end
                while self.go() != Event.FED:
                    pass
                self._fed[0]["until"] = -1
            # The last part of a beat of weights completes it; of several, the last frees the beat.
            offered = np.repeat(came[self._parts - 1 :: self._parts], self._whole)
            spent = count(begin, offered - begin - 1)
            times = np.full(len(pops), -1)
            times[self._parts - 1 :: self._parts] = spent.taken[self._whole - 1 :: self._whole]
            times[self._parts - 1 :: self._parts] += begin + 1
            known = pops.copy()
            self._restore(before)
            pops[:] = times
            if np.array_equal(known, times):
                break
        self._end(engine, self._to_run(engine), spent)

    def _end(self, engine: int, begin: int, spent: RunCycles) -> None:
        """Let a run end as it was counted."""
        end = begin + 1 + spent.cycles
        self.runs.append(RunTime(engine, begin, end, spent.cycles))
        self._units["run_end"][0, engine] = end
        self._drains[engine, : len(spent.drains)] = begin + 1 + spent.drains
        self._made[engine, : len(spent.made)] = begin + 1 + spent.made

    def _to_run(self, engine: int) -> int:
        """Go on to the start of a run; return the cycle."""
        while self.go() != Event.RUN:
            pass
        if self._units[0]["ran"] != engine:
            raise ValueError("the command lists have runs that do not begin in their order")
        self._units["unresolved"][0, engine] = False
        return int(self._units[0]["run_from"][engine])

    def _save(self) -> tuple[Any, int, int]:
        return deepcopy(self._states), len(self.done), len(self.runs)

    def _restore(self, saved: tuple[Any, int, int]) -> None:
        """Go back to what was saved."""
        states, done, runs = saved
        _copy_into(self._states, states)
        del self.done[done:], self.runs[runs:]


def _copy_into(states: Any, saved: Any) -> None:
    for state, old in zip(states, saved, strict=True):
        if isinstance(state, tuple):
            _copy_into(state, old)
        else:
            state[...] = old


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
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Say where rows, slots and tiles of transfers are; return the engine's state, and all."""
    rows: list[NDArray[np.int64]] = [np.zeros((0, ROW_FIELDS), np.int64)]
    slots: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    tiles: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    ends = np.zeros(3, np.int64)
    for job, command in zip(jobs, commands, strict=True):
        if _asks(command):
            found = arrays[command.fields["engine"]].transfer(command.run)
            job["row_first"], job["slot"], job["tile"] = ends
            rows.append(found.rows)
            slots.append(found.slots)
            tiles.append(found.tiles)
            ends += [len(found.rows), len(found.slots), len(found.tiles)]
            job["row_end"], job["slot_end"], job["tile_end"] = ends
            job["step"], job["lanes"] = found.step, found.lanes
            job["group"], job["rows_ahead"] = found.group, found.ahead
    return np.zeros(2, ASKED), np.concatenate(rows), np.concatenate(slots), np.concatenate(tiles)
