"""Start command lists on a chip with its memory: what it writes, and when it is done.

Not a test of its own: it records what the hardware did, for the caller to compare.
"""

import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, Timer, with_timeout
from numpy.typing import NDArray

from zeroskip.hw.system.register_map import Event, Register, State
from zeroskip.sim.bench.begin import PERIOD_NS, read_job, record, reset, unsigned

__all__ = ["run_lists"]

_INPUTS = (
    "restart", "host_en", "host_write", "host_row", "host_data", "registers__aw__valid",
    "registers__aw__payload", "registers__w__valid", "registers__w__payload",
    "registers__ar__valid", "registers__ar__payload",
)  # fmt: skip
_LIMIT, _MARGIN = 2, 10_000
"""A phase hangs that takes more than so many times what was expected, and some cycles."""
_SHOWN = ("valid", "pass", "row", "lanes", "data")


@cocotb.test()
async def run_lists(dut: Any) -> None:
    """Do every phase of the job; write ``results.npz`` beside it."""
    folder, job = read_job()
    for name in _INPUTS:
        getattr(dut, name).value = 0
    for name, value in job["settings"].items():
        getattr(dut, f"settings__{name}").value = value
    dut.registers__b__ready.value = dut.registers__r__ready.value = 1
    await reset(dut)
    await ClockCycles(dut.clk, job["clearing"])
    chip = _Chip(dut)
    recorded: list[list[tuple[int, ...]]] = [[] for _ in job["engines"]]
    for name, records in zip(job["engines"], recorded, strict=True):
        # An array says which row it writes, or which lanes there are.
        shown = {what: getattr(dut, f"{name}_out_{what}", None) for what in _SHOWN}
        row = shown["lanes"] if shown["row"] is None else shown["row"]
        fields: Any = shown["pass"], row, shown["data"]
        cocotb.start_soon(record(dut.clk, shown["valid"], fields, records))
    await chip.write_wide(Register.WINDOW, job["window"][0])
    await chip.write_wide(Register.WINDOW_BYTES, job["window"][1])
    await chip.write(Register.IER, Event.DONE | Event.ERROR)
    await chip.write(Register.GIE, 1)
    steps = _Steps(folder / "progress", job["step_cycles"])
    for number, phase in enumerate(job["phases"]):
        for first, name in phase["inputs"]:
            await chip.put_rows(first, np.load(folder / name, allow_pickle=False))
        begun = [len(records) for records in recorded]
        counting = cocotb.start_soon(steps.count(phase["steps"]))
        started = time.perf_counter_ns()
        try:
            limit = _LIMIT * phase["cycles"] + _MARGIN
            times = await with_timeout(chip.run(phase["lists"]), limit * PERIOD_NS, "ns")
        except SimTimeoutError:
            (folder / "hang").write_text(f"phase {number}")
            return
        nanoseconds = time.perf_counter_ns() - started
        counting.cancel()
        steps.end(phase["steps"])
        rows = [await chip.get_rows(first, count) for first, count in phase["outputs"]]
        # Whole numbers of any width: rows as text.
        written = {
            f"written_{place}": np.array(
                [(number, row, f"{data:x}") for number, row, data in records[first:]], np.str_
            ).reshape(-1, 3)
            for place, (first, records) in enumerate(zip(begun, recorded, strict=True))
        }
        np.savez(
            folder / f"results_{number}.npz",
            allow_pickle=False,
            times=np.array(times, np.int64),
            error=await chip.read(Register.ERROR),
            reruns=await chip.read(Register.RERUNS),
            broken=int(dut.broken.value),
            nanoseconds=nanoseconds,
            **written,
            **{f"rows_{place}": block for place, block in enumerate(rows)},
        )


