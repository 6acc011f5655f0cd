"""Let a processor run its firmware, and write down what it sends."""

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

BAUD_CYCLES = 4


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def firmware(dut: Any) -> None:
    """Reset, and read the UART's line until the firmware has ended."""
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start()
    await ClockCycles(dut.clk, 4)
    sent = bytearray()

    async def receive() -> None:
        while True:
            await FallingEdge(dut.tx)
            await ClockCycles(dut.clk, BAUD_CYCLES + BAUD_CYCLES // 2)
            byte = 0
            for bit in range(8):
                byte |= int(dut.tx.value) << bit
                await ClockCycles(dut.clk, BAUD_CYCLES)
            assert dut.tx.value, "no stop bit"
            sent.append(byte)
            (folder / "sent.txt").write_bytes(sent)

    folder = Path(os.environ["ZEROSKIP_JOB"])
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)
    cocotb.start_soon(receive())
    if not dut.finished.value:
        await RisingEdge(dut.finished)
    await ClockCycles(dut.clk, 20 * BAUD_CYCLES)
    assert dut.status.value.to_unsigned() == 0, sent
