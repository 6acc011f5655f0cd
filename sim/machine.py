"""What an engine is to simulation, and where machines are found.

An engine has a folder ``sim/<engine>`` with a module ``machine`` whose ``MACHINE`` is a
:class:`Machine`; one that is installed apart names it by an entry point of the group
``zeroskip.machines``.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress
from zeroskip.base.registry import Registry
from zeroskip.base.tables import Table
from zeroskip.compiler.engine import Part
from zeroskip.compiler.image.image import Image
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.energy.model import EnergyModel
from zeroskip.sim.estimate import Counted, Estimator
from zeroskip.sim.evaluation import Evaluation
from zeroskip.sim.result import PartResult, Result
from zeroskip.sim.system.golden import Attempt
from zeroskip.sim.system.state import ArrayCycles, ArrayState
from zeroskip.sim.system.transfer import Transfer
from zeroskip.sim.trace_events import Event, name_process, slice_event
from zeroskip.sim.words import Compared, WordDifference, compare_words

__all__ = [
    "MACHINES",
    "Counts",
    "Description",
    "ListMachine",
    "Machine",
    "Selection",
    "Tensors",
    "Tracks",
    "find_evaluation",
    "machine",
]

Tensors = Mapping[str, NDArray[np.int64]]
PartT = TypeVar("PartT", bound=Part)


@dataclass(frozen=True, eq=False)
class Counts:
    """What the cycle model says of ``n`` inputs.

    Parameters
    ----------
    run_cycles : (n, runs) int64.
    counters : (n, layers, num_pes, stall classes) int64.
    reload_cycles : (n,) int64, see :class:`.PartResult`.
    """

    run_cycles: NDArray[np.int64]
    counters: NDArray[np.int64]
    reload_cycles: NDArray[np.int64]


@dataclass(frozen=True)
class Selection(Generic[PartT]):
    """Some layers of a part.

    Parameters
    ----------
    part : that computes these layers only.
    layers : that it computes in full: those asked for, and others that share a run with them.
    """

    part: PartT
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Tracks:
    """Events of a trace.

    Parameters
    ----------
    names : that name and order the tracks.
    events : of each pass, in any order.
    end : cycle in which the array is done.
    processes : numbers of processes that it has used.
    """

    names: Sequence[str]
    events: Sequence[Iterator[Event]]
    end: int
    processes: int


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is in a part of an image.

    Parameters
    ----------
    array : the array in a few words.
    document : for JSON; ``layers`` have by name what is to be said of each.
    tables, lines : for people.
    """

    array: str
    document: Mapping[str, Any]
    tables: Sequence[Table]
    lines: Sequence[str]


class ListMachine(ABC):
    """An array that runs command lists from a memory, as simulation sees it."""

    @abstractmethod
    def state(self, params: Any, port: SystemParams) -> ArrayState:
        """Return an array of ``params`` between commands, as a list finds it after a reset."""

    @abstractmethod
    def array_cycles(self, params: Any, weights: Sequence[Any]) -> ArrayCycles:
        """Return the cycle model of an array of ``params`` that has been cleared.

        Parameters
        ----------
        params : of the array.
        weights : what its state gave for each WEIGHTS, in their order.
        """

    def transfer(self, params: Any, port: SystemParams, moved: Any) -> Transfer:
        """Follow an INPUT or OUTPUT of an array that asks for its beats itself.

        Parameters
        ----------
        params, port : of the array, and of the chip to its memory.
        moved : what its state gave for the command.
        """
        raise NotImplementedError

    def written(
        self, params: Any, records: Sequence[tuple[int, int, int]]
    ) -> Sequence[tuple[int, int, int]]:
        """Put what the array's ports showed of its outputs as its runs say it.

        Parameters
        ----------
        params : of the array.
        records : number of the pass, row or lanes, and word.
        """
        del params
        return records

    def rooms(
        self, parts: Sequence[Any], attempt: Attempt, engine: int
    ) -> Iterator[tuple[str, int, int]]:
        """Give tensors that a list made or brought, the rows that each took at most, and had.

        Parameters
        ----------
        parts : of the image, of the engine.
        attempt : what golden carried out, of no bounded list.
        engine : its number.
        """
        del parts, attempt, engine
        return iter(())

    @abstractmethod
    def clearing(self, params: Any) -> int:
        """Return the cycles after a reset in which an array of ``params`` clears itself."""


