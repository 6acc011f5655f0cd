"""Run a compiled CNN on the chip: pixels in, classes out, and nothing in between.

Not a test of its own: it records what the hardware did, for the caller to compare.
"""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import SimTimeoutError
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from zeroskip.hw.chip.formats import Go
from zeroskip.hw.common.control import Control, StatusBit
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.begin import PERIOD_NS, read_job, record, reset
from zeroskip.sim.chip.host import ChipHost
from zeroskip.sim.eie.tb_run import read_counters, read_result, split_outputs
from zeroskip.sim.scnn.tb_run import ScnnRuns


@cocotb.test()
async def run_chip(dut: Any) -> None:
    """Run every sample of the job; write ``results_0.npz`` beside it."""
    folder, description = read_job()
    (job,) = description["jobs"]
    scnn = ScnnParams.from_dict(description["params"])
    eie = EieParams.from_dict(description["eie_params"])
    host = ChipHost(dut, scnn, eie)
    await reset(dut)
    recorded: list[tuple[int, ...]] = []
    fields = dut.scnn_out_pass, dut.scnn_out_lanes, dut.scnn_out_data
    cocotb.start_soon(record(dut.clk, dut.scnn_out_valid, fields, recorded))
    rows: list[tuple[int, ...]] = []
    fields = dut.eie_out_pass, dut.eie_out_row, dut.eie_out_data
    cocotb.start_soon(record(dut.clk, dut.eie_out_valid, fields, rows))
    await host.configure(description["handoff"])
    final = len(job["runs"]) - 1
    latencies: list[int] = []

    async def go() -> None:
        """Run SCNN; behind its last run the handoff and EIE."""
        what = Go.SCNN
        if runs.at == final:
            what |= Go.HANDOFF | Go.EIE
        begin = get_sim_time("ns")
        await host.go(what)
        latencies.append(round((get_sim_time("ns") - begin) / PERIOD_NS))

    runs = ScnnRuns(host.scnn, scnn, recorded, job["runs"], folder, 0, go)
    results: dict[str, NDArray[Any]] = {}
    for sample, tensors in enumerate(runs.load_samples()):
        for name, shape in job["shapes"].items():
            tensors.setdefault(name, np.zeros(shape, np.int64))
        await host.scnn.clear()
        await host.eie.clear()
        rows.clear()
        latencies.clear()
        try:
            got = await runs.run(tensors, again=sample > 0)
        except SimTimeoutError:
            (folder / "hang").write_text(f"sample {sample}, run {runs.at}")
            return
        if await host.status() & StatusBit.LOST:
            (folder / "lost").write_text(f"sample {sample}, run {runs.at}")
            return
        written = [[number, row] for number, row, _ in rows]
        if written != description["drained"]:
            raise RuntimeError(f"EIE wrote passes and rows {written}")
        got["eie/outputs"] = np.array([split_outputs(data, eie) for _, _, data in rows], np.int64)
        passes = description["eie_passes"]
        got["eie/counters"] = np.array(await read_counters(host.eie, eie, passes), np.int64)
        got["eie/cycles"] = np.array(await host.eie.read(Space.CONTROL, Control.CYCLES))
        got["eie/result"] = np.array(
            await read_result(host.eie, description["result_rows"]), np.int64
        )
        got["latency"] = np.array(latencies, np.int64)
        results |= {f"{sample}/{key}": value for key, value in got.items()}
    np.savez(folder / "results_0.npz", allow_pickle=False, **results)