class _Steps:
    """Progress of a phase, told as lines of a file."""

    def __init__(self, path: Path, cycles: int) -> None:
        self._path, self._cycles, self._told = path, cycles, 0

    async def count(self, steps: int) -> None:
        """Tell a step whenever its cycles are over, but the last."""
        self._told = 0
        while self._told < steps - 1:
            await Timer(self._cycles * PERIOD_NS, "ns")
            self._tell(1)

    def end(self, steps: int) -> None:
        """Tell what is left of a phase."""
        self._tell(steps - self._told)

    def _tell(self, steps: int) -> None:
        with open(self._path, "a") as file:
            file.write("\n" * steps)
        self._told += steps


class _Chip:
    """A chip's registers, and its memory past the ports."""

    def __init__(self, dut: Any) -> None:
        self._dut, self._edge = dut, RisingEdge(dut.clk)
        self._bytes = len(dut.host_data) // 8

    async def write(self, register: int, value: int) -> int:
        """Write a register; return the cycle of it."""
        dut = self._dut
        dut.registers__aw__payload.value = int(register)
        dut.registers__w__payload.value = value | 0xF << 32
        dut.registers__aw__valid.value = dut.registers__w__valid.value = 1
        await self._edge
        while not (dut.registers__aw__ready.value and dut.registers__w__ready.value):
            await self._edge
        now = unsigned(dut.now)
        dut.registers__aw__valid.value = dut.registers__w__valid.value = 0
        await self._edge
        return now

    async def write_wide(self, register: int, value: int) -> None:
        """Write two registers, lower half first."""
        await self.write(register, value & 0xFFFFFFFF)
        await self.write(register + 4, value >> 32)

    async def read(self, register: int) -> int:
        """Read a register."""
        dut = self._dut
        dut.registers__ar__payload.value = int(register)
        dut.registers__ar__valid.value = 1
        await self._edge
        while not dut.registers__ar__ready.value:
            await self._edge
        dut.registers__ar__valid.value = 0
        while not dut.registers__r__valid.value:
            await self._edge
        value = unsigned(dut.registers__r__payload) & 0xFFFFFFFF
        await self._edge
        return value

    async def run(self, lists: list[list[int]]) -> list[tuple[int, int, int]]:
        """Queue lists, and wait for all; return cycle of start and end, and what CYCLES says."""
        dut = self._dut
        await self._begin()
        starts: list[int] = []
        for address, size in lists:
            await self.write_wide(Register.LIST, address)
            await self.write(Register.LIST_BYTES, size)
            starts.append(await self.write(Register.CONTROL, State.AP_START))
        times: list[tuple[int, int, int]] = []
        for start in starts:
            if not dut.interrupt.value:
                await RisingEdge(dut.interrupt)
                await self._edge
            # The event is noted in the cycle after the end; this is the edge at its end.
            done = unsigned(dut.now) - 1
            events = await self.read(Register.ISR)
            await self.write(Register.ISR, events)
            if events & Event.ERROR:
                break
            times.append((start, done, await self.read(Register.CYCLES)))
        return times

    async def _begin(self) -> None:
        """Let the memory count cycles from 0."""
        self._dut.restart.value = 1
        await self._edge
        self._dut.restart.value = 0

    async def put_rows(self, first: int, rows: NDArray[np.uint8]) -> None:
        """Write rows of a beat, (n, bytes), past the ports."""
        dut = self._dut
        dut.host_en.value = dut.host_write.value = 1
        for place, row in enumerate(rows):
            dut.host_row.value = first + place
            dut.host_data.value = int.from_bytes(row.tobytes(), "little")
            await self._edge
        dut.host_en.value = dut.host_write.value = 0
        await self._edge

    async def get_rows(self, first: int, count: int) -> NDArray[np.uint8]:
        """Read rows of a beat past the ports: (count, bytes)."""
        dut, found = self._dut, np.zeros((count, self._bytes), np.uint8)
        dut.host_en.value = 1
        for place in range(count + 1):
            dut.host_row.value = min(first + place, first + count - 1)
            await self._edge
            if place:
                data = unsigned(dut.host_answer).to_bytes(self._bytes, "little")
                found[place - 1] = np.frombuffer(data, np.uint8)
        dut.host_en.value = 0
        await self._edge
        return found
