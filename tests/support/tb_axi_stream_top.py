"""Inputs and outputs of inferences as packets of AXI4-Stream; lists and weights in memory."""

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from tests.support.tb_axi_top import SHARE, AxiTopBus
from tests.support.top_bench import pauses
from zeroskip.hw.system.register_map import Register, State

ADDRESSES = 1 << 32
"""Of the chip; the upper half are streams, and a packet ends with the last."""


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def packets(dut: Any) -> None:
    """Start inferences as there is room; each takes a packet, and gives one."""
    Clock(dut.aclk, 10, unit="ns").start()
    dut.aresetn.value = 0
    bus = AxiTopBus(dut, SHARE)
    reset = {"reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_input"), dut.aclk, **reset)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_output"), dut.aclk, **reset)
    for end in (source, sink):
        end.set_pause_generator(pauses(SHARE))
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    found = np.load(Path(os.environ["ZEROSKIP_JOB"]) / "network.npz", allow_pickle=False)
    bus.load(0, found["memory"].tobytes())
    inputs, outputs = found["inputs"], found["outputs"]

    async def start(place: Any) -> None:
        while not await bus.read(Register.CONTROL) & State.AP_READY:
            pass
        await bus.write(Register.LIST, int(place[0]))
        await bus.write(Register.LIST_BYTES, int(place[1]))
        await bus.write(Register.CONTROL, State.AP_START)

    await bus.write(Register.WINDOW_BYTES, 0)
    await bus.write(Register.WINDOW_BYTES_HIGH, 1)
    await bus.write(Register.INPUT, ADDRESSES - inputs.shape[1])
    await bus.write(Register.OUTPUT, ADDRESSES - outputs.shape[1])
    await start(found["setup"])
    for packet in inputs:
        source.send_nowait(packet.tobytes())
        await start(found["list"])
    for expected in outputs:
        frame: Any = await sink.recv()
        assert bytes(frame.tdata) == expected.tobytes()
    while not await bus.read(Register.CONTROL) & State.AP_IDLE:
        pass
    assert await bus.read(Register.DONE) == 1 + len(inputs)
    assert sink.empty()
