"""Wishbone top: a chip whose ports are called as Wishbone calls them."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.bus.clocked import place_chip
from zeroskip.hw.bus.wishbone import ControlBridge, MemoryBridge
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS

__all__ = ["WISHBONE_CONTROL", "WISHBONE_MEMORY", "WishboneTop"]

WISHBONE_CONTROL = "wbs"
WISHBONE_MEMORY = "wbm"

_ONLY_MASTERS = ("err", "cti", "bte")
"""Signals of the memory's port that the registers do without."""


class WishboneTop(wiring.Component):
    """A chip with a clock, a reset, two Wishbone ports and an interrupt.

    Parameters
    ----------
    params : of the port to memory.
    chip : with ``read``, ``write``, ``registers`` and ``interrupt`` of :class:`.SystemChip`.

    Members
    -------
    clk_i, rst_i : In, clock, and reset, active high, synchronous.
    wbs_* : slave of 32 bits, the registers, see :class:`.ControlBridge`.
    wbm_* : master, the memory, see :class:`.MemoryBridge`.
    interrupt : Out, high until what ISR is read as is written back to it.
    """

    clk_i: Signal
    rst_i: Signal
    interrupt: Signal

    own_clock = True

    def __init__(self, params: SystemParams, chip: partial[wiring.Component]) -> None:
        self._p, self._chip = params, chip
        self._slave, self._master = ControlBridge(REGISTER_BITS), MemoryBridge(params)
        super().__init__({
            "clk_i": In(1),
            "rst_i": In(1),
            **{name: flow(width) for name, flow, width, _ in self._signals()},
            "interrupt": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        made = place_chip(m, self._chip(), self.clk_i, self.rst_i)
        m.submodules.control, m.submodules.memory = self._slave, self._master
        m.d.comb += self.interrupt.eq(made.interrupt)
        connect(m, self._slave.axi, made.registers)
        connect(m, made.read, self._master.read)
        connect(m, made.write, self._master.write)
        for name, flow, _, value in self._signals():
            port = getattr(self, name)
            m.d.comb += value.eq(port) if flow is In else port.eq(value)
        return m

    def _signals(self) -> Iterator[tuple[str, Any, int, Any]]:
        """Give the ports: name, direction, width, and the bridge's signal."""
        for prefix, bus in (
            (WISHBONE_CONTROL, self._slave.bus),
            (WISHBONE_MEMORY, self._master.bus),
        ):
            for path, member, value in bus.signature.flatten(bus):
                (name,) = map(str, path)
                if prefix == WISHBONE_CONTROL and name in _ONLY_MASTERS:
                    continue
                end = "i" if member.flow is In else "o"
                yield f"{prefix}_{name.partition('_')[0]}_{end}", member.flow, len(value), value
