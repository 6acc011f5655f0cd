"""A chip that runs command lists, and its memory, behind the host port of boards."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.system.chip import EngineUnit, SystemChip
from zeroskip.hw.system.memory import MemoryModel, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS

__all__ = [
    "BOARD_KIND",
    "BOARD_PORT",
    "MEMORY",
    "SystemBoardParams",
    "SystemHost",
    "SystemSpace",
    "host_layout",
]

BOARD_KIND = 2
"""Number by which a board tells that it has a chip that runs command lists."""

BOARD_PORT = SystemParams(data_bits=64, addr_bits=20, burst_beats=16, outstanding=2, starts=1)
"""Port of a board's chip to its memory, whose addresses reach further than block memories do."""

MEMORY = MemorySettings()
"""How the memory behaves: a beat a cycle, from the second cycle after its address on."""


class SystemSpace(enum.IntEnum):
    """Address spaces of the host port."""

    REGISTER = 0
    """A row is a register, of 32 bits; they can be reached at any time."""
    MEMORY = 1
    """A row is a beat of the memory behind the chip's AXI ports; reached between inferences."""


@dataclass(frozen=True, kw_only=True)
class SystemBoardParams:
    """Sizes of a board's chip.

    Parameters
    ----------
    arrays : parameters by engine, in the order of their numbers.
    memory_bytes : of the memory behind the port.
    port : of the chip to its memory.
    """

    arrays: Mapping[str, Any]
    memory_bytes: int
    port: SystemParams = field(default=BOARD_PORT)


def host_layout(port: SystemParams) -> data.StructLayout:
    """Lay out a command of the host; there is one PE, the chip."""
    command = data.StructLayout({
        "data": unsigned(port.data_bits),
        "addr": unsigned(24),
        "space": unsigned(1),
        "write": unsigned(1),
    })
    return data.StructLayout({"command": command, "pe": unsigned(1)})


class SystemHost(wiring.Component):
    """A chip with its memory, which the host reaches between inferences, and the chip in them.

    Parameters
    ----------
    params : its sizes.
    units : of the chip, see :class:`.SystemChip`.

    Members
    -------
    cmd : ``In(stream(host_layout))``; a command to the memory waits for the end of inferences.
    rsp : ``Out(stream(data_bits))``, what was read.
    running : Out, an inference is queued or under way.
    """

    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal

    def __init__(self, params: SystemBoardParams, units: Mapping[str, partial[EngineUnit]]) -> None:
        self._p, self._units = params, units
        super().__init__({
            "cmd": In(stream.Signature(host_layout(params.port))),
            "rsp": Out(stream.Signature(params.port.data_bits)),
            "running": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chip = chip = SystemChip(self._p.port, self._units)
        m.submodules.memory = memory = MemoryModel(self._p.port, self._p.memory_bytes)
        connect(m, chip.read, memory.read)
        connect(m, chip.write, memory.write)
        settings = MEMORY.ports()
        m.d.comb += [getattr(memory.settings, name).eq(value) for name, value in settings.items()]
        command: Any = self.cmd.payload.command
        registers, port = chip.registers, self.cmd
        of_memory = command.space == SystemSpace.MEMORY
        register = port.valid & ~of_memory
        # What was read of the memory stays at its port.
        there = Signal()
        m.d.comb += [
            self.running.eq(chip.busy),
            registers.aw.payload.eq(command.addr[: REGISTER_BITS - 2] << 2),
            registers.w.payload.data.eq(command.data),
            registers.w.payload.strb.eq(0b1111),
            registers.aw.valid.eq(register & command.write),
            registers.w.valid.eq(register & command.write),
            registers.b.ready.eq(1),
            registers.ar.payload.eq(command.addr[: REGISTER_BITS - 2] << 2),
            registers.ar.valid.eq(register & ~command.write),
            registers.r.ready.eq(self.rsp.ready),
            memory.host_en.eq(port.valid & port.ready & of_memory),
            memory.host_write.eq(command.write),
            memory.host_row.eq(command.addr),
            memory.host_data.eq(command.data),
            self.rsp.valid.eq(registers.r.valid | there),
        ]
        with m.If(there):
            m.d.comb += self.rsp.payload.eq(memory.host_answer)
        with m.Else():
            m.d.comb += self.rsp.payload.eq(registers.r.payload.data)
        with m.If(of_memory):
            m.d.comb += port.ready.eq(~chip.busy & ~there)
        with m.Elif(command.write):
            # The registers take address and data in one cycle.
            m.d.comb += port.ready.eq(registers.aw.ready & registers.w.ready)
        with m.Else():
            m.d.comb += port.ready.eq(registers.ar.ready)
        with m.If(memory.host_en & ~command.write):
            m.d.sync += there.eq(1)
        with m.Elif(self.rsp.ready):
            m.d.sync += there.eq(0)
        return m
