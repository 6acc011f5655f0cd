"""Host port of the EIE array, driven from cocotb."""

from typing import Any

from amaranth.hdl import Shape
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from hw.eie.formats import Command, Control, Space, command_layout, host_layout
from hw.eie.params import EieParams

__all__ = ["Host"]


class Host:
    """Commands to the array ``dut``, whose clock runs and whose reset is over."""

    def __init__(self, dut: Any, params: EieParams) -> None:
        self._dut = dut
        self._params = params
        command, host = command_layout(params), host_layout(params)
        base = command["command"].offset
        self._shift = {
            name: base + host[name].offset for name in ("data", "addr", "space", "write")
        }
        self._shift["pe"] = command["pe"].offset
        self._data_mask = (1 << Shape.cast(host["data"].shape).width) - 1
        self._payload, self._valid = dut.cmd__payload, dut.cmd__valid
        self._ready, self._clk = dut.cmd__ready, dut.clk
        self._valid.value = 0
        dut.rsp__ready.value = 1

    async def write(self, space: Space, addr: int, data: int, pe: int = 0) -> None:
        """Write ``data`` (negative: two's complement) to row ``addr`` of ``space``."""
        await self._send(space, addr, pe, write=1, data=data & self._data_mask)

    async def read(self, space: Space, addr: int, pe: int = 0) -> int:
        """Read row ``addr`` of ``space``, unsigned."""
        await self._send(space, addr, pe, write=0, data=0)
        await RisingEdge(self._dut.rsp__valid)
        await ReadOnly()
        data = self._dut.rsp__payload.value.to_unsigned()
        await RisingEdge(self._clk)
        return data

    async def read_signed(self, space: Space, addr: int, bits: int, pe: int = 0) -> int:
        """Read row ``addr`` of ``space`` as a signed number of ``bits``."""
        data = await self.read(space, addr, pe) & ((1 << bits) - 1)
        return data - (data >> (bits - 1) << bits)

    async def load_input(self, rows: list[list[int]]) -> None:
        """Write activations, ``rows[r][pe]``, to file 0."""
        for row, values in enumerate(rows):
            for pe, value in enumerate(values):
                await self.write(Space.ACT, row, value, pe)

    async def clear(self) -> None:
        """Set accumulators and counters to 0, and wait for it."""
        await self.write(Space.CONTROL, Control.COMMAND, Command.CLEAR)
        await self._end()

    async def clear_counters(self) -> None:
        """Set the counters to 0, leave all else, and wait for it."""
        await self.write(Space.CONTROL, Control.COMMAND, Command.CLEAR_COUNTERS)
        await self._end()

    async def run(self, *, keep: bool = False) -> None:
        """Run the program, and wait for its end."""
        await self.start(keep=keep)
        await self._end()

    async def start(self, *, keep: bool = False) -> None:
        """Start the program and come back at once; ``keep`` the source file of the last run."""
        command = Command.START | (Command.KEEP if keep else 0)
        await self.write(Space.CONTROL, Control.COMMAND, command)

    async def _end(self) -> None:
        if not self._dut.running.value:
            await RisingEdge(self._dut.running)
        await FallingEdge(self._dut.running)
        await RisingEdge(self._clk)

    async def _send(self, space: Space, addr: int, pe: int, *, write: int, data: int) -> None:
        shift = self._shift
        self._payload.value = (
            data << shift["data"]
            | addr << shift["addr"]
            | space.value << shift["space"]
            | write << shift["write"]
            | pe << shift["pe"]
        )
        self._valid.value = 1
        await RisingEdge(self._clk)
        while not self._ready.value:
            await RisingEdge(self._clk)
        self._valid.value = 0
