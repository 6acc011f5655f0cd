"""SCNN's energy again: beside its dense machine, by density, and beside one-sided machines."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from math import exp, log
from typing import Any

from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Table, percent
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.energy.activity import Array
from zeroskip.sim.energy.measure import LayerEnergy, priced
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.scnn.benchmark.activity import layer_activity
from zeroskip.sim.scnn.benchmark.granularity import (
    GRAIN_LAYERS,
    GrainCost,
    count_grains,
    grain_table,
)
from zeroskip.sim.scnn.benchmark.layers import NETWORKS, ConvLayer, scnn_layers
from zeroskip.sim.scnn.benchmark.run import dense_operand
from zeroskip.sim.scnn.energy import ENERGY, dense_activity, dense_array

__all__ = ["DensityCost", "NetworkCost", "ScnnEnergyBench", "bench_energy"]

PAPER_OVER_DENSE = 2.3
"""Energy of the paper's dense machine over SCNN's, mean of the networks."""

PAPER_OVER_GATED = 2.3 / 2.0
"""The same of its dense machine whose multipliers rest at zeros."""

PAPER_DENSE_COST = 1.33
"""SCNN's energy over the dense machine's where nothing is 0."""

PAPER_EVEN = 0.83
"""Density of both operands at which SCNN and the dense machine take the same energy."""

PAPER_ONE_SIDED = {"weights": 1.6, "activations": 2.1}
"""At densities of 0.4, energy of machines that skip zeros of one side only over SCNN's."""

_SWEPT = tuple(
    name for name in scnn_layers() if name.startswith(("googlenet/3a/", "googlenet/5b/"))
)
_DENSITIES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
_ONE_SIDED = 0.4


@dataclass(frozen=True)
class NetworkCost:
    """All layers of a network.

    Parameters
    ----------
    name : of the network.
    uj, dense_uj, gated_uj : energy of SCNN, of the dense machine, and of that if its multipliers
        rest at zeros.
    pj_per_mac : SCNN's energy over useful products.
    units : share of SCNN's energy by unit.
    """

    name: str
    uj: float
    dense_uj: float
    gated_uj: float
    pj_per_mac: float
    units: Mapping[str, float]


@dataclass(frozen=True)
class DensityCost:
    """The 1 x 1 and 3 x 3 layers of inception 3a and 5b, with operands of one density.

    Parameters
    ----------
    density : of weights and activations.
    uj, dense_uj : energy of SCNN and of the dense machine.
    weights_uj, activations_uj : of machines that skip zeros of these only; None if not counted.
    """

    density: float
    uj: float
    dense_uj: float
    weights_uj: float | None = None
    activations_uj: float | None = None


@dataclass(frozen=True)
class ScnnEnergyBench:
    """Networks and densities.

    Parameters
    ----------
    networks, densities : what was counted; either may be empty.
    technology : name of the constants.
    grains : layers by what is pruned at once.
    """

    networks: tuple[NetworkCost, ...]
    densities: tuple[DensityCost, ...]
    technology: str
    grains: tuple[GrainCost, ...] = ()

    @property
    def over_dense(self) -> float | None:
        """Geometric mean of the dense machine's energy over SCNN's."""
        if not self.networks:
            return None
        ratios = [network.dense_uj / network.uj for network in self.networks]
        return exp(sum(map(log, ratios)) / len(ratios))

    @property
    def even(self) -> float | None:
        """Density at which both take the same, on a straight line between points; None if none."""
        points = [(density.density, density.uj / density.dense_uj) for density in self.densities]
        for (left, low), (right, high) in pairwise(points):
            if low <= 1 < high:
                return left + (1 - low) / (high - low) * (right - left)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "technology": self.technology,
            "networks": [asdict(network) for network in self.networks],
            "densities": [asdict(density) for density in self.densities],
            "grains": [asdict(grain) for grain in self.grains],
            "over_dense": self.over_dense,
            "even_density": self.even,
            "paper": {
                "over_dense": PAPER_OVER_DENSE,
                "over_gated": PAPER_OVER_GATED,
                "dense_cost": PAPER_DENSE_COST,
                "even_density": PAPER_EVEN,
                "one_sided": PAPER_ONE_SIDED,
            },
        }

    def report(self) -> Iterator[Table | str]:
        """Give the tables."""
        if self.networks:
            units = list(self.networks[0].units)
            yield Table(
                f"Energy of convolutions; constants: {self.technology}",
                [
                    "network", "uJ", "dense uJ", "dense / SCNN", "paper", "gated / SCNN",
                    "pJ / MAC", *units,
                ],
                [
                    [
                        network.name,
                        f"{network.uj:.0f}",
                        f"{network.dense_uj:.0f}",
                        f"{network.dense_uj / network.uj:.2f}",
                        f"{PAPER_OVER_DENSE} (mean)",
                        f"{network.gated_uj / network.uj:.2f}",
                        f"{network.pj_per_mac:.2f}",
                        *(percent(network.units[unit]) for unit in units),
                    ]
                    for network in self.networks
                ],
            )  # fmt: skip
        if len(self.networks) > 1:
            yield (
                f"dense / SCNN, geometric mean: {self.over_dense:.2f}; the paper's mean is "
                f"{PAPER_OVER_DENSE}"
            )
        if self.densities:
            yield Table(
                "1 x 1 and 3 x 3 layers of inception 3a and 5b, by density of both operands",
                ["density", "uJ", "dense uJ", "SCNN / dense", "weights only / SCNN",
                 "activations only / SCNN"],
                [
                    [
                        f"{density.density:g}",
                        f"{density.uj:.1f}",
                        f"{density.dense_uj:.1f}",
                        f"{density.uj / density.dense_uj:.2f}",
                        *("-" if uj is None else f"{uj / density.uj:.2f}"
                          for uj in (density.weights_uj, density.activations_uj)),
                    ]
                    for density in self.densities
                ],
            )  # fmt: skip
            even = "at no density" if self.even is None else f"at density {self.even:.2f}"
            yield f"SCNN and the dense machine take the same {even}; the paper's at {PAPER_EVEN}"
        if self.grains:
            yield grain_table(self.grains)


