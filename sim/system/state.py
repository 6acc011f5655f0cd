"""What an array is to the golden interpreter of command lists."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zeroskip.sim.system.units import ChipStates, advance

__all__ = ["ArrayCycles", "ArrayState", "Cycles", "RunCycles"]

Cycles = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RunCycles:
    """A run in time; cycles are counted from its first.

    Parameters
    ----------
    cycles : it takes.
    drains : (passes,) the cycle in which each begins to drain, or is over.
    made : (n,) of rows of the result, the cycle from which on each can be read.

    count : what else the engine's model says of it.

    Where no OUTPUT leaves with the drain, ``drains`` and ``made`` are left empty.
    """

    cycles: int
    drains: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    made: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    count: Any = None


class ArrayCycles(ABC):
    """Cycle model of an array in a chip, run after run."""

    @abstractmethod
    def run(
        self, run: Any, arrivals: Cycles, begin: int, loaded: int, chip: ChipStates
    ) -> RunCycles:
        """Count the cycles of a run; a model that takes weights has the chip go on with it.

        Parameters
        ----------
        run : what golden ran.
        arrivals : cycles, counted from the run's first, in which the source's rows came.
        begin : the cycle of that first one.
        loaded : the last before it in which the array took a word that it reads ahead of runs.
        chip : arguments of :func:`.units.advance`; where rows come while the array runs, at the
            last of them, else in the cycle before ``begin``.
        """

    def clear(self, weights: int) -> None:
        """Be as after a reset; the next beats of weights are of WEIGHTS number ``weights``."""
        raise NotImplementedError

    def advance(self, chip: ChipStates, most: int) -> int:
        """Go on to an event while no run is to be counted, see :func:`.units.advance`."""
        return advance(*chip, most)


class ArrayState(Protocol):
    """An array between commands."""

    @property
    def lanes(self) -> int:
        """Lanes of a row."""
        ...

    @property
    def lane_bits(self) -> int:
        """Width of a lane."""
        ...

    @property
    def num_rows(self) -> int:
        """Rows of an activation file."""
        ...

    @property
    def stream_bits(self) -> int:
        """Width of a beat of weights that it takes while it is at work; 0 if it takes none."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the last run, or the last INPUT, found no room for what it made or brought."""
        ...

    def clear(self) -> None:
        """Be as after a reset, but for what memories hold."""
        ...

    def stream(self, words: NDArray[np.uint64]) -> Any:
        """Take beats of weights, (n, limbs), for the next run.

        Returns what :meth:`.ListMachine.array_cycles` has to know of them.
        """
        ...

    def word_bits(self, space: int) -> int:
        """Return the width of a word of a space; 0 if nothing can be loaded there."""
        ...

    def reads_ahead(self, space: int) -> bool:
        """Say whether the array reads a space ahead of a run."""
        ...

    def has_words(self, space: int, pe: int, row: int, count: int) -> bool:
        """Say whether the array has these rows of a memory."""
        ...

    def load(self, space: int, pe: int, row: int, words: NDArray[np.uint64]) -> None:
        """Write words, (n, limbs), to a memory from row ``row`` up."""
        ...

    def take_rows(self, row: int, lanes: NDArray[np.int64]) -> Any:
        """Write rows, (n, lanes), to the file that is loaded next.

        Returns what :meth:`.ListMachine.transfer` has to know of it, if the array asks for rows
        itself.
        """
        ...

    def give_rows(
        self, row: int, lanes: NDArray[np.int64], *, destination: bool
    ) -> tuple[NDArray[np.int64], Any]:
        """Read rows of the source or of the destination file.

        Returns what becomes of rows that are (n, lanes) in memory, and as :meth:`take_rows`.
        """
        ...

    def control(self, command: int) -> Any:
        """Do what a command does; return what was run, if it starts a run."""
        ...
