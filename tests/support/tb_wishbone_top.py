"""Networks on the Wishbone top, with a processor and a memory that take their time."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from tests.support.top_bench import pauses, run_job

SIZE = 1 << 20
SHARE = 0.4
"""Of the cycles, those in which a channel pauses."""


class WishboneTopBus:
    """A top's ports. The memory answers a word whenever it does not pause."""

    def __init__(self, dut: Any, share: float) -> None:
        self.interrupt, self._dut, self._share = dut.interrupt, dut, share
        self._memory = bytearray(SIZE)
        for name in ("cyc", "stb", "we"):
            getattr(dut, f"wbs_{name}_i").value = 0
        dut.wbm_ack_i.value = dut.wbm_err_i.value = 0
        cocotb.start_soon(self._serve())

    async def _access(self, register: int, *, value: int | None = None) -> int:
        dut = self._dut
        await ClockCycles(dut.clk_i, random.choice([1, 1, 3]))
        dut.wbs_cyc_i.value = dut.wbs_stb_i.value = 1
        dut.wbs_we_i.value = int(value is not None)
        dut.wbs_adr_i.value = int(register)
        dut.wbs_sel_i.value = 15
        dut.wbs_dat_i.value = int(value or 0)
        await RisingEdge(dut.clk_i)
        while not dut.wbs_ack_o.value:
            await RisingEdge(dut.clk_i)
        word = dut.wbs_dat_o.value.to_unsigned() if value is None else 0
        dut.wbs_cyc_i.value = dut.wbs_stb_i.value = 0
        return word

    async def read(self, register: int) -> int:
        return await self._access(register)

    async def write(self, register: int, value: int) -> None:
        await self._access(register, value=value)

    def load(self, address: int, contents: bytes) -> None:
        self._memory[address : address + len(contents)] = contents

    def contents(self, address: int, size: int) -> bytes:
        return bytes(self._memory[address : address + size])

    async def _serve(self) -> None:
        dut, size = self._dut, len(self._dut.wbm_dat_i) // 8
        pausing = pauses(self._share)
        acknowledged = False
        while True:
            await RisingEdge(dut.clk_i)
            if acknowledged or not (dut.wbm_cyc_o.value and dut.wbm_stb_o.value) or next(pausing):
                dut.wbm_ack_i.value = 0
                acknowledged = False
                continue
            at = dut.wbm_adr_o.value.to_unsigned()
            assert at % size == 0
            if dut.wbm_we_o.value:
                word = dut.wbm_dat_o.value.to_unsigned().to_bytes(size, "little")
                for k in range(size):
                    if dut.wbm_sel_o.value.to_unsigned() >> k & 1:
                        self._memory[at + k] = word[k]
            else:
                dut.wbm_dat_i.value = int.from_bytes(self._memory[at : at + size], "little")
            dut.wbm_ack_i.value = 1
            acknowledged = True


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def networks(dut: Any) -> None:
    """Run all networks of the job."""
    Clock(dut.clk_i, 10, unit="ns").start()
    dut.rst_i.value = 1
    bus = WishboneTopBus(dut, SHARE)
    await ClockCycles(dut.clk_i, 4)
    dut.rst_i.value = 0
    await run_job(bus)
