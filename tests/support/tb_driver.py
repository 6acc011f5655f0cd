"""Run a C program with the driver, as a library of this process, on the simulated AXI top."""

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles

from tests.support.tb_axi_top import SIZE, AxiTopBus
from zeroskip.compiler.image.image import load
from zeroskip.compiler.system.build import build_system
from zeroskip.flow.host.chip import ChipHost
from zeroskip.flow.host.mapped import MappedMemory
from zeroskip.hw.system.params import SystemParams

REGISTERS = 0x1000
"""Where the program is told that registers are; nothing is there."""


async def begin(dut: Any) -> tuple[AxiTopBus, mmap.mmap]:
    """Reset the chip; return its bus and its memory."""
    Clock(dut.aclk, 10, unit="ns").start()
    dut.aresetn.value = 0
    memory = mmap.mmap(-1, SIZE)
    bus = AxiTopBus(dut, 0.2, memory)
    await ClockCycles(dut.aclk, 4)
    dut.aresetn.value = 1
    return bus, memory


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def mapped(dut: Any) -> None:
    """Drive the chip from Python, as one whose registers and memory are mapped."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    bus, memory = await begin(dut)
    found = np.load(folder / "network.npz", allow_pickle=False)
    image = load(folder / "image")

    class Simulated:
        read = staticmethod(resume(bus.read))
        write = staticmethod(resume(bus.write))

    def call() -> Any:
        system = build_system(image, SystemParams(data_bits=64))
        chip = ChipHost(Simulated(), MappedMemory(memory), image, system, patience=None)
        chip.load()
        return chip.run(found["inputs"])

    assert (await bridge(call)() == found["outputs"]).all()


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(function=["run_all", "run_refusals", "run_failure", "run_anywhere"])
async def program(dut: Any, function: str) -> None:
    """Call a function of the program; it returns the number of the line that it failed in."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    library = ctypes.CDLL(str(folder / "program.so"))
    bus, memory = await begin(dut)
    written: list[int] = []

    async def read(pointer: int) -> int:
        return await bus.read(pointer - REGISTERS)

    async def write(pointer: int, value: int) -> None:
        written.append(pointer - REGISTERS)
        await bus.write(pointer - REGISTERS, value)

    hooks = (
        ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_size_t)(resume(read)),
        ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32)(resume(write)),
    )
    for name, hook in zip(("shim_read_hook", "shim_write_hook"), hooks, strict=True):
        ctypes.c_void_p.in_dll(library, name).value = ctypes.cast(hook, ctypes.c_void_p).value
    found = np.load(folder / "network.npz", allow_pickle=False)
    image = (folder / "memory.bin").read_bytes()
    inputs = np.ascontiguousarray(found["inputs"], np.int32)
    outputs = np.zeros(found["outputs"].shape, np.int32)
    place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    arguments: dict[str, list[Any]] = {
        "run_all": [image, inputs.ctypes.data_as(ctypes.c_void_p), len(inputs)],
        "run_failure": [image, inputs.ctypes.data_as(ctypes.c_void_p)],
        "run_anywhere": [image, inputs.ctypes.data_as(ctypes.c_void_p)],
        "run_refusals": [],
    }
    pointers = [ctypes.c_void_p(REGISTERS), ctypes.c_void_p(place), *arguments[function]]
    if arguments[function]:
        pointers.append(outputs.ctypes.data_as(ctypes.c_void_p))

    def call() -> int:
        return getattr(library, function)(*pointers)

    line = await bridge(call)()
    assert line == 0, f"program.c:{line}"
    if function == "run_all":
        assert (outputs == found["outputs"]).all()
    elif function == "run_anywhere":
        assert (outputs[0] == found["outputs"][0]).all()
    elif function == "run_failure":
        assert (outputs[:2] == found["outputs"][:2]).all()
    else:
        assert not written
