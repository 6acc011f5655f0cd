"""Disturb the SCNN array in the middle of runs; the run after that must be as if nothing was."""

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from numpy.typing import NDArray

from hw.scnn.formats import Control, Space
from hw.scnn.params import ScnnParams
from sim.bench.scnn_host import ScnnHost
from sim.bench.tb_scnn_run import PERIOD_NS, parse_load, parse_store


class _Run:
    """The only run of a job, and what a host can see of it."""

    def __init__(self, dut: Any) -> None:
        folder = Path(os.environ["ZEROSKIP_JOB"])
        description = json.loads((folder / "job.json").read_text())
        self.params = ScnnParams.from_dict(description["params"])
        ((self._run,),) = (job["runs"] for job in description["jobs"])
        with np.load(folder / "tensors_0.npz", allow_pickle=False) as file:
            self._tensors: dict[str, NDArray[np.int64]] = {name: file[name][0] for name in file}
        self._dut = dut
        self.host = ScnnHost(dut, self.params)

    async def reset(self) -> None:
        """Start the clock, and give the reset."""
        self._dut.rst.value = 1
        Clock(self._dut.clk, PERIOD_NS, unit="ns").start(start_high=False)
        await ClockCycles(self._dut.clk, 2)
        self._dut.rst.value = 0

    async def load(self) -> None:
        """Write the input."""
        loads = tuple(parse_load(one) for one in self._run["loads"])
        await self.host.load_tensors(loads, self._tensors)

    async def finish(self) -> Any:
        """Read cycles, outputs and counters of the run that has ended."""
        host = self.host
        seen: list[Any] = [await host.read(Space.CONTROL, Control.CYCLES)]
        seen.append(await host.read(Space.CONTROL, Control.STATUS))
        ram = await host.source() ^ (not self._run["swapped"])
        for one in self._run["stores"]:
            stored = await host.read_store(parse_store(one), ram)
            seen += [part.tolist() for part in stored.directories]
            seen += [part.tolist() for block in stored.words for part in block]
        seen.append((await host.read_counters(self._run["passes"])).tolist())
        return seen

    async def all(self) -> Any:
        """Run from a known state."""
        await self.host.clear()
        await self.load()
        await self.host.run()
        return await self.finish()


@cocotb.test()
@cocotb.parametrize(how=["reset", "clear", "clear_counters", "start"])
async def recovers(dut: Any, how: str) -> None:
    """Reset, clear or start again at any cycle of a run."""
    run = _Run(dut)
    host = run.host
    await run.reset()
    expected = await run.all()
    assert await run.all() == expected
    for _ in range(15):
        await run.load()
        await host.start()
        await ClockCycles(dut.clk, random.randrange(expected[0] - 3))
        if how == "reset":
            dut.rst.value = 1
            await ClockCycles(dut.clk, 1)
            dut.rst.value = 0
        elif how == "clear":
            await host.clear()
        elif how == "clear_counters":
            await host.clear_counters()
        else:
            await host.start()
            # What the abandoned run left of the input is what the new one sees: let it end.
            await ClockCycles(dut.clk, 3)
            await FallingEdge(dut.running)
            await RisingEdge(dut.clk)
        assert await run.all() == expected


@cocotb.test()
async def start_while_running_starts_over(dut: Any) -> None:
    """Give the same result after a second start, if the input is still there."""
    run = _Run(dut)
    await run.reset()
    expected = await run.all()
    for wait in (1, 5, 9, 30):
        await run.load()
        await run.host.start()
        await ClockCycles(dut.clk, wait)  # still in the first pass, which leaves RAM 0 alone
        await run.host.run()
        assert await run.finish() == expected


@cocotb.test()
async def host_port_holds_under_stalls(dut: Any) -> None:
    """Keep an answer until it is taken; let commands to memories wait for the end of a run."""
    run = _Run(dut)
    host = run.host
    await run.reset()
    expected = await run.all()
    version = await host.read(Space.CONTROL, Control.VERSION)
    assert version >> 16 == run.params.num_pes
    dut.rsp__ready.value = 0
    reading = cocotb.start_soon(host.read(Space.CONTROL, Control.CYCLES))
    await RisingEdge(dut.rsp__valid)
    for _ in range(10):
        await RisingEdge(dut.clk)
        assert dut.rsp__valid.value
        assert not dut.cmd__ready.value
        assert dut.rsp__payload.value.to_unsigned() == expected[0]
    dut.rsp__ready.value = 1
    assert await reading == expected[0]

    await host.clear_counters()
    await run.load()
    await host.start()
    await ClockCycles(dut.clk, 3)
    assert await host.read(Space.CONTROL, Control.STATUS) & 1  # answered during the run
    await host.read(Space.ACT, 0)  # answered after it
    assert not dut.running.value
    assert await run.finish() == expected
