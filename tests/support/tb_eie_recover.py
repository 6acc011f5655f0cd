"""Disturb the EIE array in the middle of runs, see :mod:`tests.support.recover`."""

from typing import Any

import cocotb
import numpy as np

from tests.support.recover import Disturbed, check_recovery, check_restart, check_stalls
from zeroskip.hw.common.control import Control
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.bench.begin import read_job, reset
from zeroskip.sim.eie.host import EieHost
from zeroskip.sim.eie.tb_run import read_counters, read_result


class _Run(Disturbed):
    """A program of one segment, and its input."""

    def __init__(self, dut: Any) -> None:
        folder, job = read_job()
        self.params = EieParams.from_dict(job["params"])
        self._eie = EieHost(dut, self.params)
        super().__init__(dut, self._eie, Space.ACT)
        ((self._segment,),) = (record["segments"] for record in job["jobs"])
        (self._rows,) = np.load(folder / "inputs_0.npy", allow_pickle=False)

    async def load(self) -> None:
        await self._eie.load_acts(self._rows)

    async def finish(self) -> list[Any]:
        cycles = await self.host.read(Space.CONTROL, Control.CYCLES)
        return [cycles, await read_result(self._eie, self._segment["store"][1])]

    async def all(self) -> list[Any]:
        # Counters go on counting where a run was abandoned: they are for whole runs only.
        seen = await super().all()
        return [*seen, await read_counters(self._eie, self.params, self._segment["num_passes"])]


@cocotb.test()
@cocotb.parametrize(how=["reset", "clear", "start"])
async def recovers(dut: Any, how: str) -> None:
    """Reset, clear or start again at any cycle of a run."""
    run = _Run(dut)
    await reset(dut)
    await check_recovery(run, how, times=25, margin=5)


@cocotb.test()
async def start_while_running_starts_over(dut: Any) -> None:
    """Give the same result after a second start, if the input is still there."""
    run = _Run(dut)
    await reset(dut)
    await check_restart(run, (1, 5, 30))  # still in the first layer, which leaves file 0 alone


@cocotb.test()
async def host_port_holds_under_stalls(dut: Any) -> None:
    """Keep an answer until it is taken; let commands to memories wait for the end of a run."""
    run = _Run(dut)
    await reset(dut)
    await check_stalls(run, run.params.num_pes)
