"""Run networks on an EIE array whose inputs and outputs stream while it computes, at drawn times.

The next input loads during a run, which may begin before its own input is there; results leave
during the next run.
"""

from random import Random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge
from numpy.typing import NDArray

from zeroskip.hw.common.control import Command, Control
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.begin import read_job, reset
from zeroskip.sim.eie.host import EieHost
from zeroskip.sim.eie.tb_run import read_counters, split_outputs

__all__ = ["run_streams"]


class _Rows:
    """What moves rows; all cycles are counted from the reset."""

    def __init__(self, dut: Any, params: EieParams) -> None:
        self._dut, self._p = dut, params
        self._edge = RisingEdge(dut.clk)
        self.came: list[int] = []
        self.began: list[int] = []

    async def watch(self) -> None:
        """Note when rows come, and runs begin."""
        dut, cycle, ran = self._dut, 0, True
        while True:
            await self._edge
            if dut.rows_in__valid.value and dut.rows_in__ready.value:
                self.came.append(cycle)
            running = bool(dut.running.value)
            if running and not ran:
                self.began.append(cycle + 1)
            ran = running
            cycle += 1

    async def wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await self._edge

    async def load(self, rows: NDArray[np.int64], rng: Random, longest: int) -> None:
        """Load rows into the free file; to be started in the cycle in which it begins."""
        dut, bits = self._dut, self._p.act_bits
        dut.in_base.value, dut.in_rows.value = 0, len(rows)
        dut.in_start.value = 1
        await self._edge
        dut.in_start.value = 0
        for row in rows.tolist():
            await self.wait(rng.randint(0, longest) if rng.random() < 0.5 else 0)
            word = sum((act & (1 << bits) - 1) << bits * pe for pe, act in enumerate(row))
            dut.rows_in__payload.value = word
            dut.rows_in__valid.value = 1
            await self._edge
            while not dut.rows_in__ready.value:
                await self._edge
            dut.rows_in__valid.value = 0

    async def store(self, count: int, swapped: bool, rng: Random) -> list[list[int]]:
        """Take the rows of a result."""
        dut, share, got = self._dut, rng.choice([0.1, 0.5, 1.0]), []
        dut.out_base.value, dut.out_rows.value = 0, count
        dut.out_dest.value = not swapped
        dut.out_follow.value = swapped
        dut.out_start.value = 1
        await self._edge
        dut.out_start.value = 0
        offered = None
        while len(got) < count:
            dut.rows_out__ready.value = rng.random() < share
            await self._edge
            if offered is not None:
                assert dut.rows_out__valid.value
                assert dut.rows_out__payload.value == offered
            offered = dut.rows_out__payload.value if dut.rows_out__valid.value else None
            if offered is not None and dut.rows_out__ready.value:
                got.append(split_outputs(offered.to_unsigned(), self._p))
                offered = None
        dut.rows_out__ready.value = 0
        return got


@cocotb.test()
async def run_streams(dut: Any) -> None:
    """Run every input of the jobs; write ``results_<job>.npz`` beside them."""
    folder, job = read_job()
    params = EieParams.from_dict(job["params"])
    host = EieHost(dut, params)
    await reset(dut)
    rows = _Rows(dut, params)
    cocotb.start_soon(rows.watch())
    for number, record in enumerate(job["jobs"]):
        rng = Random(number)
        (segment,) = record["segments"]
        inputs = np.load(folder / f"inputs_{number}.npy", allow_pickle=False)
        await host.write_all(np.load(folder / f"writes_{number}_begin.npy", allow_pickle=False))
        await host.clear()
        count = segment["store"][1]
        longest = rng.choice([0, 1, 8, 60])
        cycles, stores = [], []
        rows.came.clear()
        rows.began.clear()
        loading = cocotb.start_soon(rows.load(inputs[0], rng, longest))
        for sample in range(len(inputs)):
            await rows.wait(rng.choice([1, 1, 2, rng.randrange(1, 40)]))
            await host.write(Space.CONTROL, Control.COMMAND, Command.START | Command.NEXT)
            if not dut.running.value:
                await RisingEdge(dut.running)
            if sample + 1 < len(inputs):
                await rows.wait(rng.choice([0, rng.randrange(60)]))
                await loading
                loading = cocotb.start_soon(rows.load(inputs[sample + 1], rng, longest))
            if dut.running.value:
                await FallingEdge(dut.running)
            await RisingEdge(dut.clk)
            cycles.append(await host.read(Space.CONTROL, Control.CYCLES))
            if stores:
                await stores[-1]
            stores.append(cocotb.start_soon(rows.store(count, segment["swapped"], rng)))
            await rows.wait(1)
        results = [await store for store in stores]
        came = np.array(rows.came).reshape(inputs.shape[:2])
        np.savez(
            folder / f"results_{number}.npz",
            results=np.array(results),
            cycles=np.array(cycles),
            counters=np.array(await read_counters(host, params, segment["num_passes"])),
            row_at=came - np.array(rows.began)[:, None],
            began=np.array(rows.began),
        )
        with open(folder / "progress", "a") as file:
            file.write("\n" * len(inputs))
