"""What is found of a network that is explored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from zeroskip.base.tables import to_html
from zeroskip.sim.energy.measure import LayerEnergy
from zeroskip.sim.estimate import COUNTED_ENERGY_ERROR, COUNTED_ERROR, LayerEstimate

__all__ = ["Advice", "ArrayEstimate", "Exploration", "ExploredLayer"]


@dataclass(frozen=True, kw_only=True)
class ExploredLayer:
    """A layer, whatever computes it.

    Parameters
    ----------
    name, kind, in_shape, out_shape : of the layer.
    engine : that computes it.
    weights, nnz : weights, and how many are not 0.
    values : different non-zero weights; None if there are more than codes can be.
    act_density : share of its inputs that are not 0.
    dense_macs, weight_macs, act_macs, useful_macs : products per input: all; of a non-zero weight;
        of a non-zero activation; of both.
    """

    name: str
    kind: str
    engine: str
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    weights: int
    nnz: int
    values: int | None
    act_density: float
    dense_macs: int
    weight_macs: float
    act_macs: float
    useful_macs: float

    @property
    def density(self) -> float:
        """Share of the weights that are not 0."""
        return self.nnz / max(1, self.weights)


@dataclass(frozen=True)
class Advice:
    """Something that would help.

    Parameters
    ----------
    what : in a sentence, with its number.
    gain : cycles now over cycles then; 1 where it is not about cycles.
    """

    what: str
    gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ArrayEstimate:
    """What the layers of an engine take on one of its arrays.

    Parameters
    ----------
    engine, name : of the array.
    params, options : of the array, and of the compiler.
    multipliers : of the array.
    stated_error, stated_energy_error : of the estimate, see :class:`.Estimator`.
    layers : in order.
    work : the same layers, for what they are to compute.
    area : ``logic_ge`` and ``sram_bits`` where the array is one whose gates were counted, and
        ``of``: what has them, the array or one PE; else None.
    refusal : why the layers cannot be on the array; ``layers`` is empty then.
    energy : of each layer, without DRAM; None if nothing counts accesses of it.
    advice : what would help on it.
    """

    engine: str
    name: str
    params: Any
    options: Mapping[str, Any]
    multipliers: int
    stated_error: float
    stated_energy_error: float
    layers: Sequence[LayerEstimate]
    work: Sequence[ExploredLayer]
    area: Mapping[str, Any] | None
    refusal: str | None = None
    energy: Sequence[LayerEnergy] | None = None
    advice: Sequence[Advice] = ()

    @property
    def error(self) -> float:
        """Of 95 in 100 networks, the estimate is within so much of the cycle model's cycles."""
        return COUNTED_ERROR if self._counted else self.stated_error

    @property
    def energy_error(self) -> float:
        """Of 95 in 100 networks, the energy is within so much of what is counted of an image."""
        return COUNTED_ENERGY_ERROR if self._counted else self.stated_energy_error

    @property
    def _counted(self) -> bool:
        return bool(self.layers) and all(layer.counted for layer in self.layers)

    @property
    def cycles(self) -> float:
        """All layers, per input, without what the host moves between runs."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def uj(self) -> float | None:
        """Energy of all layers, per input, in microjoules."""
        return None if self.energy is None else sum(layer.pj for layer in self.energy) / 1e6

    def over(self, macs: str) -> float | None:
        """Return the speed-up over a machine that makes only some products and never waits.

        Fused poolings take no cycles, neither here nor there.

        Parameters
        ----------
        macs : a field of :class:`ExploredLayer`.
        """
        if not self.cycles:
            return None
        pairs = zip(self.work, self.layers, strict=True)
        total = sum(getattr(work, macs) for work, layer in pairs if not layer.fused)
        return total / self.multipliers / self.cycles

    @property
    def memories(self) -> dict[str, tuple[int, int]]:
        """By memory, rows that all layers together need in the fullest copy, and rows there are."""
        found: dict[str, tuple[int, int]] = {}
        for layer in self.layers:
            for name, (need, has) in layer.memories.items():
                found[name] = found.get(name, (0, has))[0] + need, has
        return found

    @property
    def fullest(self) -> tuple[str, float] | None:
        """The memory that is fullest, and its rows needed over rows there are."""
        shares = {name: need / has for name, (need, has) in self.memories.items()}
        return max(shares.items(), key=lambda pair: pair[1], default=None)


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """A network, and what it would take on arrays.

    Parameters
    ----------
    name : of the network.
    source : what the inputs are.
    inputs : how many there are.
    layers : in order.
    arrays : that were estimated.
    refused : sentences on what of the network is of no supported kind.
    notes : sentences on what was left out, and on what figures are of.
    """

    name: str
    source: str
    inputs: int
    layers: Sequence[ExploredLayer]
    arrays: Sequence[ArrayEstimate]
    refused: Sequence[str] = ()
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "name": self.name,
            "source": self.source,
            "inputs": self.inputs,
            "refused": list(self.refused),
            "notes": list(self.notes),
            "layers": [asdict(layer) | {"density": layer.density} for layer in self.layers],
            "arrays": [
                {
                    "engine": array.engine,
                    "name": array.name,
                    "params": asdict(array.params),
                    "options": dict(array.options),
                    "multipliers": array.multipliers,
                    "stated_error": array.error,
                    "stated_energy_error": array.energy_error,
                    "refusal": array.refusal,
                    "cycles": array.cycles if array.layers else None,
                    "over_dense": array.over("dense_macs"),
                    "over_weights_only": array.over("weight_macs"),
                    "over_activations_only": array.over("act_macs"),
                    "memories": {name: list(rows) for name, rows in array.memories.items()},
                    "area": array.area,
                    "uj": array.uj,
                    "layers": _layers(array),
                    "advice": [asdict(advice) for advice in array.advice],
                }
                for array in self.arrays
            ],
        }

    def _repr_html_(self: Any) -> str:
        # Here, since the tables are of explorations.
        from zeroskip.sim.explore.tables import exploration_report

        return to_html(exploration_report(self))


def _layers(array: ArrayEstimate) -> list[dict[str, Any]]:
    """Return what the JSON document says of the layers of an array."""
    found: list[dict[str, Any]] = []
    for layer, energy in zip(array.layers, array.energy or [None] * len(array.layers), strict=True):
        document = asdict(replace(layer, activity=None)) | {"bound": layer.bound}
        del document["activity"]
        pj, units = (None, None) if energy is None else (energy.pj, energy.units)
        found.append(document | {"pj": pj, "units_pj": units})
    return found
