"""A chip and its memory as one design, for simulation."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.common.params import address_bits
from zeroskip.hw.system.axi import AxiLite
from zeroskip.hw.system.chip import SystemChip
from zeroskip.hw.system.memory import MemoryModel, SettingsPort
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS

__all__ = ["BENCH_MODULE", "SystemBench"]

BENCH_MODULE = "system_bench"


class SystemBench(wiring.Component):
    """A chip with its memory; a processor is left out.

    Parameters
    ----------
    chip : see :class:`.SystemChip`.
    port : to the memory.
    size : bytes of the memory.

    Members
    -------
    now : Out, cycles since ``restart``, as the memory counts them.
    registers, interrupt, <engine>_out_* : those of the chip. The others are the memory's.
    """

    now: Signal
    registers: Any
    interrupt: Signal
    settings: Any
    restart: Signal

    def __init__(self, chip: SystemChip, port: SystemParams, size: int) -> None:
        self._chip, self._port, self._size = chip, port, size
        rows = address_bits(size // port.beat_bytes)
        self._outputs = {name: Out(len(getattr(chip, name))) for name in chip.shown}
        super().__init__({
            "now": Out(32),
            "registers": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "settings": In(SettingsPort()),
            "restart": In(1),
            "host_en": In(1),
            "host_write": In(1),
            "host_row": In(rows),
            "host_data": In(port.data_bits),
            "host_answer": Out(port.data_bits),
            "broken": Out(1),
            **self._outputs,
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chip = chip = self._chip
        m.submodules.memory = memory = MemoryModel(self._port, self._size)
        connect(m, chip.read, memory.read)
        connect(m, chip.write, memory.write)
        connect(m, flipped(self.registers), chip.registers)
        connect(m, flipped(self.settings), memory.settings)
        m.d.sync += self.now.eq(self.now + 1)
        with m.If(self.restart):
            m.d.sync += self.now.eq(0)
        for name in ("restart", "host_en", "host_write", "host_row", "host_data"):
            m.d.comb += getattr(memory, name).eq(getattr(self, name))
        for name in ("host_answer", "broken"):
            m.d.comb += getattr(self, name).eq(getattr(memory, name))
        for name in ("interrupt", *self._outputs):
            m.d.comb += getattr(self, name).eq(getattr(chip, name))
        return m
