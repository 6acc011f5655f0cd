"""Disturb the SCNN array in the middle of runs, see :mod:`tests.support.recover`."""

from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from tests.support.recover import Disturbed, check_recovery, check_restart, check_stalls
from zeroskip.hw.common.control import Control
from zeroskip.hw.scnn.formats import HOST_READS, Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.begin import read_job, reset
from zeroskip.sim.scnn.host import ScnnHost
from zeroskip.sim.scnn.tb_run import parse_load, parse_store


class _Run(Disturbed):
    """A run, and the tensors that it loads."""

    def __init__(self, dut: Any) -> None:
        folder, description = read_job()
        self.params = ScnnParams.from_dict(description["params"])
        self._scnn = ScnnHost(dut, self.params)
        super().__init__(dut, self._scnn, Space.ACT)
        ((self._run,),) = (job["runs"] for job in description["jobs"])
        self._scnn.weights = np.load(folder / "weights_0_0.npy", allow_pickle=False)
        with np.load(folder / "tensors_0.npz", allow_pickle=False) as file:
            self._tensors: dict[str, NDArray[np.int64]] = {name: file[name][0] for name in file}

    async def load(self) -> None:
        loads = tuple(parse_load(load) for load in self._run["loads"])
        await self._scnn.load_tensors(loads, self._tensors)

    async def finish(self) -> list[Any]:
        host = self._scnn
        seen: list[Any] = [await host.read(Space.CONTROL, Control.CYCLES)]
        seen.append(await host.status())
        for store in self._run["stores"]:
            stored = await host.read_store(parse_store(store))
            seen += [part.tolist() for part in stored.directories]
            seen += [part.tolist() for block in stored.words for part in block]
        seen.append((await host.read_counters(self._run["passes"])).tolist())
        return seen


@cocotb.test()
@cocotb.parametrize(how=["reset", "clear", "clear_counters", "start"])
async def recovers(dut: Any, how: str) -> None:
    """Reset, clear or start again at any cycle of a run."""
    run = _Run(dut)
    await reset(dut)
    await check_recovery(run, how, times=15, margin=-3)


@cocotb.test()
async def start_while_running_starts_over(dut: Any) -> None:
    """Give the same result after a second start, if the input is still there."""
    run = _Run(dut)
    await reset(dut)
    await check_restart(run, (1, 5, 9, 30))  # still in the first pass, which leaves its input alone


@cocotb.test()
async def host_port_holds_under_stalls(dut: Any) -> None:
    """Keep an answer until it is taken; let commands to memories wait for the end of a run."""
    run = _Run(dut)
    await reset(dut)
    await check_stalls(run, run.params.num_pes, HOST_READS)
