"""Draw where the cycles of every PE went."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from zeroskip.sim.machine import machine
from zeroskip.sim.result import Result

__all__ = ["HeatMap", "draw_heat", "heat_maps"]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A layer.

    Parameters
    ----------
    name : of the layer.
    counters : (num_pes, stall classes) int64 cycles, or multiplier-cycles; all PEs have the same
        sum.
    classes : names of the stall classes.
    multipliers : that each PE has, if multiplier-cycles are given.
    """

    name: str
    counters: NDArray[np.int64]
    classes: Sequence[str]
    multipliers: int = 1


def heat_maps(result: Result) -> list[HeatMap]:
    """Give a map of each layer; cycles are sums over all inputs.

    Parameters
    ----------
    result : of the cycle model, or of RTL with counters.
    """
    maps: list[HeatMap] = []
    for part, found in zip(result.image.parts, result.parts, strict=True):
        assert found.counters is not None
        array = machine(part.engine)
        sums = found.counters.sum(axis=0)
        classes = [stall.name.lower() for stall in array.classes][: sums.shape[-1]]
        several = len(result.parts) > 1
        for layer, of_pes in zip(part.graph.layers, sums, strict=True):
            name = f"{layer.name} on {part.engine.upper()}" if several else layer.name
            per_pe = array.multipliers(part.params) // len(of_pes)
            maps.append(HeatMap(name, of_pes, classes, per_pe))
    return maps


def draw_heat(title: str, layers: Sequence[HeatMap]) -> Figure:
    """Draw a map of PEs by stall classes for each layer.

    Parameters
    ----------
    title : of the figure.
    layers : at least one; they may be of different arrays.
    """
    rows = [len(layer.classes) for layer in layers]
    figure = Figure(figsize=(9.6, 1.0 + 0.27 * sum(rows)), layout="constrained")
    figure.suptitle(
        f"{title}: share of each PE's cycles by what it did", fontsize=11, x=0.01, ha="left"
    )
    grid = figure.subplots(len(layers), 1, squeeze=False, height_ratios=rows)[:, 0]
    # Most classes are small beside the useful cycles: the root keeps their differences visible.
    norm = PowerNorm(0.5, 0, 100)
    picture = None
    for layer, panel in zip(layers, grid, strict=True):
        spent = layer.counters[0].sum()
        shares = 100 * layer.counters.T / max(1, spent)
        picture = panel.imshow(
            shares, aspect="auto", interpolation="nearest", cmap="cividis", norm=norm
        )
        cycles = spent // layer.multipliers
        panel.set_title(f"{layer.name}: {cycles:,} cycles", loc="left", fontsize=10)
        panel.set_yticks(range(len(layer.classes)), layer.classes)
        panel.set_xticks(_ticks(len(layer.counters)))
        panel.set_ylabel("stall class")
        means = panel.secondary_yaxis("right")
        means.set_yticks(
            range(len(layer.classes)), [f"{mean:.1f} %" for mean in shares.mean(axis=1)]
        )
        means.set_ylabel("mean of the PEs")
        means.tick_params(length=0)
    grid[-1].set_xlabel("PE")
    assert picture is not None
    bar = figure.colorbar(picture, ax=list(grid), aspect=12 * len(layers), pad=0.02)
    bar.set_label("share of the layer's cycles (%)")
    bar.set_ticks([0, 1, 5, 10, 25, 50, 75, 100])
    return figure


def _ticks(num_pes: int) -> list[int]:
    """Choose about eight PEs to number, the last too."""
    step = max(1, 1 << max(0, (num_pes - 1).bit_length() - 3))
    return [pe for pe in range(0, num_pes, step) if num_pes - 1 - pe > step // 2] + [num_pes - 1]
