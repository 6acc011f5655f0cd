"""Host ports of the arrays, driven from cocotb."""

from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge
from numpy.typing import NDArray

from zeroskip.hw.common.control import CONTROL_SPACE, Command, Control, StatusBit

__all__ = ["HostPort"]

# Commands that are Python objects at a time.
_CHUNK = 4096


class HostPort:
    """Commands to the array ``dut``, whose clock runs and whose reset is over.

    Parameters
    ----------
    dut : with the ports ``cmd``, ``rsp`` and ``running``.
    layout : of a command to an array.
    constant : bits of the port's payload that are the same in all commands.
    """

    def __init__(self, dut: Any, layout: data.StructLayout, constant: int = 0) -> None:
        self._dut = dut
        field = layout["command"]
        host: Any = field.shape
        self._shift = {
            name: field.offset + host[name].offset for name in ("data", "addr", "space", "write")
        }
        self._shift["pe"] = layout["pe"].offset
        self._constant = constant
        self._data_mask = (1 << Shape.cast(host["data"].shape).width) - 1
        self._payload, self._valid = dut.cmd__payload, dut.cmd__valid
        self._ready, self._clk = dut.cmd__ready, dut.clk
        # `ready` depends on what would be asked, so that must not be X.
        self._valid.value = self._payload.value = 0
        dut.rsp__ready.value = 1

    async def write(self, space: Any, addr: int, data: int, pe: int = 0) -> None:
        """Write ``data`` (negative: two's complement) to row ``addr`` of ``space``."""
        await self._send(space, addr, pe, write=1, data=data & self._data_mask)

    async def read(self, space: Any, addr: int, pe: int = 0) -> int:
        """Read row ``addr`` of ``space``, unsigned."""
        await self.ask(space, addr, pe)
        await RisingEdge(self._dut.rsp__valid)
        await ReadOnly()
        data = self._dut.rsp__payload.value.to_unsigned()
        await RisingEdge(self._clk)
        return data

    async def ask(self, space: Any, addr: int, pe: int = 0) -> None:
        """Ask for row ``addr`` of ``space``, and come back once that is taken."""
        await self._send(space, addr, pe, write=0, data=0)

    async def read_signed(self, space: Any, addr: int, bits: int, pe: int = 0) -> int:
        """Read row ``addr`` of ``space`` as a signed number of ``bits``."""
        data = await self.read(space, addr, pe) & ((1 << bits) - 1)
        return data - (data >> (bits - 1) << bits)

    async def write_all(self, commands: NDArray[np.uint64]) -> None:
        """Write memories, one row per cycle.

        Parameters
        ----------
        commands : (n, 3 + limbs) space, PE, row, and word in limbs of 64 bits, lowest first.
        """
        shift, edge = self._shift, RisingEdge(self._clk)
        write = self._constant | 1 << shift["write"]
        self._valid.value = 1
        for begin in range(0, len(commands), _CHUNK):
            for space, pe, row, *limbs in commands[begin : begin + _CHUNK].tolist():
                data = limbs[0]
                for place, limb in enumerate(limbs[1:], 1):
                    data |= limb << 64 * place
                self._payload.value = (
                    data << shift["data"]
                    | row << shift["addr"]
                    | space << shift["space"]
                    | write
                    | pe << shift["pe"]
                )
                await edge
                while not self._ready.value:
                    await edge
        self._valid.value = 0

    async def source(self) -> int:
        """Read which file is the source."""
        return (await self.status()).source

    async def status(self) -> StatusBit:
        """Read what the array says of itself."""
        return StatusBit(await self.read(CONTROL_SPACE, Control.STATUS))

    async def clear(self) -> None:
        """Set accumulators and counters to 0, and wait for it."""
        await self.write(CONTROL_SPACE, Control.COMMAND, Command.CLEAR)
        await self._end()

    async def clear_counters(self) -> None:
        """Set the counters to 0, leave all else, and wait for it."""
        await self.write(CONTROL_SPACE, Control.COMMAND, Command.CLEAR_COUNTERS)
        await self._end()

    async def run(self, *, keep: bool = False, begin: bool = False) -> None:
        """Run the program, and wait for its end."""
        await self.start(keep=keep, begin=begin)
        await self._end()

    async def start(self, *, keep: bool = False, begin: bool = False) -> None:
        """Start the program and come back at once.

        Parameters
        ----------
        keep : go on with the source file of the last run.
        begin : of an array with cells, a sequence begins; others do not care.
        """
        command = Command.START | (Command.KEEP if keep else 0)
        command |= Command.BEGIN if begin else 0
        await self.write(CONTROL_SPACE, Control.COMMAND, command)

    async def _end(self) -> None:
        if not self._dut.running.value:
            await RisingEdge(self._dut.running)
        await FallingEdge(self._dut.running)
        await RisingEdge(self._clk)

    async def _send(self, space: Any, addr: int, pe: int, *, write: int, data: int) -> None:
        shift = self._shift
        self._payload.value = (
            self._constant
            | data << shift["data"]
            | addr << shift["addr"]
            | int(space) << shift["space"]
            | write << shift["write"]
            | pe << shift["pe"]
        )
        self._valid.value = 1
        await RisingEdge(self._clk)
        while not self._ready.value:
            await RisingEdge(self._clk)
        self._valid.value = 0
