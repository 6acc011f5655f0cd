"""Estimate what layers take on an array before they are compiled for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import Job, engine
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.sim.energy.activity import LayerActivity

__all__ = [
    "COUNTED_ENERGY_ERROR",
    "COUNTED_ERROR",
    "Counted",
    "Estimator",
    "LayerEstimate",
    "Lever",
    "NonZeros",
]

NonZeros = Mapping[str, NDArray[np.bool_]]
"""By tensor (n, C, H, W), which of its elements are not 0."""


COUNTED_ERROR = 0.01
"""Relative error of counted cycles: weights of one size, and activations in float, are compiled."""
COUNTED_ENERGY_ERROR = 0.05
"""Relative error of the energy of layers whose cycles are counted."""


@dataclass(frozen=True)
class LayerEstimate:
    """What a layer is estimated to take.

    Parameters
    ----------
    name : of the layer.
    cycles : mean per input.
    spent : ``cycles`` by what takes them: ``useful`` products, and what keeps multipliers idle.
    runs : in how many the memories hold it; the host loads them in between.
    stored_bits : of its weights, with all that says where they are; 0 if that is not known.
    memories : by the name of the parameter that sizes a memory, rows that the layer adds to the
        fullest copy, and rows there are.
    activity : accesses and operations, without the clock; None if nothing counts them.
    counted : the layers were compiled, and the cycle model counted them.
    """

    name: str
    cycles: float
    spent: Mapping[str, float]
    runs: int = 1
    stored_bits: int = 0
    memories: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    activity: LayerActivity | None = None
    counted: bool = False

    @property
    def fused(self) -> bool:
        """Whether it is a pooling that the convolution before it makes, and takes no cycles."""
        return not self.cycles

    @property
    def bound(self) -> str:
        """What takes most of the cycles."""
        return max(self.spent, key=self.spent.__getitem__)


@dataclass(frozen=True)
class Lever:
    """Another value of a parameter of an array, or of an option, that may be faster or smaller.

    Parameters
    ----------
    field : its name, as ``--set`` takes it.
    value : that is tried.
    against : what it would save, of :attr:`LayerEstimate.spent`, or ``bits``.
    """

    field: str
    value: Any
    against: str


class Estimator(Protocol):
    """What an engine's folder estimates; the module ``estimate`` has one as ``ESTIMATOR``."""

    error: float
    """Of 95 in 100 drawn networks, the estimate is within so much of the cycle model's cycles."""
    energy_error: float
    """Of as many, the energy is within so much of what is counted of the compiled network."""

    def layers(
        self,
        graph: QuantGraph[Any],
        params: Any,
        job: Job,
        nonzeros: NonZeros,
        *,
        energy: bool = True,
    ) -> Sequence[LayerEstimate]:
        """Estimate layers that one array computes.

        Parameters
        ----------
        graph : the layers.
        params : of the array.
        job : as the compiler gets it.
        nonzeros : of the tensors that the layers read.
        energy : accesses are wanted; else ``activity`` may be None.

        Raises
        ------
        CompileError
            If a layer does not fit the array at all.
        """
        ...

    def levers(self, params: Any, options: Mapping[str, Any]) -> Sequence[Lever]:
        """Return what may be worth another value."""
        ...


class Counted:
    """Compiles layers and counts their cycles, for engines that estimate nothing.

    Parameters
    ----------
    name : of the engine.
    machine : its array, as simulation sees it.
    """

    def __init__(self, name: str, machine: Any) -> None:
        self._name, self._machine = name, machine
        self.error = self.energy_error = 0.0

    def layers(
        self,
        graph: QuantGraph[Any],
        params: Any,
        job: Job,
        nonzeros: NonZeros,
        *,
        energy: bool = True,
    ) -> Sequence[LayerEstimate]:
        """Estimate layers, see :class:`Estimator`."""
        part = engine(self._name).compile(graph, params, job)
        tensors = {name: values.astype(np.int64) for name, values in nonzeros.items()}
        counts = self._machine.count(part, tensors, lambda done, total: None)
        counters, model = counts.counters, self._machine.energy
        # Of a recurrent network, cycles are those of a step.
        step = 1 / (graph.steps or 1)
        activities = (
            [None] * len(graph.layers)
            if model is None or not energy
            else [layer.times(step) for layer in model.layers(part, tensors, counts)]
        )
        multipliers = self._machine.multipliers(params)
        classes = [stall.name.lower() for stall in self._machine.classes]
        found: list[LayerEstimate] = []
        for number, layer in enumerate(graph.layers):
            counted = counters[:, number].sum(axis=(0, 1)) / (len(counters) * multipliers)
            spent = dict(zip(classes, counted.tolist(), strict=False))
            cycles, activity = sum(spent.values()), activities[number]
            found.append(LayerEstimate(layer.name, cycles, spent, activity=activity, counted=True))
        return found

    def levers(self, params: Any, options: Mapping[str, Any]) -> Sequence[Lever]:
        """Return nothing: what such an engine could change is not known."""
        del params, options
        return ()
