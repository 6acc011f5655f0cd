"""Energy and memory references by how weights are pruned (Mao et al., 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Table
from zeroskip.hw.scnn.params import PRESETS, ScnnParams
from zeroskip.sim.energy.measure import priced
from zeroskip.sim.energy.technology import Technology, read_technology
from zeroskip.sim.scnn.benchmark.activity import layer_activity
from zeroskip.sim.scnn.benchmark.layers import ConvLayer, scnn_layers
from zeroskip.sim.scnn.energy import ENERGY

__all__ = ["GRAINS", "GRAIN_LAYERS", "GrainCost", "GrainLayer", "count_grains", "grain_table"]

GRAINS = {"fine": (2, 3), "vector": (2,), "kernel": (), "filter": None}
"""Kinds of pruning, and which axes of (K, C, R, S) weights are kept or pruned one by one besides K
and C: single weights, rows of a kernel, kernels; filters are pruned with all their channels."""

GRAIN_LAYERS: tuple[ConvLayer, ...] = (
    scnn_layers()["alexnet/conv3"],
    scnn_layers()["vgg16/conv5_2"],
)
"""Layers whose weights are pruned in each way."""


@dataclass(frozen=True)
class GrainLayer(ConvLayer):
    """A layer whose weights are pruned in groups, at the same density.

    Parameters
    ----------
    grain : of :data:`GRAINS`.
    """

    grain: str = "fine"

    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw as a layer does, and then prune by groups, as near to its density as they allow."""
        acts, weights = replace(self, grain="fine", weight_density=1.0).drawn()
        axes = GRAINS[self.grain]
        groups = tuple(
            size if axis == 0 or (axes is not None and (axis == 1 or axis in axes)) else 1
            for axis, size in enumerate(weights.shape)
        )
        count = int(np.prod(groups))
        kept = np.zeros(count, np.int64)
        rng = np.random.default_rng(count)
        kept[rng.choice(count, max(1, round(self.weight_density * count)), replace=False)] = 1
        return acts, weights * kept.reshape(groups)

    def drawn(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw without groups."""
        return super().draw()


@dataclass(frozen=True)
class GrainCost:
    """A layer pruned in one way.

    Parameters
    ----------
    layer, grain : which, and how.
    density : of its weights.
    cycles, useful : of an inference.
    references : to memories, see :class:`.References`.
    uj : energy.
    """

    layer: str
    grain: str
    density: float
    cycles: float
    useful: float
    references: int
    uj: float


def count_grains(
    layers: Sequence[ConvLayer] = GRAIN_LAYERS,
    technology: Technology | None = None,
    params: ScnnParams = PRESETS["paper"],
    progress: Progress | None = None,
) -> tuple[GrainCost, ...]:
    """Count energy and references of layers pruned in each way, at the same density.

    Parameters
    ----------
    layers : that are pruned.
    technology : constants; those of 45 nm unless given.
    params : of the array.
    progress : see :data:`.Progress`.
    """
    report = progress or silent
    constants = technology or read_technology()
    array = ENERGY.array(params)
    work = [GrainLayer(**vars(layer), grain=grain) for layer in layers for grain in GRAINS]
    found: list[GrainCost] = []
    for number, layer in enumerate(work):
        report("grains", number, len(work))
        activity, conv, references = layer_activity(layer, params)
        events = [*activity.events, *array.clock(activity.cycles)]
        cost = priced(activity, "scnn", array, constants, events)
        found.append(
            GrainCost(
                layer=layer.full_name,
                grain=layer.grain,
                density=conv.nonzeros / conv.num_weights,
                cycles=activity.cycles,
                useful=activity.useful,
                references=references.total,
                uj=cost.pj / 1e6,
            )
        )
    report("grains", len(work), len(work))
    return tuple(found)


def grain_table(costs: Sequence[GrainCost]) -> Table:
    """Return the costs over those of single weights."""
    fine = {cost.layer: cost for cost in costs if cost.grain == "fine"}
    return Table(
        "By what is pruned at once, at the same density; over single weights",
        ["layer", "pruned", "density", "useful MACs", "cycles", "references", "energy", "uJ"],
        [
            [
                cost.layer,
                cost.grain,
                f"{cost.density:.3f}",
                *(
                    f"{getattr(cost, name) / getattr(fine[cost.layer], name):.2f}"
                    for name in ("useful", "cycles", "references", "uj")
                ),
                f"{cost.uj:.2f}",
            ]
            for cost in costs
        ],
    )
