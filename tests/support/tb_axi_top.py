"""Networks on the AXI top, with a master and a memory of cocotbext-axi, which others wrote."""

from mmap import mmap
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from tests.support.top_bench import pauses, run_job

SIZE = 1 << 20
SHARE = 0.4
"""Of the cycles, those in which a channel pauses."""


class AxiTopBus:
    """A top's ports; all their channels pause, at random.

    Parameters
    ----------
    dut, share : the top, and the share of the cycles in which a channel pauses.
    memory : its memory, if others see it, too.
    """

    def __init__(self, dut: Any, share: float, memory: mmap | None = None) -> None:
        self.interrupt = dut.interrupt
        reset = dut.aresetn
        self._ram = AxiRam(
            AxiBus.from_prefix(dut, "m_axi_gmem"), dut.aclk, reset, reset_active_level=False,
            size=SIZE, mem=memory,
        )  # fmt: skip
        self._master = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.aclk, reset, reset_active_level=False
        )
        for side, channels in (
            (self._ram.write_if, ("aw", "w", "b")),
            (self._ram.read_if, ("ar", "r")),
            (self._master.write_if, ("aw", "w", "b")),
            (self._master.read_if, ("ar", "r")),
        ):
            for name in channels:
                getattr(side, f"{name}_channel").set_pause_generator(pauses(share))

    async def read(self, register: int) -> int:
        answer: Any = await self._master.read(int(register), 4)
        return int.from_bytes(answer.data, "little")

    async def write(self, register: int, value: int) -> None:
        await self._master.write(int(register), int(value).to_bytes(4, "little"))

    def load(self, address: int, contents: bytes) -> None:
        self._ram.write(address, contents)

    def contents(self, address: int, size: int) -> bytes:
        found: Any = self._ram.read(address, size)
        return bytes(found)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def networks(dut: Any) -> None:
    """Run all networks of the job."""
    Clock(dut.aclk, 10, unit="ns").start()
    dut.aresetn.value = 0
    bus = AxiTopBus(dut, SHARE)
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    await run_job(bus)
