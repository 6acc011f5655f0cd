"""Engines behind a port to memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.system.axi import AxiLite, AxiRead, AxiWrite
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.port import EnginePort
from zeroskip.hw.system.register_map import REGISTER_BITS
from zeroskip.hw.system.system import System

__all__ = ["EngineUnit", "SystemChip", "system_module"]


class EngineUnit(wiring.Component, ABC):
    """Base of what an engine puts behind the system: its array, and what serves it.

    Parameters
    ----------
    params : of the port to memory.
    engine : what the system has to know of the array.
    observed : widths of what is shown of its outputs as they are made: ``valid``, and others.

    Members
    -------
    link : ``In(EnginePort)``.
    out_<name> : Out, what is shown.
    """

    link: Any

    def __init__(self, params: SystemParams, engine: Engine, observed: Mapping[str, int]) -> None:
        self.params, self.engine, self.observed = params, engine, observed
        super().__init__({
            "link": In(EnginePort(params, engine)),
            **{f"out_{name}": Out(width) for name, width in observed.items()},
        })

    @abstractmethod
    def elaborate(self, platform: object) -> Module:
        """Make the array, and connect it to ``link``."""


def system_module(engines: Any) -> str:
    """Return the name of a chip's module by the names of its engines."""
    return "_".join((*engines, "system"))


class SystemChip(wiring.Component):
    """A chip that runs command lists on engines.

    Parameters
    ----------
    params : of the port to memory.
    units : by the engine's name, in the order of the numbers that commands have for them.

    Members
    -------
    read, write : ``Out(AxiRead)``, ``Out(AxiWrite)``, the memory.
    registers : ``In(AxiLite)``.
    interrupt : Out.
    busy : Out, an inference is queued or under way.
    running : Out, arrays are at work, the first in the lowest bit, for observation.
    <engine>_out_<name> : Out, what a unit shows, for observation.
    """

    read: Any
    write: Any
    registers: Any
    interrupt: Signal
    busy: Signal
    running: Signal

    def __init__(self, params: SystemParams, units: Mapping[str, partial[EngineUnit]]) -> None:
        self._p = params
        self._units = {name: make() for name, make in units.items()}
        super().__init__({
            "read": Out(AxiRead(params)),
            "write": Out(AxiWrite(params)),
            "registers": In(AxiLite(REGISTER_BITS)),
            "interrupt": Out(1),
            "busy": Out(1),
            "running": Out(len(units)),
            **{
                f"{name}_out_{shown}": Out(width)
                for name, unit in self._units.items()
                for shown, width in unit.observed.items()
            },
        })

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of what is shown of the engines' outputs."""
        return tuple(
            f"{name}_out_{shown}" for name, unit in self._units.items() for shown in unit.observed
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        engines = [unit.engine for unit in self._units.values()]
        m.submodules.system = system = System(self._p, engines)
        for port in ("read", "write"):
            connect(m, getattr(system, port), flipped(getattr(self, port)))
        connect(m, flipped(self.registers), system.registers)
        m.d.comb += [self.interrupt.eq(system.interrupt), self.busy.eq(system.busy)]
        for number, (name, unit) in enumerate(self._units.items()):
            m.submodules[name] = unit
            connect(m, system.port(number), unit.link)
            m.d.comb += self.running[number].eq(unit.link.running)
            for shown in unit.observed:
                m.d.comb += getattr(self, f"{name}_out_{shown}").eq(getattr(unit, f"out_{shown}"))
        return m
