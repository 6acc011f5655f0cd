"""Run a C program with the driver, as a library of this process, on the simulated AXI top."""

import contextlib
import ctypes
import io
import json
import mmap
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles

from tests.support.tb_axi_top import SIZE, AxiTopBus
from zeroskip.cli import host_devices
from zeroskip.cli.app import app
from zeroskip.cli.guard import run_guarded
from zeroskip.flow.host.mapped import MappedMemory

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
    """Drive the chip with the command line, as one whose registers and memory are mapped."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    bus, memory = await begin(dut)
    found = np.load(folder / "network.npz", allow_pickle=False)

    class Simulated:
        read = staticmethod(resume(bus.read))
        write = staticmethod(resume(bus.write))

    def host(*arguments: str | Path) -> Any:
        options = ["host", "--registers", str(folder / "uio0"), "--memory", "mem"]
        said = io.StringIO()
        with (
            patch.object(host_devices, "map_registers", lambda *_: Simulated()),
            patch.object(host_devices, "map_memory", lambda *_: MappedMemory(memory)),
            contextlib.redirect_stdout(said),
        ):
            code = run_guarded(
                app, "zeroskip", [*options, "--patience", "100000", *map(str, arguments), "--json"]
            )
        assert code == 0, arguments
        return json.loads(said.getvalue())

    def call() -> Any:
        identity = host("identify")
        host("load", folder / "image")
        return identity, host("run", "--input", folder / "inputs.npy", "--verify")

    identity, document = await bridge(call)()
    assert identity["port_bits"] == 64
    assert document["words_differ"] == 0
    assert document["cycles_differ"] is None
    assert min(document["cycles"]) > 10
    assert len(document["outputs"]) == len(found["outputs"])


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
