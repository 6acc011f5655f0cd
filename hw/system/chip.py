"""An engine behind a port to memory: what is the same for any."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.system.axi import AxiLite, AxiRead, AxiWrite
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import REGISTER_BITS
from zeroskip.hw.system.system import System

__all__ = ["SystemChip"]


class SystemChip(wiring.Component):
    """Base of a chip of one engine that runs command lists; an engine adds its array.

    Parameters
    ----------
    params : of the port to memory.
    engine : what the system has to know of the array.
    observed : further outputs, by name.

    Members
    -------
    read, write : ``Out(AxiRead)``, ``Out(AxiWrite)``, the memory.
    registers : ``In(AxiLite)``.
    interrupt : Out.
    running : Out, the array is at work, for observation.
    """

    read: Any
    write: Any
    registers: Any
    interrupt: Signal
    running: Signal

    def __init__(
        self, params: SystemParams, engine: Engine, observed: Mapping[str, wiring.Member]
    ) -> None:
        self._params, self._engine = params, engine
        super().__init__({
            "read": Out(AxiRead(params)),
            "write": Out(AxiWrite(params)),
            "registers": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "running": Out(1),
            **observed,
        })

    def add_system(self, m: Module) -> System:
        """Add the system, and connect the ports to it; the array's are left to do."""
        m.submodules.system = system = System(self._params, self._engine)
        for port in ("read", "write"):
            connect(m, getattr(system, port), flipped(getattr(self, port)))
        connect(m, flipped(self.registers), system.registers)
        m.d.comb += [self.interrupt.eq(system.interrupt), system.running.eq(self.running)]
        return system
