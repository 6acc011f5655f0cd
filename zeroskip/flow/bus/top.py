"""Chips behind a bus of others, as a design to be exported."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from amaranth.lib import wiring

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.flow.bus.files import integration_files
from zeroskip.flow.bus.testbench import testbench
from zeroskip.flow.export import Export
from zeroskip.flow.flow import Flow, Modules, flow
from zeroskip.flow.registers.systemrdl import register_files
from zeroskip.flow.system.flow import FLOW as SYSTEM
from zeroskip.hw.bus.axi_top import AxiStreamTop, AxiTop
from zeroskip.hw.bus.register_map import RegisterMap
from zeroskip.hw.bus.wishbone_top import WishboneTop
from zeroskip.hw.common.bundle import constants, ports
from zeroskip.hw.system.chip import system_module
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import system_registers

__all__ = ["TOPS", "TopFlow", "chip_of"]

TOPS: Mapping[str, type[AxiTop] | type[WishboneTop]] = {
    "axi": AxiTop,
    "axi_stream": AxiStreamTop,
    "wishbone": WishboneTop,
}
"""Buses by name."""


def chip_of(engines: Collection[str]) -> str:
    """Name the chip of engines, in the order of their numbers, for :class:`TopFlow`."""
    return next(iter(engines)) if len(engines) == 1 else system_module(list(engines))


class TopFlow(Flow[Any]):
    """A chip of an engine behind a bus.

    Parameters
    ----------
    engine : of the array.
    top : one of :data:`TOPS`.
    port : of the chip to its memory.

    Raises
    ------
    ParameterError
        If there is no such bus or engine.
    InputError
        If the engine cannot have the bus.
    """

    enums = SYSTEM.enums

    def __init__(self, engine: str, top: str, port: SystemParams) -> None:
        if top not in TOPS:
            raise ParameterError.of_names("top", top, list(TOPS))
        self._chip, self._top, self._port = flow(engine), top, port
        if issubclass(TOPS[top], AxiStreamTop) and not self._chip.in_order:
            raise InputError(
                f"engine {engine!r} takes its input in another order than a stream gives it: use "
                "--top axi"
            )
        self.name = f"{engine}_{top}"
        self.inside = f"{self.name}_"

    @property
    def arrays(self) -> tuple[str, ...]:
        return self._chip.arrays

    def params(self, arrays: Mapping[str, Any]) -> Any:
        return self._chip.params(arrays)

    def modules(self, params: Any) -> Modules:
        *inner, (_, chip) = self._chip.chip(params, self._port).items()
        return {**dict(inner), self.name: partial(TOPS[self._top], self._port, chip)}

    def macros(self, prefix: str, components: Mapping[str, wiring.Component]) -> str:
        top = list(components.values())[-1]
        return constants(f"{prefix}{self.name}".upper(), ports(top), self.enums)

    def exported(self, names: Sequence[str]) -> Iterable[Sequence[str]]:
        return [names]

    def registers(self, params: Any) -> RegisterMap:
        """Describe the registers of the chip."""
        return system_registers(self._port, self._chip.sizes(params))

    def files(self, exported: Export, params: Any, version: str) -> dict[str, bytes]:
        """Write what is beside the Verilog, by name.

        Parameters
        ----------
        exported : the Verilog, of one file with all modules.
        params : of the arrays, see :meth:`params`.
        version : of this program.
        """
        ((name, listed),) = exported.ports.items()
        directions = {port.name: port.direction for port in listed}
        bench = testbench(name, self._top, listed, self._port)
        text = exported.files[f"{name}.sv"]
        texts = integration_files(name, text, version, directions, bench)
        beside = {file: text.encode() for file, text in texts.items()}
        return beside | register_files(self.registers(params))
