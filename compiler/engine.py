"""What an engine is to the compiler, and where engines are found.

An engine has a folder ``compiler/<engine>`` with a module ``engine`` whose ``ENGINE`` is an
:class:`Engine`; one that is installed apart names it by an entry point of the group
``zeroskip.engines``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.base.fields import Field
from zeroskip.base.progress import Progress
from zeroskip.base.registry import Registry
from zeroskip.compiler.ir.graph import FloatNode, QuantGraph, QuantLayer
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.system.moves import Moves, RowTensor
from zeroskip.hw.common.params import ArrayParams
from zeroskip.hw.system.params import SystemParams

__all__ = [
    "ENGINES",
    "Engine",
    "FreeParams",
    "Job",
    "Order",
    "Part",
    "Preset",
    "SramData",
    "check_options",
    "engine",
    "engines",
]

Order = NDArray[np.int64]
"""(K,) of each channel as an array has it, which it is in the network."""

_WIDEST_CODES = 8

ParamsT = TypeVar("ParamsT", bound=ArrayParams)
PartT = TypeVar("PartT", bound="Part")


@dataclass(frozen=True, eq=False)
class SramData:
    """Contents of an SRAM from row 0 up; the rows after that never matter.

    Parameters
    ----------
    words : (rows, limbs) uint64, limbs of 64 bits, lowest first.
    width : bits of a row.
    """

    words: NDArray[np.uint64]
    width: int


class Part(ABC):
    """The layers of a network that one array computes, and all that it is given for them.

    Parameters
    ----------
    engine : name of the engine.
    params : of the array.
    graph : the layers; reads the network's input and tensors of parts before it, its
        ``sources``, and makes its ``outputs``, which others read or which leave the network.
    """

    engine: ClassVar[str]
    params: Any
    graph: QuantGraph[Any]

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers, in order."""
        return self.graph.layers

    @property
    @abstractmethod
    def loads(self) -> Sequence[Mapping[str, SramData]]:
        """What the host loads before each run of the array, by the SRAM's name."""

    @property
    def stored_loads(self) -> Sequence[Mapping[str, SramData]]:
        """What an image has files of, run by run: ``loads``, and those of runs in their place."""
        return self.loads

    @property
    def channel_orders(self) -> Mapping[str, Order]:
        """By tensor, which channel of the network each channel of the array is: (K,) int64.

        A tensor whose channels are not renumbered need not be there.
        """
        return {}

    @property
    def positions(self) -> Mapping[str, NDArray[np.int64]]:
        """By tensor, (elements,) where each stands in the rows that come in or leave."""
        return {}


class Entry(Protocol):
    """What a manifest has of a part besides engine, parameters and layers."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Return the entry as a dictionary that JSON can have."""
        ...


