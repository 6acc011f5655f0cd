"""Where the cycles of every PE went, as a picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hw.eie.formats import StallClass

__all__ = ["draw_heat"]


def draw_heat(title: str, names: Sequence[str], counters: NDArray[np.int64]) -> Figure:
    """Draw a map of PEs by stall classes for each layer.

    Parameters
    ----------
    title : of the figure.
    names : of the layers.
    counters : (layers, num_pes, stall classes) cycles.
    """
    classes = [stall.name.lower() for stall in StallClass]
    num_pes = counters.shape[1]
    figure = Figure(figsize=(9.6, 1.0 + 2.15 * len(names)), layout="constrained")
    figure.suptitle(
        f"{title}: share of each PE's cycles by what it did", fontsize=11, x=0.01, ha="left"
    )
    grid = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    # Most classes are small beside the useful cycles: the root keeps their differences visible.
    norm = PowerNorm(0.5, 0, 100)
    picture = None
    for name, mine, one in zip(names, counters, grid, strict=True):
        cycles = mine[0].sum()
        shares = 100 * mine.T / max(1, cycles)
        picture = one.imshow(
            shares, aspect="auto", interpolation="nearest", cmap="cividis", norm=norm
        )
        one.set_title(f"{name}: {cycles:,} cycles", loc="left", fontsize=10)
        one.set_yticks(range(len(classes)), classes)
        one.set_xticks(_ticks(num_pes))
        one.set_ylabel("stall class")
        means = one.secondary_yaxis("right")
        means.set_yticks(range(len(classes)), [f"{mean:.1f} %" for mean in shares.mean(axis=1)])
        means.set_ylabel("mean of the PEs")
        means.tick_params(length=0)
    grid[-1].set_xlabel("PE")
    assert picture is not None
    bar = figure.colorbar(picture, ax=list(grid), aspect=12 * len(names), pad=0.02)
    bar.set_label("share of the layer's cycles (%)")
    bar.set_ticks([0, 1, 5, 10, 25, 50, 75, 100])
    return figure


def _ticks(num_pes: int) -> list[int]:
    """Choose about eight PEs to number, the last too."""
    step = max(1, 1 << max(0, (num_pes - 1).bit_length() - 3))
    return [pe for pe in range(0, num_pes, step) if num_pes - 1 - pe > step // 2] + [num_pes - 1]
