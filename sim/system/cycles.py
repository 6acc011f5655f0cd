"""Cycle model of a chip with its memory: when each queued inference starts and ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.common.control import Command
from zeroskip.hw.system.formats import COMMAND_BYTES, Op, row_bytes, word_bytes
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.sequence import PASS_BITS
from zeroskip.sim.system.asked import ASKED
from zeroskip.sim.system.golden import Performed
from zeroskip.sim.system.memory import MemorySettings
from zeroskip.sim.system.state import ArrayState, CountRun
from zeroskip.sim.system.timing import memory_state, read_state, write_state
from zeroskip.sim.system.transfer import ROW_FIELDS, Transfer
from zeroskip.sim.system.units import JOB, UNITS, Event, advance

__all__ = ["RunTime", "Started", "SystemCycles", "count_system"]

_PASSES = 1 << PASS_BITS
_CHUNK = 1 << 27
"""Cycles without an event after which an array that runs for ever is given up."""


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
    """A run of the array.

    Parameters
    ----------
    begin, end : cycles in which it is at work, from and up to, not with.
    cycles : those of the program, as the array counts them.
    """

    begin: int
    end: int
    cycles: int


@dataclass(frozen=True)
class SystemCycles:
    """When inferences end.

    Parameters
    ----------
    starts, done : cycle of each START, and of the end of its inference.
    runs : of the array, in order.
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
    array: ArrayState,
    port: SystemParams,
    settings: MemorySettings,
    started: Sequence[Started],
    count_run: CountRun,
    transfer: Callable[[Any], Transfer],
) -> SystemCycles:
    """Count the cycles of inferences that are started one behind the other.

    Parameters
    ----------
    array : which widths its memories have.
    port : of the chip to the memory.
    settings : how the memory behaves; what it draws begins with cycle 0.
    started : lists in the order of their starts; the chip has nothing to do before.
    count_run : see :data:`CountRun`.
    transfer : gives what an engine that asks for beats itself does in an INPUT or OUTPUT, of what
        golden moved.
    """
    jobs = np.concatenate([_jobs(array, port, start.performed) for start in started])
    asked = _transfers(jobs, [done for start in started for done in start.performed], transfer)
    asks = len(asked[1]) > 0
    lists = np.array(
        [
            (start.cycle, start.address // port.beat_bytes, start.size // COMMAND_BYTES)
            for start in started
        ],
        np.int64,
    )
    controls = [done for start in started for done in start.performed if done.op == Op.CONTROL]
    num_rows = 0 if asks else array.num_rows
    arrivals, there = np.zeros(num_rows, np.int64), np.full(num_rows, -1)
    drains, made = np.zeros(_PASSES, np.int64), np.zeros(num_rows, np.int64)
    units = np.zeros(1, UNITS)
    units["per_beat"] = max(1, port.beat_bytes // COMMAND_BYTES)
    units["per_command"] = max(1, COMMAND_BYTES // port.beat_bytes)
    units["row_beats"] = row_bytes(array.lanes * array.lane_bits, port) // port.beat_bytes
    units["asks"] = asks
    units["ahead_at"] = -_CHUNK
    units["run_from"] = units["run_input"] = units["last_input"] = -1
    memory, reads, writes = memory_state(settings), read_state(port), write_state(port)
    done: list[int] = []
    runs: list[RunTime] = []
    state: Any = units[0]
    while len(done) < len(started):
        event = advance(
            units, jobs, lists, arrivals, drains, made, memory, reads, writes, asked, _CHUNK
        )
        if event == Event.DONE:
            done.append(int(state["now"]) - 1)
        elif event == Event.RUN:
            begin = int(state["run_from"])
            command = controls[len(runs)]
            # The program's own cycles begin in the one after the command was seen.
            takes = command.fields["row"] & Command.NEXT
            came = arrivals - begin - 1 if takes else there
            spent = count_run(command.run, came, begin + 1, int(state["ahead_at"]))
            runs.append(RunTime(begin, begin + 1 + spent.cycles, spent.cycles))
            units["run_end"], units["unresolved"] = begin + 1 + spent.cycles, False
            drains[: len(spent.drains)] = begin + 1 + spent.drains
            made[: len(spent.made)] = begin + 1 + spent.made
        else:
            raise ValueError("the command lists wait for what never comes")
    return SystemCycles(
        tuple(start.cycle for start in started),
        tuple(done),
        tuple(runs),
        int(state["read_beats"]),
        int(state["write_beats"]),
    )


def _jobs(array: ArrayState, port: SystemParams, commands: Sequence[Performed]) -> NDArray[np.void]:
    """Return the commands as the units see them."""
    found = np.zeros(len(commands), JOB)
    beat = port.beat_bytes
    row = row_bytes(array.lanes * array.lane_bits, port)
    for job, command in zip(found, commands, strict=True):
        fields, op = command.fields, command.op
        size = word_bytes(array.word_bits(fields["space"])) if op == Op.LOAD else row
        job["op"], job["wait"] = op.value, fields["wait"]
        job["ahead"] = op == Op.LOAD and array.reads_ahead(fields["space"])
        job["pe"] = fields["pe"]
        job["row"] = fields["row"] >> 31 if op == Op.OUTPUT else fields["row"]
        job["count"], job["addr"] = fields["count"], fields["addr"] // beat
        job["beats"] = -(-fields["count"] * size // beat)
        job["needed"], job["of_beat"] = max(1, size // beat), max(1, beat // size)
    return found


def _transfers(
    jobs: NDArray[np.void], commands: Sequence[Performed], transfer: Callable[[Any], Transfer]
) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Say where rows, slots and tiles of transfers are; return the engine's state, and all."""
    rows: list[NDArray[np.int64]] = [np.zeros((0, ROW_FIELDS), np.int64)]
    slots: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    tiles: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    ends = np.zeros(3, np.int64)
    for job, command in zip(jobs, commands, strict=True):
        if command.op in (Op.INPUT, Op.OUTPUT) and command.run is not None:
            found = transfer(command.run)
            job["row_first"], job["slot"], job["tile"] = ends
            rows.append(found.rows)
            slots.append(found.slots)
            tiles.append(found.tiles)
            ends += [len(found.rows), len(found.slots), len(found.tiles)]
            job["row_end"], job["slot_end"], job["tile_end"] = ends
            job["step"], job["lanes"], job["group"] = found.step, found.lanes, found.group
    return np.zeros(2, ASKED), np.concatenate(rows), np.concatenate(slots), np.concatenate(tiles)
