"""Verilog of the chip that runs command lists: the arrays, and their port to memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from zeroskip.compiler.engine import engine
from zeroskip.compiler.image.image import Image
from zeroskip.flow.flow import Flow, Modules, flow
from zeroskip.flow.host.driver import Driver
from zeroskip.flow.system import host
from zeroskip.flow.system.board import BoardSystem, SystemBoardArray
from zeroskip.hw.board.system import BOARD_KIND, SystemBoardParams
from zeroskip.hw.system.chip import SystemChip, system_module
from zeroskip.hw.system.formats import Error, Op, Wait
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import Event, Register, State
from zeroskip.hw.system.system import System

__all__ = ["FLOW", "SystemDesign"]


@dataclass(frozen=True)
class SystemDesign:
    """Parameters of arrays by engine, in the order of their numbers, and those of the port."""

    arrays: Mapping[str, Any]
    port: SystemParams = field(default_factory=SystemParams)


class _System(Flow[SystemDesign]):
    engine = "system"
    enums = (Register, State, Event, Op, Wait, Error)
    inside = "system_"
    board_kind = BOARD_KIND
    waves: Mapping[str, Sequence[str]] = {
        system_module(engines): ("system.sequence.state", "system.fetch.state")
        for engines in (("eie",), ("scnn",), ("scnn", "eie"))
    }

    def __init__(self, engines: Sequence[str]) -> None:
        self._engines = tuple(engines)

    @property
    def arrays(self) -> tuple[str, ...]:
        return self._engines

    def of(self, engines: Sequence[str]) -> Flow[Any]:
        return _System(engines)

    def params(self, arrays: Mapping[str, Any]) -> SystemDesign:
        return SystemDesign({name: engine(name).in_chip(arrays[name]) for name in self.arrays})

    def modules(self, params: SystemDesign) -> Modules:
        inside: dict[str, partial[Any]] = {}
        units: dict[str, partial[Any]] = {}
        for name, array in params.arrays.items():
            inside |= flow(name).modules(array)
            units[name] = flow(name).unit(array, params.port)
        chip: partial[Any] = partial(SystemChip, params.port, units)
        return {**inside, system_module(units): chip}

    def chip(self, params: SystemDesign, port: SystemParams) -> Modules:
        return self.modules(replace(params, port=port))

    def sizes(self, params: SystemDesign) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for name, array in params.arrays.items():
            found |= flow(name).sizes(array)
        return found

    def measured(self, params: SystemDesign) -> Modules:
        # Arrays are measured by themselves.
        port = params.port
        engines = [flow(name).behind_system(array, port) for name, array in params.arrays.items()]
        return {system_module(params.arrays): partial(System, port, engines)}

    def board_part(self, image: Image) -> BoardSystem:
        return BoardSystem.of(image)

    def board_params(self, values: dict[str, Any]) -> Any:
        arrays = {name: flow(name).board_params(array) for name, array in values["arrays"].items()}
        return SystemBoardParams(
            arrays=arrays,
            memory_bytes=values["memory_bytes"],
            port=SystemParams(**values["port"]),
        )

    def board_array(self, params: Any) -> SystemBoardArray:
        return SystemBoardArray(params)

    @property
    def driver(self) -> Driver:
        return host

    def exported(self, names: Sequence[str]) -> Iterable[Sequence[str]]:
        return [names]


FLOW = _System(("scnn", "eie"))
"""What is found of it, see :mod:`zeroskip.flow.flow`."""