@dataclass(frozen=True)
class Preset(Generic[ParamsT]):
    """A named array, and how networks are laid on it.

    Parameters
    ----------
    params : of the array.
    about : one line for ``--help``.
    options : of :class:`Job` that go with it.
    """

    params: ParamsT
    about: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What an engine is told besides layers and array.

    Parameters
    ----------
    options : that a user or a preset gave, by name.
    densities : by tensor, the share of its elements that are expected not to be 0.
    activity : by layer (columns,), how often each input is expected not to be 0.
    report : to which the engine adds what it chose.
    progress : of long work.
    nonzero : by tensor (n, C, H, W) bool, where it is not 0 for inputs like those to come; nothing
        if there are none.
    positions : of tensors of this engine's parts before, see :attr:`Part.positions`.
    """

    options: Mapping[str, Any]
    densities: Mapping[str, float]
    activity: Mapping[str, NDArray[np.float64]]
    report: dict[str, Any]
    progress: Progress
    nonzero: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    positions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True)
class FreeParams:
    """An array of which a network may choose some parameters.

    Parameters
    ----------
    params : all parameters; of those that may be chosen, the least.
    free : names of those, of the engine's ``free``.
    """

    params: Any
    free: frozenset[str] = frozenset()

    def only_units(self) -> "FreeParams":
        """Leave to the network whether the array has units that it may do without, no sizes."""
        units = {name for name in self.free if isinstance(getattr(self.params, name), bool)}
        return replace(self, free=frozenset(units))


class Engine(ABC, Generic[ParamsT, PartT]):
    """An array, as the compiler sees it.

    Attributes
    ----------
    name : of the engine, that of its folder.
    about : what it is for, in a line.
    params : class of its parameters, a frozen :class:`.ArrayParams`.
    presets : arrays by name; the first is the default.
    options : of the compiler for this engine, beside the parameters of the array.
    free : parameters that a network can choose where nobody else has.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    params: type[ParamsT]
    presets: Mapping[str, Preset[ParamsT]]
    options: tuple[Field, ...] = ()
    free: frozenset[str] = frozenset()

    @property
    def default(self) -> str:
        """Name of the preset in force unless another is given."""
        return next(iter(self.presets))

    @property
    def fields(self) -> dict[str, Field]:
        """All that can be set, by name."""
        return {found.name: found for found in (*self.params.fields(), *self.options)}

    def arithmetic(self, params: ParamsT) -> Arithmetic:
        """Return the widths of an array's arithmetic: those that its parameters have.

        An array without codebooks takes weights of any codes.
        """
        sizes: Any = params
        code_bits = getattr(params, "code_bits", _WIDEST_CODES)
        return Arithmetic(
            engine=self.name,
            act_bits=params.act_bits,
            acc_bits=params.acc_bits,
            weight_bits=sizes.weight_bits,
            code_bits=code_bits,
            code_bits_limit=self.params.ranges.get("code_bits", (0, code_bits))[1],
        )

    def choose(
        self, wanted: FreeParams, nodes: Sequence[FloatNode], *, share: bool
    ) -> tuple[ParamsT, tuple[str, ...]]:
        """Return an array for a network, and say what was chosen and why.

        Parameters
        ----------
        wanted : what is given.
        nodes : that the engine computes.
        share : layers of more values than a codebook holds are to be clustered.
        """
        del nodes, share
        return wanted.params, ()

    @abstractmethod
    def takes(self, node: FloatNode | QuantLayer) -> bool:
        """Say whether the engine computes such a node, or such a layer in fixed point."""

    def joins(self, graph: QuantGraph[QuantLayer], before: QuantLayer, layer: QuantLayer) -> bool:
        """Say whether ``layer`` can be in one part with what the engine computes before it.

        Unless an engine says so, each of its parts is one layer.

        Parameters
        ----------
        graph : the whole network.
        before : last layer of the part.
        layer : a layer that reads outputs of this part, or of parts before it.
        """
        del graph, before, layer
        return False

    @abstractmethod
    def compile(self, graph: QuantGraph[Any], params: ParamsT, job: Job) -> PartT:
        """Lay layers on an array.

        Raises
        ------
        CompileError
            If they do not fit.
        """

    @abstractmethod
    def describe(self, part: PartT) -> tuple[Entry, dict[str, bytes]]:
        """Return what a manifest has of a part, and further files by name (no SRAMs)."""

    @abstractmethod
    def restore(
        self,
        raw: str,
        graph: QuantGraph[Any],
        params: ParamsT,
        srams: Callable[[Sequence[Sequence[str]]], list[dict[str, SramData]]],
        read: Callable[[str], bytes],
    ) -> PartT:
        """Make a part of what :meth:`describe` gave, and check all of it.

        Parameters
        ----------
        raw : the manifest's entry as JSON.
        graph, params : of the part.
        srams : gives, for the names of SRAMs that each run loads, what it loads.
        read : gives further files.

        Raises
        ------
        ValueError
            If something does not fit the rest; the field is named.
        """

    @abstractmethod
    def files(self, params: ParamsT) -> Mapping[str, tuple[int, int]]:
        """Return depth and width of the SRAMs that an image can have contents for, by name."""

    def in_chip(self, params: ParamsT) -> ParamsT:
        """Return the array that a chip has for images of one of these sizes.

        It takes the same words, and has all that command lists need.
        """
        return params

    def moves(
        self,
        part: PartT,
        port: SystemParams,
        given: Mapping[str, RowTensor] | None = None,
        shared: Collection[str] = (),
    ) -> Moves:
        """Return what a part does, as moves between memory and array for a command list.

        Parameters
        ----------
        part : of a compiled network.
        port : of the chip to its memory.
        given : tensors of parts before it, by name, as these leave them in memory.
        shared : tensors in memory that parts of other engines make or read, too, so that the order
            of their values is not the engine's to choose.

        Raises
        ------
        InputError
            If the engine cannot run without a host in between.
        """
        del port, given, shared
        names = [layer.name for layer in part.layers]
        raise InputError(
            f"no command list can run {names[0]} to {names[-1]} yet: they are for {self.name}, "
            "which takes and gives activations through a host only"
        )

    @abstractmethod
    def file_names(self, raw: str) -> tuple[Sequence[Sequence[str]], Sequence[str]]:
        """Return the names of SRAMs that each run of an entry loads, and of further files."""


ENGINES: Registry[Engine[Any, Any]] = Registry("zeroskip.compiler", "engine", "zeroskip.engines")
"""Engines by name."""


def engines() -> Mapping[str, Engine[Any, Any]]:
    """Return all engines by name: those of this package, and those that are installed apart."""
    return ENGINES.all()


def check_options(options: Mapping[str, Any]) -> None:
    """Check options of the compiler, those of all engines.

    Raises
    ------
    ParameterError
        If no engine has an option of a name, or an option cannot have its value.
    """
    known = {option.name: option for found in engines().values() for option in found.options}
    for name, value in options.items():
        if name not in known:
            raise ParameterError.of_names("options", name, list(known))
        known[name].check(value, name)


def engine(name: str) -> Engine[Any, Any]:
    """Return an engine by its name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    found = ENGINES.find(name)
    if found is None:
        raise ParameterError.of_names("engine", name, ENGINES.names())
    return found