class Machine(ABC, Generic[PartT]):
    """An array, as simulation sees it.

    Parameters
    ----------
    engine : its name, that of its folder.
    classes : what its multipliers do in a cycle; arrays may count only the first of them.
    most_gate_pes : PEs of the largest array whose gates can be simulated; None if any can.
    """

    engine: ClassVar[str]
    classes: type[IntEnum]
    most_gate_pes: int | None = None

    def multipliers(self, params: Any) -> int:
        """Return the multipliers of the array; one unless the engine says otherwise."""
        del params
        return 1

    def fit(self, part: PartT, tensors: Tensors) -> tuple[PartT, Sequence[int]]:
        """Choose what a host runs that runs a part by itself.

        Parameters
        ----------
        part : of a compiled network.
        tensors : (n, C, H, W) int64 by name, as for :meth:`count`.

        Returns
        -------
        The part that has room for all inputs, and for which of them ``part`` has none.
        """
        del tensors
        return part, ()

    @abstractmethod
    def count(self, part: PartT, tensors: Tensors, report: Callable[[int, int], None]) -> Counts:
        """Count the cycles that the RTL takes.

        Parameters
        ----------
        part : of a compiled network.
        tensors : (n, C, H, W) int64 by name: sources, and every layer's output.
        tell : called with what is done and of how much.
        """

    @abstractmethod
    def simulate(
        self,
        part: PartT,
        tensors: Tensors,
        counts: Counts,
        *,
        waves: Path | None = None,
        program: Path | None = None,
        progress: Progress | None = None,
    ) -> PartResult:
        """Run the RTL.

        Parameters
        ----------
        part : of a compiled network.
        tensors : (n, C, H, W) int64 by name: what the part reads of others.
        counts : what the cycle model says, which bounds the simulation.
        waves : where to leave the waves (VCD).
        program : another simulation of the array than that of its RTL.
        progress : of building and running.

        Raises
        ------
        ToolError, SimulationError
            If the simulator cannot be built, or a run does not end.
        """

    def compare(
        self,
        selection: Selection[PartT],
        model: PartResult,
        rtl: PartResult,
        image: Image,
        most: int,
    ) -> tuple[Compared, Sequence[str]]:
        """Compare every word that the RTL wrote with golden's; list ``most`` of those that differ.

        Returns
        -------
        What was compared, and sentences about what cannot be.
        """
        del image
        pairs = [(name, model.tensors[name], rtl.tensors[name]) for name in selection.layers]
        return compare_words(pairs, WordDifference, most), ()

    @abstractmethod
    def problems(self, part: PartT, folder: str, image: Image, most: int) -> Sequence[str]:
        """Say where the SRAMs of a part say something else than the network.

        Parameters
        ----------
        part, image : the part of the image.
        folder : of the part, in the image.
        most : words that are listed.
        """

    def select(self, part: PartT, names: Sequence[str]) -> Selection[PartT]:
        """Take what computes some layers of a part: all of it, unless less can run by itself."""
        del names
        return Selection(part, tuple(layer.name for layer in part.layers))

    @property
    def lists(self) -> "ListMachine":
        """The array as command lists run it.

        Raises
        ------
        InputError
            If no command list can run it.
        """
        raise InputError(f"no command list can run {self.engine} yet")

    def simulate_selection(
        self,
        selection: Selection[PartT],
        tensors: Tensors,
        counts: Counts,
        progress: Progress | None = None,
    ) -> PartResult:
        """Run some layers on the RTL, as :meth:`simulate` does all."""
        return self.simulate(selection.part, tensors, counts, progress=progress)

    def counter_problems(
        self,
        selection: Selection[PartT],
        rtl: PartResult,
        useful: NDArray[np.int64],
    ) -> Sequence[str]:
        """Check what must hold between counters, and between them and golden.

        Here for PEs of one multiplier each, which is counted in every cycle of a run: as class 0
        where the product is useful.

        Parameters
        ----------
        useful : (n, layers of the selection) products that golden's activations make.
        """
        assert rtl.counters is not None
        assert rtl.cycles is not None
        found: list[str] = []
        names = selection.layers
        counted = rtl.counters[..., 0].sum(axis=2)
        for sample, number in np.argwhere(counted != useful).tolist():
            found.append(
                f"input {sample}, layer {names[number]}: the array counted "
                f"{counted[sample, number]} useful MACs, but golden's activations make "
                f"{useful[sample, number]}"
            )
        per_pe = rtl.counters.sum(axis=3)
        for sample, number in np.argwhere(per_pe.min(axis=2) != per_pe.max(axis=2)).tolist():
            found.append(
                f"input {sample}, layer {names[number]}: the PEs' counters add up to "
                f"{per_pe[sample, number].min()} to {per_pe[sample, number].max()} cycles"
            )
        layers = per_pe[:, :, 0].sum(axis=1)
        for (sample,) in np.argwhere(layers != rtl.cycles).tolist():
            found.append(
                f"input {sample}: the layers' counters add up to {layers[sample]} cycles, but the "
                f"run took {rtl.cycles[sample]}"
            )
        return found

    def references(self, part: PartT, tensors: Tensors) -> int | None:
        """Count what the array reads and writes of its memories; None if its model does not.

        Parameters are those of :meth:`count`.
        """
        del part, tensors
        return None

    def fused(self, part: PartT) -> Collection[str]:
        """Return the names of the layers that are fused with another, and multiply nothing."""
        del part
        return ()

    def storage(self, part: PartT) -> Mapping[str, Mapping[str, Any]]:
        """Return by layer what more is counted of what the memories hold of it."""
        return {layer.name: {} for layer in part.layers}

    def describe(self, part: PartT) -> Description:
        """Describe what the array's memories keep of a part."""
        array = f"{self.multipliers(part.params)} multipliers"
        document = {"layers": self.storage(part)}
        return Description(array=array, document=document, tables=(), lines=())

    def tracks(self, part: PartT, tensors: Tensors, name: str, process: int, begin: int) -> Tracks:
        """Trace one input on the cycle model: a slice for each run, unless the engine has more.

        Parameters
        ----------
        part : of a compiled network.
        tensors : (1, C, H, W) int64 by name, as for :meth:`count`.
        name : of the array.
        process : number of its first process in the trace.
        begin : cycle of the trace in which it starts.
        """
        counts = self.count(part, tensors, lambda done, total: None)
        ends = [begin, *(begin + np.cumsum(counts.run_cycles[0])).tolist()]
        events = [
            slice_event(process, 0, start, end, f"run {run}", {})
            for run, (start, end) in enumerate(itertools.pairwise(ends))
        ]
        names = list(name_process(process, name, ["runs"]))
        return Tracks(names=names, events=[iter(events)], end=ends[-1], processes=1)

    def bench_files(self, part: PartT, result: Result) -> Mapping[str, bytes]:
        """Write what the testbench of the array by itself reads, by name of the file.

        Parameters
        ----------
        part : the only one of its image.
        result : what the cycle model gave.

        Raises
        ------
        InputError
            If the array has no testbench, or a host has to load memories between runs.
        """
        raise InputError(f"there is no testbench of {self.engine} by itself: use --top axi")

    def check_gates(
        self,
        params: Any,
        netlists: Mapping[str, Netlist],
        *,
        progress: Progress | None = None,
    ) -> Mapping[str, Any]:
        """Run netlists of an array on drawn networks, and compare every bit with the models.

        The module ``gates`` beside the engine's machine does, where there is one.

        Parameters
        ----------
        params : of the array.
        netlists : of the ``pe``, where it is a module of its own, and of the ``array``.
        progress : of building and running.

        Returns
        -------
        How many ``networks`` and ``inputs`` were run, ``words`` and ``counters`` compared, how
        many of them ``differ``; see :func:`.gates.record_check` for the rest.

        Raises
        ------
        InputError
            If the engine has no bench for gates.
        ToolError, SimulationError
            If a simulation cannot be built, or does not come to its end.
        """
        gates = self._beside("gates")
        if gates is None:
            raise InputError(
                f"gates of engine {self.engine!r} cannot be simulated: it has no bench for them"
            )
        return gates.check_gates(params, netlists, progress=progress)

    @property
    def evaluation(self) -> Evaluation | None:
        """The benchmark layers of the engine's paper, and what sweeps vary; None if it has none.

        It is the ``EVALUATION`` of the module ``evaluation`` beside the engine's machine.
        """
        evaluation = self._beside("evaluation")
        return None if evaluation is None else evaluation.EVALUATION

    @property
    def estimator(self) -> Estimator:
        """What estimates layers before they are compiled.

        It is the ``ESTIMATOR`` of the module ``estimate`` beside the engine's machine; without one,
        layers are compiled and counted.
        """
        estimate = self._beside("estimate")
        return Counted(self.engine, self) if estimate is None else estimate.ESTIMATOR

    @property
    def energy(self) -> EnergyModel[Any] | None:
        """What accesses of the array cost; None if nothing counts them.

        It is the ``ENERGY`` of the module ``energy`` beside the engine's machine.
        """
        energy = self._beside("energy")
        return None if energy is None else energy.ENERGY

    def _beside(self, module: str) -> Any:
        """Import a module of the engine's folder that few commands need; None if it has none."""
        name = f"{type(self).__module__.rpartition('.')[0]}.{module}"
        return import_module(name) if find_spec(name) else None


MACHINES: Registry[Machine[Any]] = Registry("zeroskip.sim", "machine", "zeroskip.machines")
"""Machines by the engine's name."""


def machine(engine: str) -> Machine[Any]:
    """Return the machine of an engine.

    Raises
    ------
    InputError
        If there is none.
    """
    found = MACHINES.find(engine)
    if found is None:
        raise InputError(f"engine {engine!r} cannot be simulated: it has no machine")
    return found


def find_evaluation(engine: str) -> Evaluation:
    """Return the benchmark of an engine's paper, and its sweeps.

    Raises
    ------
    InputError
        If it has none.
    """
    found = machine(engine).evaluation
    if found is None:
        raise InputError(f"engine {engine!r} has no published evaluation to run or to sweep")
    return found
