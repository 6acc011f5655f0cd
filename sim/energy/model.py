"""What an engine says of the energy of its array, found by the engine's name.

It is the ``ENERGY`` of the module ``energy`` beside the engine's machine.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zeroskip.sim.energy.activity import Array, LayerActivity, Machines, Operands, Unit

if TYPE_CHECKING:
    from zeroskip.sim.machine import Counts, Tensors

__all__ = ["EnergyModel"]

PartT = TypeVar("PartT")


class EnergyModel(ABC, Generic[PartT]):
    """An array, as far as its energy is concerned.

    Attributes
    ----------
    inside : units that have no module of their own in the PE, and the units whose modules they are
        part of.
    fast_arithmetic : multipliers and adders of sums are those of :mod:`zeroskip.hw.common`, whose
        paths are short; else synthesis makes them of a plain ``*`` and ``+``.
    """

    inside: Mapping[Unit, Unit] = {}
    fast_arithmetic: bool = False

    @abstractmethod
    def unit_of(self, module: str) -> Unit:
        """Return the unit that a module in the PE is part of, by its name there."""

    @abstractmethod
    def array(self, params: Any) -> Array:
        """Return what the array is made of; what only counts cycles is left out."""

    @abstractmethod
    def layers(self, part: PartT, tensors: "Tensors", counts: "Counts") -> Sequence[LayerActivity]:
        """Count what each layer makes the array do, without the clock.

        Parameters
        ----------
        part, tensors : as for :meth:`.Machine.count`.
        counts : what it gave.
        """

    def operands(self, part: PartT, tensors: "Tensors") -> Operands | None:
        """Return what multipliers and adders are given in the first inference; None if not known.

        Parameters
        ----------
        part, tensors : as for :meth:`layers`.
        """
        del part, tensors
        return None

    @abstractmethod
    def machines(self, part: PartT, tensors: "Tensors") -> Machines:
        """Count what machines beside the array would do, of as many multipliers.

        ``dense`` multiplies zeros; ``weights`` and ``activations`` skip zeros of only these. Each
        has the clock in its events. One that cannot be made is left out.
        """
