"""Disturb an array in the middle of runs; the run after that must be as if nothing was."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from zeroskip.hw.common.control import CONTROL_SPACE, Control, StatusBit
from zeroskip.sim.bench.host import HostPort

__all__ = ["Disturbed", "check_recovery", "check_restart", "check_stalls"]


class Disturbed(ABC):
    """The only run of a job.

    Parameters
    ----------
    dut : the array; its reset is over.
    host : to command it with.
    memory : a space that a host reads only between runs.
    """

    def __init__(self, dut: Any, host: HostPort, memory: Any) -> None:
        self.dut, self.host, self.memory = dut, host, memory

    @abstractmethod
    async def load(self) -> None:
        """Write the input."""

    @abstractmethod
    async def finish(self) -> list[Any]:
        """Read what a host can see of the run that has ended: cycles, then anything."""

    async def all(self) -> list[Any]:
        """Run from a known state; return what a host can see, :meth:`finish` first."""
        await self.host.clear()
        await self.load()
        await self.host.run()
        return await self.finish()


async def check_recovery(run: Disturbed, how: str, times: int, margin: int) -> None:
    """Reset, clear or start again, ``times`` times, at any cycle of a run and ``margin`` more."""
    dut, host = run.dut, run.host
    expected = await run.all()
    assert await run.all() == expected
    for _ in range(times):
        await run.load()
        await host.start()
        await ClockCycles(dut.clk, random.randrange(expected[0] + margin))
        if how == "reset":
            dut.rst.value = 1
            await ClockCycles(dut.clk, 1)
            dut.rst.value = 0
        elif how == "clear":
            await host.clear()
        elif how == "clear_counters":
            await host.clear_counters()
        else:
            # What the abandoned run left of the input is what the new one sees: let it end.
            await host.run()
        assert await run.all() == expected


async def check_restart(run: Disturbed, waits: Iterable[int]) -> None:
    """Start a second time after ``waits`` cycles, which leave the input as it is."""
    expected = await run.all()
    for wait in waits:
        await run.load()
        await run.host.start()
        await ClockCycles(run.dut.clk, wait)
        await run.host.run()
        seen = await run.finish()
        assert seen == expected[: len(seen)]


async def check_stalls(run: Disturbed, num_pes: int, reads: int = 1) -> None:
    """Keep answers until they are taken; let commands to memories wait for the end of a run.

    Parameters
    ----------
    run, num_pes : of the array.
    reads : that may have been taken and not answered.
    """
    dut, host = run.dut, run.host
    expected = await run.all()
    version = await host.read(CONTROL_SPACE, Control.VERSION)
    assert version >> 16 == num_pes
    dut.rsp__ready.value = 0
    await host.ask(CONTROL_SPACE, Control.CYCLES)
    asking = cocotb.start_soon(_ask_version(host, reads))
    await RisingEdge(dut.rsp__valid)
    for _ in range(10 + reads):
        await RisingEdge(dut.clk)
        assert dut.rsp__valid.value
        assert dut.rsp__payload.value.to_unsigned() == expected[0]
    assert dut.cmd__valid.value  # the last one, for which there is no room
    assert not dut.cmd__ready.value
    dut.rsp__ready.value = 1
    answers: list[int] = []
    while len(answers) <= reads:
        await RisingEdge(dut.clk)
        if dut.rsp__valid.value:
            answers.append(dut.rsp__payload.value.to_unsigned())
    assert answers == [expected[0], *[version] * reads]
    await asking

    await host.clear_counters()
    await run.load()
    await host.start()
    assert await host.status() & StatusBit.RUNNING  # answered during the run
    await host.read(run.memory, 0)  # answered after it
    assert not dut.running.value
    seen = await run.finish()
    assert seen == expected[: len(seen)]


async def _ask_version(host: HostPort, times: int) -> None:
    for _ in range(times):
        await host.ask(CONTROL_SPACE, Control.VERSION)
