"""Run a compiled image on the EIE array: inputs in, every output word and counter out.

Not a test of its own: it records what the hardware did, for the caller to compare.
"""

import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from zeroskip.hw.common.control import Control
from zeroskip.hw.eie.host import Space, counter_row, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.begin import PERIOD_NS, read_job, record, reset
from zeroskip.sim.eie.host import EieHost

__all__ = ["read_counters", "read_result", "split_outputs"]


@cocotb.test()
async def run_image(dut: Any) -> None:
    """Run every input of the job; write ``results.npz`` beside it."""
    folder, job = read_job()
    params = EieParams.from_dict(job["params"])
    host = EieHost(dut, params)
    await reset(dut)
    recorded: list[tuple[int, ...]] = []
    fields = dut.out_pass, dut.out_row, dut.out_data
    cocotb.start_soon(record(dut.clk, dut.out_valid, fields, recorded))

    for number, run_fields in enumerate(job["jobs"]):
        runs = _Runs(host, params, recorded, run_fields["segments"], folder, number)
        await host.write_all(runs.writes("begin"))
        samples: list[dict[str, Any]] = []
        for rows in np.load(folder / f"inputs_{number}.npy", allow_pickle=False):
            # A clearing ends when the program's first pass is read ahead: after the words.
            reload_cycles = await runs.load_again() if samples else 0
            await host.clear()
            try:
                begin = params.cells and len(samples) in run_fields["begins"]
                samples.append(
                    await runs.run(rows, run_fields["max_cycles"], reload_cycles, begin=begin)
                )
            except SimTimeoutError:
                (folder / "hang").write_text(f"input {len(samples)}")
                return
            with open(folder / "progress", "a") as file:
                file.write("\n")
        arrays = {key: np.array([got[key] for got in samples], np.int64) for key in samples[0]}
        np.savez(folder / f"results_{number}.npz", allow_pickle=False, **arrays)


class _Runs:
    """The segments of a job, run one after the other for each input."""

    def __init__(
        self,
        host: EieHost,
        params: EieParams,
        recorded: list[tuple[int, ...]],
        segments: list[dict[str, Any]],
        folder: Path,
        number: int,
    ) -> None:
        self._host, self._params, self._recorded = host, params, recorded
        self._segments = segments
        self._folder, self._number = folder, number

    def writes(self, key: str) -> NDArray[np.uint64]:
        """Return the commands that load the SRAMs at some point, see ``host_writes``."""
        return np.load(self._folder / f"writes_{self._number}_{key}.npy", allow_pickle=False)

    async def load_again(self) -> int:
        """Load what the run of another input has replaced; return the cycles it took."""
        return await self._timed(self._host.write_all(self.writes("again")))

    async def run(
        self, rows: NDArray[np.int64], max_cycles: int, reload_cycles: int, *, begin: bool
    ) -> dict[str, Any]:
        """Run one input; return what the hardware did with it.

        Parameters
        ----------
        rows : (rows, num_pes) of the network's input.
        max_cycles : for each segment.
        reload_cycles : that were taken to load words again.
        begin : a sequence begins.
        """
        host, params = self._host, self._params
        vectors = {0: rows}
        outputs: list[list[int]] = []
        counters: list[Any] = []
        cycles = nanoseconds = last_layer = 0
        for number, segment in enumerate(self._segments):
            final = number == len(self._segments) - 1
            first_layer, last_layer = segment["layers"]
            if number:
                reload_cycles += await self._timed(host.write_all(self.writes(str(number))))
                await host.clear_counters()
            if segment["load"]:
                first, count = segment["load"]
                part = vectors[first_layer][first : first + count]
                spent = await self._timed(host.load_acts(part, await host.source()))
                reload_cycles += spent if number else 0
            self._recorded.clear()
            started = time.perf_counter_ns()
            run = host.run(keep=number > 0, begin=begin)
            await with_timeout(run, max_cycles * PERIOD_NS, "ns")
            nanoseconds += time.perf_counter_ns() - started
            written = [[number, row] for number, row, _ in self._recorded]
            if written != segment["drained"]:
                raise RuntimeError(f"segment {number}: passes and rows {written} were written")
            outputs += [split_outputs(data, params) for _, _, data in self._recorded]
            cycles += await host.read(Space.CONTROL, Control.CYCLES)
            counters += await read_counters(host, params, segment["num_passes"])
            if segment["store"]:
                first, count = segment["store"]
                file = await host.source() ^ (not segment["swapped"])
                part = np.zeros((count, params.num_pes), np.int64)
                spent = await self._timed(self._read(part, file))
                reload_cycles += 0 if final else spent
                before = vectors.get(last_layer + 1, part[:0])[:first]
                vectors[last_layer + 1] = np.concatenate([before, part])
        return {
            "outputs": outputs,
            "results": vectors[last_layer + 1],
            "cycles": cycles,
            "reload_cycles": reload_cycles,
            "nanoseconds": nanoseconds,
            "counters": counters,
        }

    async def _read(self, part: NDArray[np.int64], file: int) -> None:
        part[:] = await self._host.read_acts(len(part), file)

    async def _timed(self, work: Coroutine[Any, Any, None]) -> int:
        """Do ``work``; return the cycles it took."""
        begin = get_sim_time("ns")
        await work
        return round((get_sim_time("ns") - begin) / PERIOD_NS)


def split_outputs(data: int, params: EieParams) -> list[int]:
    """Take the outputs of all PEs out of one word."""
    mask, sign = (1 << params.act_bits) - 1, 1 << (params.act_bits - 1)
    words = (data >> pe * params.act_bits & mask for pe in range(params.num_pes))
    return [(word ^ sign) - sign for word in words]


async def read_result(host: EieHost, rows: int) -> list[list[int]]:
    """Read the result of a program that fits one segment, ``[row][pe]``."""
    return await host.read_acts(rows, await host.source())


async def read_counters(host: EieHost, params: EieParams, passes: int) -> list[list[list[int]]]:
    """Read the cycle counters, ``[pass][pe][stall class]``."""
    classes = stall_classes(params)
    if not params.counters:
        return [[[0] * len(classes)] * params.num_pes] * passes
    return [
        [
            [
                await host.read(Space.COUNTER, counter_row(params, number, stall), pe)
                for stall in classes
            ]
            for pe in range(params.num_pes)
        ]
        for number in range(passes)
    ]
