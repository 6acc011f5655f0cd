"""Run a compiled image on the EIE array: inputs in, every output word and counter out.

Not a test of its own: it records what the hardware did, for the caller to compare.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, with_timeout

from hw.eie.formats import Control, Space, StallClass
from hw.eie.params import EieParams
from sim.bench.host import Host

__all__ = ["read_counters", "read_result"]

PERIOD_NS = 10


@cocotb.test()
async def run_image(dut: Any) -> None:
    """Run every input of the job; write ``results.npz`` beside it."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    job = json.loads((folder / "job.json").read_text())
    params = EieParams.from_dict(job["params"])
    dut.rst.value = 1
    Clock(dut.clk, PERIOD_NS, unit="ns").start(start_high=False)
    host = Host(dut, params)
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    recorded: list[tuple[int, int, int]] = []
    cocotb.start_soon(_record(dut, recorded))

    for number, one in enumerate(job["jobs"]):
        for space, row, word, pe in one["writes"]:
            await host.write(Space(space), row, word, pe)
        inputs = np.load(folder / f"inputs_{number}.npy", allow_pickle=False)
        outputs, results, cycles, counters = [], [], [], []
        for sample, rows in enumerate(inputs):
            await host.clear()
            await host.load_input(rows.tolist())
            recorded.clear()
            try:
                await with_timeout(host.run(), one["max_cycles"] * PERIOD_NS, "ns")
            except SimTimeoutError:
                (folder / "hang").write_text(str(sample))
                return
            written = [[at, row] for at, row, _ in recorded]
            if written != one["drained"]:
                raise RuntimeError(f"passes and rows {written} were written")
            outputs.append([_split(data, params) for _, _, data in recorded])
            results.append(await read_result(host, params, one["result_rows"]))
            cycles.append(await host.read(Space.CONTROL, Control.CYCLES))
            counters.append(await read_counters(host, params, one["num_passes"]))
            with open(folder / "progress", "a") as file:
                file.write("\n")
        np.savez(
            folder / f"results_{number}.npz",
            outputs=np.array(outputs, np.int64),
            results=np.array(results, np.int64),
            cycles=np.array(cycles, np.int64),
            counters=np.array(counters, np.int64),
        )


async def _record(dut: Any, recorded: list[tuple[int, int, int]]) -> None:
    """Append pass, row and data of every row of outputs that is written."""
    valid, clk = dut.out_valid, dut.clk
    while True:
        await RisingEdge(valid)
        await RisingEdge(clk)
        while valid.value:
            recorded.append((
                dut.out_pass.value.to_unsigned(),
                dut.out_row.value.to_unsigned(),
                dut.out_data.value.to_unsigned(),
            ))
            await RisingEdge(clk)


def _split(data: int, params: EieParams) -> list[int]:
    """Take the outputs of all PEs out of one word."""
    mask, sign = (1 << params.act_bits) - 1, 1 << (params.act_bits - 1)
    words = (data >> pe * params.act_bits & mask for pe in range(params.num_pes))
    return [(word ^ sign) - sign for word in words]


async def read_result(host: Host, params: EieParams, rows: int) -> list[list[int]]:
    """Read the result as a host would, ``[row][pe]``."""
    file = await host.read(Space.CONTROL, Control.STATUS) >> 1 & 1
    base = file << params.act_addr_bits
    return [
        [
            await host.read_signed(Space.ACT, base + row, params.act_bits, pe)
            for pe in range(params.num_pes)
        ]
        for row in range(rows)
    ]


async def read_counters(host: Host, params: EieParams, passes: int) -> list[list[list[int]]]:
    """Read the cycle counters, ``[pass][pe][stall class]``."""
    if not params.counters:
        return [[[0] * len(StallClass)] * params.num_pes] * passes
    return [
        [
            [
                await host.read(Space.COUNTER, at * len(StallClass) + stall, pe)
                for stall in StallClass
            ]
            for pe in range(params.num_pes)
        ]
        for at in range(passes)
    ]
