"""Host of the chip that has both engines, driven from cocotb."""

from collections.abc import Mapping
from typing import Any

from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from zeroskip.hw.chip.formats import (
    HANDOFF_WORDS,
    Engine,
    Go,
    Register,
    chip_command_layout,
    handoff_layout,
    register_layout,
)
from zeroskip.hw.common.control import StatusBit
from zeroskip.hw.common.formats import pack
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.eie.host import EieHost
from zeroskip.sim.scnn.host import ScnnHost

__all__ = ["ChipHost"]


class ChipHost:
    """Commands to the chip ``dut``, and to its engines, ``scnn`` and ``eie``."""

    def __init__(self, dut: Any, scnn: ScnnParams, eie: EieParams) -> None:
        self._dut, self._params = dut, scnn
        engine = chip_command_layout(scnn, eie)["engine"].offset
        self.scnn = ScnnHost(dut, scnn, Engine.SCNN.value << engine)
        self.eie = EieHost(dut, eie, Engine.EIE.value << engine)
        self._constant = Engine.CHIP.value << engine

    async def configure(self, fields: Mapping[str, int]) -> None:
        """Say where SCNN's outputs are, see :func:`.handoff_layout`."""
        word = pack(handoff_layout(self._params), **fields)
        for place in range(HANDOFF_WORDS):
            await self._write(Register.HANDOFF + place, word >> 64 * place & (1 << 64) - 1)

    async def go(self, what: Go) -> None:
        """Do a sequence, and wait for its end."""
        if what & Go.SCNN:
            await self.scnn.feed()
        await self._write(Register.COMMAND, what)
        if not self._dut.running.value:
            await RisingEdge(self._dut.running)
        await FallingEdge(self._dut.running)
        await RisingEdge(self._dut.clk)

    async def status(self) -> StatusBit:
        """Read what the chip says of itself."""
        dut = self._dut
        await self._send(pack(register_layout(), addr=Register.STATUS))
        await RisingEdge(dut.rsp__valid)
        await ReadOnly()
        status = StatusBit(dut.rsp__payload.value.to_unsigned())
        await RisingEdge(dut.clk)
        return status

    async def _write(self, register: int, data: int) -> None:
        await self._send(pack(register_layout(), addr=register, data=int(data), write=1))

    async def _send(self, command: int) -> None:
        dut = self._dut
        dut.cmd__payload.value = self._constant | command
        dut.cmd__valid.value = 1
        await RisingEdge(dut.clk)
        while not dut.cmd__ready.value:
            await RisingEdge(dut.clk)
        dut.cmd__valid.value = 0
