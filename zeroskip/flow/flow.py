"""What an engine is to the flows that make hardware of it, and where flows are found.

An engine has a folder ``zeroskip/flow/<engine>`` with a module ``flow`` whose ``FLOW`` is a
:class:`Flow`; one that is installed apart names it by an entry point of the group
``zeroskip.flows``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from amaranth.lib import wiring

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.registry import Registry
from zeroskip.base.tables import Table
from zeroskip.compiler.engine import engine
from zeroskip.compiler.image.image import Image
from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.host.driver import Driver
from zeroskip.flow.host.line import HostError
from zeroskip.flow.synth.liberty import Liberty
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.flow.synth.report import AreaReport, Unit
from zeroskip.hw.common.bundle import Port, constants, ports
from zeroskip.hw.system.chip import EngineUnit, SystemChip, system_module
from zeroskip.hw.system.jobs import Engine
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import engine_sizes

__all__ = [
    "FLOWS",
    "Flow",
    "Modules",
    "flow",
    "flow_on_board",
    "image_sizes",
    "kind_of_board",
]

Modules = Mapping[str, partial[wiring.Component]]
"""Modules by name: the class of each, with its parameters."""

ParamsT = TypeVar("ParamsT")


class Flow(ABC, Generic[ParamsT]):
    """An array, as the flows see it.

    Attributes
    ----------
    engine : its name, that of its folder.
    enums : numbers that a host needs to know, for the header of macros beside the Verilog.
    inside : what the names of modules inside the design begin with, where it is exported.
    waves : of modules, the signals to begin with where waves are shown, with ``*`` in names;
        those that a design was made without are left out.
    board_kind : number by which a board tells that it has such an array; None if none can.
    in_order : lists read its inputs, and write its outputs, from the first byte to the last.
    paper_units, paper_total : areas that the engine's paper has of a PE's units and of a PE, in
        um2 at 45 nm.
    """

    engine: ClassVar[str]
    enums: tuple[type[Enum], ...] = ()
    inside: str = ""
    waves: Mapping[str, Sequence[str]] = {}
    paper_units: Mapping[str, float] = {}
    paper_total: float | None = None
    board_kind: int | None = None
    in_order: bool = False

    @property
    def arrays(self) -> tuple[str, ...]:
        """The engines whose parameters make the design."""
        return (self.engine,)

    def params(self, arrays: Mapping[str, Any]) -> ParamsT:
        """Return what the design is made from, of the parameters of its arrays by engine."""
        return arrays[self.engine]

    def of(self, engines: Sequence[str]) -> "Flow[Any]":
        """Return the design with these engines in it.

        Raises
        ------
        InputError
            If they are none that it can have.
        """
        raise InputError(f"{self.engine} has no engines in it, and so not {', '.join(engines)}")

    @abstractmethod
    def modules(self, params: ParamsT) -> Modules:
        """Return the modules of the design by name, each after those that are instances in it.

        Of an array, the PE is the first of two, if it is a module of its own.
        """

    def chip(self, params: ParamsT, port: SystemParams) -> Modules:
        """Return the modules of a chip with a port to memory, which runs command lists.

        The last is a :class:`.SystemChip`; parameters and errors are those of :meth:`unit`.
        """
        array = engine(self.engine).in_chip(params)
        units = {self.engine: self.unit(array, port)}
        chip: partial[Any] = partial(SystemChip, port, units)
        return {**self.modules(array), system_module(units): chip}

    def unit(self, params: ParamsT, port: SystemParams) -> partial[EngineUnit]:
        """Return what puts the array behind a system, whose modules are instances in it.

        Raises
        ------
        InputError
            If no command list can run it.
        """
        del params, port
        raise self._in_no_list()

    def behind_system(self, params: ParamsT, port: SystemParams) -> Engine:
        """Say what a system has to know of the array.

        Raises
        ------
        InputError
            If no command list can run it.
        """
        del params, port
        raise self._in_no_list()

    def _in_no_list(self) -> InputError:
        return InputError(f"no command list can run engine {self.engine!r} yet")

    def sizes(self, params: ParamsT) -> Mapping[str, int]:
        """Return the sizes that a chip's registers tell, see :func:`.engine_sizes`."""
        return engine_sizes(self.engine, engine(self.engine).in_chip(params))

    def num_pes(self, params: ParamsT) -> int:
        """Return how many PEs there are; 1 where the PE is no module of its own."""
        del params
        return 1

    def measured(self, params: ParamsT) -> Modules:
        """Return the modules whose gates are counted: all, or the PE alone."""
        return self.modules(params)

    def exported(self, names: Sequence[str]) -> Iterable[Sequence[str]]:
        """Return the names of modules that go into each file: those of a PE, and all."""
        return [names[:1], names] if len(names) > 1 else [names]

    def macros(self, prefix: str, components: Mapping[str, wiring.Component]) -> str:
        """Write a header for hosts: the places of ports' fields, and numbers.

        Parameters
        ----------
        prefix : what the macros begin with, before the engine's name.
        components : of the design, by the names of their modules.
        """
        top = list(components.values())[-1]
        return constants(f"{prefix}{self.engine}".upper(), ports(top), self.enums)

    def testbench(self, top: str, listed: Sequence[Port], params: ParamsT) -> str:
        """Write a testbench in plain Verilog of the array by itself.

        Parameters
        ----------
        top : module that is tested.
        listed : its ports.
        params : of the array.

        Raises
        ------
        InputError
            If there is none.
        """
        del top, listed, params
        raise InputError(f"there is no testbench of {self.engine} by itself: use --top axi")

    def board_part(self, image: Image) -> Any:
        """Return what a board is filled with: ``engine``, ``params``, ``loads`` and ``srams``.

        Raises
        ------
        InputError
            If the array alone cannot run the image.
        """
        return image.alone(self.engine)

    def board_params(self, values: dict[str, Any]) -> Any:
        """Read the parameters of a board's array as :func:`dataclasses.asdict` gives them."""
        return engine(self.engine).params.from_dict(values)

    def board_array(self, params: Any) -> BoardArray[Any]:
        """Return an array for boards.

        Raises
        ------
        InputError
            If boards cannot have one.
        """
        del params
        raise InputError(f"engine {self.engine!r} has no array for boards")

    @property
    def driver(self) -> Driver:
        """Functions that drive the array on a board, where :meth:`board_array` gives one."""
        raise InputError(f"engine {self.engine!r} has no array for boards")

    def parts(
        self, params: ParamsT, netlists: Mapping[str, Netlist], liberty: Liberty
    ) -> tuple[Unit, ...]:
        """Return units to be seen by themselves beside those of a PE; they are counted there."""
        del params, netlists, liberty
        return ()

    def beside_paper(self, report: AreaReport) -> Mapping[str, Any]:
        """Return what a report's JSON document has from the paper."""
        del report
        return {}

    def paper_tables(self, report: AreaReport) -> Iterable[Table | str]:
        """Give tables and sentences that compare a report with the paper."""
        del report
        return ()


