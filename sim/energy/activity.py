"""What an array does for an inference, as counts of accesses and operations."""

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.sim.energy.technology import Technology

__all__ = [
    "Access", "Add", "Array", "Clock", "Cost", "CounterStep", "Event", "LayerActivity",
    "Machines", "Multiply", "Operands", "Select", "Sram", "Unit", "Write",
]  # fmt: skip

_FJ = 1e-3  # pJ

_TOGGLES = 0.5
"""Share of the bits that change where a word follows another: that of independent bits."""

_STEP_TOGGLES = 2
"""Bits of a counter that change in a step: its lowest, and each above half as often."""

Access = Literal["read", "write"]


class Unit(enum.StrEnum):
    """Parts of an array that energy is told by."""

    WEIGHTS = "weights"
    """Memories of stored weights, and what takes weights out of their words."""
    POINTERS = "pointers"
    """Memories that say where weights or activations of a column or channel are."""
    ACTIVATIONS = "activations"
    """Memories of activations and biases, and what makes outputs."""
    ACCUMULATORS = "accumulators"
    """Memories of sums, their adders, and the walk over them at the end."""
    ARITHMETIC = "arithmetic"
    """Multipliers, and the lookup of shared weights."""
    QUEUES = "queues"
    """What waits between units."""
    CONTROL = "control"
    """What is left: the control of the array, and of each PE."""


class Cost(ABC):
    """An access or an operation, by its sizes."""

    @abstractmethod
    def pj(self, technology: Technology) -> float:
        """Return its energy."""


@dataclass(frozen=True)
class Sram(Cost):
    """Access to a row of an SRAM.

    Parameters
    ----------
    what : read or write.
    rows, bits : of the memory, and of a row.
    two_ports : it has a read and a write port, instead of one for both.
    """

    what: Access
    rows: int
    bits: int
    two_ports: bool = False

    def pj(self, technology: Technology) -> float:
        return technology.sram_pj(self.what, self.rows, self.bits, two_ports=self.two_ports)


@dataclass(frozen=True)
class Multiply(Cost):
    """A product of two numbers; of different widths, as of two of their geometric mean."""

    bits: int
    other_bits: int

    def pj(self, technology: Technology) -> float:
        return technology.multiply.at((self.bits * self.other_bits) ** 0.5)


@dataclass(frozen=True)
class Add(Cost):
    """A sum, or a comparison, of two numbers."""

    bits: int

    def pj(self, technology: Technology) -> float:
        return technology.add.at(self.bits)


@dataclass(frozen=True)
class Write(Cost):
    """A word written to flip-flops.

    Parameters
    ----------
    bits : of it.
    row : it is a row of a queue, whose clock stands still in other cycles where rows are gated;
        the clock of other flip-flops is counted by :class:`Clock`.
    """

    bits: int
    row: bool = False

    def pj(self, technology: Technology) -> float:
        cell = technology.flip_flop
        clock = cell.clock_fj if self.row and cell.gated_rows else 0.0
        return self.bits * (_TOGGLES * cell.data_fj + clock) * _FJ


@dataclass(frozen=True)
class CounterStep(Cost):
    """A step of a counter, or of an address that goes on to the next row or one near it."""

    def pj(self, technology: Technology) -> float:
        return _STEP_TOGGLES * technology.flip_flop.data_fj * _FJ


@dataclass(frozen=True)
class Select(Cost):
    """A choice of one of several words: three gates a bit for each choice of two on its way."""

    words: int
    bits: int

    def pj(self, technology: Technology) -> float:
        depth = max(1, (self.words - 1).bit_length())
        return 3 * depth * self.bits * _TOGGLES * technology.gate.switch_fj * _FJ


@dataclass(frozen=True)
class Clock(Cost):
    """A cycle of the clock.

    Parameters
    ----------
    flip_flops : that are clocked in every cycle.
    rows : flip-flops of queues' rows, which are clocked, too, where rows are not gated.
    """

    flip_flops: int
    rows: int = 0

    def pj(self, technology: Technology) -> float:
        cell = technology.flip_flop
        clocked = self.flip_flops + (0 if cell.gated_rows else self.rows)
        return clocked * cell.clock_fj * _FJ


@dataclass(frozen=True)
class Event:
    """An access or an operation, and how often it takes place.

    Parameters
    ----------
    unit : that it belongs to.
    what : in words, as ``Spmat words read``.
    cost : of one.
    count : how often, all PEs together, mean per input.
    """

    unit: Unit
    what: str
    cost: Cost
    count: float


@dataclass(frozen=True)
class LayerActivity:
    """What a layer makes an array do.

    Parameters
    ----------
    name : of the layer.
    cycles : mean per input.
    useful : products of two non-zeros, mean per input.
    events : that take place.
    """

    name: str
    cycles: float
    useful: float
    events: Sequence[Event]

    def times(self, steps: float) -> "LayerActivity":
        """Return what it is for an input of so many steps, each like this one."""
        events = [replace(event, count=steps * event.count) for event in self.events]
        return LayerActivity(self.name, steps * self.cycles, steps * self.useful, events)


@dataclass(frozen=True)
class Array:
    """What an array is made of, as far as energy depends on it.

    Parameters
    ----------
    clocks : flip-flops of all PEs and what is around them, by unit.
    gates : gates of two inputs between them, an estimate.
    sram_bits : of all memories.
    """

    clocks: Mapping[Unit, Clock]
    gates: int
    sram_bits: int

    def clock(self, cycles: float) -> list[Event]:
        """Return what the clock does in so many cycles."""
        return [
            Event(unit, "cycles of the clock", clock, cycles) for unit, clock in self.clocks.items()
        ]

    @property
    def flip_flops(self) -> int:
        """All of them."""
        return sum(clock.flip_flops + clock.rows for clock in self.clocks.values())

    def leakage_uw(self, technology: Technology) -> float:
        """Return the power of the array at rest."""
        flip_flops = self.flip_flops * technology.flip_flop.leakage_nw
        gates = self.gates * technology.gate.leakage_nw
        memories = self.sram_bits / 1024 * technology.sram_leakage.nw_per_kbit
        return (flip_flops + gates + memories) / 1000


@dataclass(frozen=True)
class Operands:
    """Operands of an array's multipliers and adders, one operation a row, in the order of cycles.

    Parameters
    ----------
    factors : (n, 2) activations and weights. Where one of them is 0 no product is counted, but
        what that changes takes energy.
    added : (n, 2) products, and the sums that they are added to.
    """

    factors: NDArray[np.int64]
    added: NDArray[np.int64]


Machines = Mapping[str, Sequence[LayerActivity]]
"""Machines beside the array by name, and what each layer makes them do."""
