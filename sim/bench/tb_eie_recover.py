"""Disturb the EIE array in the middle of runs; the run after that must be as if nothing was."""

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

from hw.eie.formats import Control, Space
from hw.eie.params import EieParams
from sim.bench.host import Host
from sim.bench.tb_eie_run import read_counters, read_result


async def _begin(dut: Any) -> tuple[Host, EieParams, dict[str, Any], NDArray[np.int64]]:
    folder = Path(os.environ["ZEROSKIP_JOB"])
    job = json.loads((folder / "job.json").read_text())
    params = EieParams.from_dict(job["params"])
    (inputs,) = np.load(folder / "inputs_0.npy", allow_pickle=False)
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start(start_high=False)
    host = Host(dut, params)
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    (segment,) = job["jobs"][0]["segments"]
    return host, params, segment, inputs


async def _run(host: Host, params: EieParams, job: dict[str, Any], rows: NDArray[np.int64]) -> Any:
    """Run from a known state; return all that a host can see of it."""
    await host.clear()
    await host.load_acts(rows)
    await host.run()
    cycles = await host.read(Space.CONTROL, Control.CYCLES)
    result = await read_result(host, job["store"][1])
    return cycles, result, await read_counters(host, params, job["num_passes"])


@cocotb.test()
@cocotb.parametrize(how=["reset", "clear", "start"])
async def recovers(dut: Any, how: str) -> None:
    """Reset, clear or start again at any cycle of a run."""
    host, params, job, rows = await _begin(dut)
    expected = await _run(host, params, job, rows)
    for _ in range(25):
        await host.load_acts(rows)
        await host.start()
        await ClockCycles(dut.clk, random.randrange(expected[0] + 5))
        if how == "reset":
            dut.rst.value = 1
            await ClockCycles(dut.clk, 1)
            dut.rst.value = 0
        elif how == "clear":
            await host.clear()
        else:
            await host.start()
            # What the abandoned run left of the input is what the new one sees: let it end.
            await ClockCycles(dut.clk, 3)
            await FallingEdge(dut.running)
            await RisingEdge(dut.clk)
        assert await _run(host, params, job, rows) == expected


@cocotb.test()
async def start_while_running_starts_over(dut: Any) -> None:
    """Give the same result after a second start, if the input is still there."""
    host, params, job, rows = await _begin(dut)
    expected = await _run(host, params, job, rows)
    for wait in (1, 5, 30):
        await host.load_acts(rows)
        await host.start()
        await ClockCycles(dut.clk, wait)  # still in the first layer, which leaves file 0 alone
        await host.run()
        assert await host.read(Space.CONTROL, Control.CYCLES) == expected[0]
        assert await read_result(host, job["store"][1]) == expected[1]


@cocotb.test()
async def host_port_holds_under_stalls(dut: Any) -> None:
    """Keep an answer until it is taken; let commands to memories wait for the end of a run."""
    host, params, job, rows = await _begin(dut)
    expected = await _run(host, params, job, rows)
    assert await host.read(Space.CONTROL, Control.VERSION) >> 16 == params.num_pes
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

    await host.load_acts(rows)
    await host.start()
    await ClockCycles(dut.clk, 3)
    assert await host.read(Space.CONTROL, Control.STATUS) & 1  # answered during the run
    await host.read(Space.ACT, 0)  # answered after it
    assert not dut.running.value
    assert await read_result(host, job["store"][1]) == expected[1]