def image_sizes(image: Image) -> Mapping[str, int]:
    """Return the sizes of the arrays that an image is for, as a chip's registers tell them."""
    sizes: dict[str, int] = {}
    for part in image.parts:
        sizes |= flow(part.engine).sizes(part.params)
    return sizes


FLOWS: Registry[Flow[Any]] = Registry("zeroskip.flow", "flow", "zeroskip.flows")
"""Flows by the name of what they make."""


def flow(name: str) -> Flow[Any]:
    """Return the flow of an engine, or of another design.

    Designs of several engines may have the names of theirs in front, as in ``eie_system``.

    Raises
    ------
    ParameterError
        If there is none.
    """
    found = FLOWS.find(name)
    *engines, design = name.split("_")
    if found is None and engines and design in FLOWS.names():
        return flow(design).of([flow(engine).engine for engine in engines])
    if found is None:
        raise ParameterError.of_names("engine", name, FLOWS.names())
    return found


def flow_on_board(image: Image) -> Flow[Any]:
    """Return the flow of what runs an image on a board.

    That is an array by itself, where there is one that boards can have, or a chip that runs command
    lists.
    """
    engines = [part.engine for part in image.parts]
    alone = flow(engines[0])
    if len(engines) == 1 and alone.board_kind is not None:
        return alone
    return flow(system_module(engines))


def kind_of_board(kind: int) -> str:
    """Return the engine whose array a board has, by the number that it tells.

    Raises
    ------
    HostError
        If no engine has this number.
    """
    for name, found in FLOWS.all().items():
        if found.board_kind == kind:
            return name
    raise HostError(
        f"the board has an array of kind {kind}, which this program does not know: use the "
        "version of Zeroskip that built it"
    )