def bench_energy(
    networks: Mapping[str, Sequence[ConvLayer]] = NETWORKS,
    swept: Sequence[str] = _SWEPT,
    grains: Sequence[ConvLayer] = GRAIN_LAYERS,
    technology: Technology | None = None,
    params: ScnnParams = PRESETS["paper"],
    progress: Progress | None = None,
) -> ScnnEnergyBench:
    """Count the energy of networks, and of some layers by density.

    Parameters
    ----------
    networks : layers by network.
    swept : full names of the layers whose densities are varied.
    grains : layers that are pruned in each way.
    technology : constants; those of 45 nm unless given.
    params : of the array.
    progress : see :data:`.Progress`.
    """
    report = progress or silent
    constants = technology or read_technology()
    arrays = ENERGY.array(params), dense_array(params)
    layers = [scnn_layers()[name] for name in swept]
    at = {
        density: [replace(one, act_density=density, weight_density=density) for one in layers]
        for density in _DENSITIES
    }
    sides = {
        side: [
            dense_operand(one, acts=side == "weights", weights=side == "activations")
            for one in at[_ONE_SIDED]
        ]
        for side in PAPER_ONE_SIDED
    }
    groups = {**networks, **{f"{density:g}": found for density, found in at.items()}, **sides}
    work = [(name, layer) for name, found in groups.items() for layer in found]
    done: dict[str, list[_Cost]] = {name: [] for name in groups}
    measure = partial(_cost, params=params, arrays=arrays, technology=constants)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        costs = pool.map(measure, [layer for _, layer in work])
        for number, ((name, _), cost) in enumerate(zip(work, costs, strict=True), 1):
            done[name].append(cost)
            report("layers", number, len(work))
    return ScnnEnergyBench(
        tuple(_network(name, done[name]) for name in networks),
        tuple(_density(density, done) for density in _DENSITIES if layers),
        constants.name,
        count_grains(grains, constants, params, progress) if grains else (),
    )


@dataclass(frozen=True)
class _Cost:
    """A layer on the array, on the dense machine, and on that with multipliers that rest."""

    ours: LayerEnergy
    dense: LayerEnergy
    gated: LayerEnergy


def _cost(
    layer: ConvLayer, params: ScnnParams, arrays: tuple[Array, Array], technology: Technology
) -> _Cost:
    array, dense = arrays
    activity, conv, _ = layer_activity(layer, params)
    events = [*activity.events, *array.clock(activity.cycles)]
    beside = dense_activity(params, conv, activity.useful, dense)
    rest = [
        replace(event, count=activity.useful) if event.what == "products" else event
        for event in beside.events
    ]
    return _Cost(
        priced(activity, "scnn", array, technology, events),
        priced(beside, "scnn", dense, technology),
        priced(beside, "scnn", dense, technology, rest),
    )


def _network(name: str, costs: Sequence[_Cost]) -> NetworkCost:
    pj = sum(cost.ours.pj for cost in costs)
    units = costs[0].ours.units
    return NetworkCost(
        name=name,
        uj=pj / 1e6,
        dense_uj=sum(cost.dense.pj for cost in costs) / 1e6,
        gated_uj=sum(cost.gated.pj for cost in costs) / 1e6,
        pj_per_mac=pj / sum(cost.ours.useful for cost in costs),
        units={unit: sum(cost.ours.units[unit] for cost in costs) / pj for unit in units},
    )


def _density(density: float, done: Mapping[str, Sequence[_Cost]]) -> DensityCost:
    def uj(name: str) -> float:
        return sum(one.ours.pj for one in done[name]) / 1e6

    sides = [uj(side) if density == _ONE_SIDED else None for side in PAPER_ONE_SIDED]
    dense = sum(one.dense.pj for one in done[f"{density:g}"]) / 1e6
    return DensityCost(density, uj(f"{density:g}"), dense, *sides)
