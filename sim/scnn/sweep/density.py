"""Draw what sparsity brings: speed over the dense machine, by density of the operands."""

from collections.abc import Mapping

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from zeroskip.base.errors import InputError
from zeroskip.sim.plots.style import COLOURS, MARKERS, OTHERS, explain, panels
from zeroskip.sim.scnn.benchmark.layers import NETWORK_NAMES
from zeroskip.sim.scnn.sweep.points import MACHINES

__all__ = ["PAPER_DENSITY_SPEED", "draw_density"]

PAPER_DENSITY_SPEED: Mapping[float, float] = {0.1: 24.0, 0.85: 1.0, 1.0: 0.79}
"""Speed of the paper's SCNN over its dense machine on GoogLeNet, by density of both operands
(Parashar et al., section VI; 0.85 is where both take the same time)."""

_LABELS = {
    "scnn": "SCNN",
    "weight-only": "only weights compressed",
    "activation-only": "only activations compressed",
}


def draw_density(table: pl.DataFrame) -> Figure:
    """Draw a panel per network, a curve per machine.

    Parameters
    ----------
    table : as :func:`.read_table` gives it for a sweep over ``density``.

    Raises
    ------
    InputError
        If the table varies in anything else, or not in density.
    """
    table = table.filter(pl.col("possible") & (pl.col("act_density") == pl.col("weight_density")))
    if table["act_density"].n_unique() < 2:
        raise InputError(
            "density needs a table with several densities of both operands: sweep density first"
        )
    keys = ["network", "layer", "machine", "act_density"]
    if table.select(keys).is_duplicated().any():
        raise InputError(
            "density needs a table of one array: sweep density and machine, nothing else"
        )
    networks = table["network"].unique(maintain_order=True).to_list()
    figure, axes = panels(
        [NETWORK_NAMES[name] for name in networks],
        "Speed by density of weights and activations",
        "cycles of a dense machine of as many multipliers over cycles of 64 PEs of 4 x 4 "
        "multipliers, all layers of the table together; above the dotted line sparsity pays",
    )
    for network, panel in zip(networks, axes, strict=True):
        _panel(panel, network, table.filter(network=network))
    explain(figure, axes, ncols=2)
    figure.supylabel("speed over the dense machine (x)", fontsize=9)
    return figure


def _panel(panel: Axes, network: str, table: pl.DataFrame) -> None:
    for number, machine in enumerate(MACHINES):
        rows = (
            table
            .filter(machine=machine)
            .group_by("act_density")
            .agg(pl.col("dense_cycles").sum(), pl.col("cycles").sum())
            .sort("act_density")
        )
        if len(rows):
            panel.plot(
                rows["act_density"].to_list(),
                (rows["dense_cycles"] / rows["cycles"]).to_list(),
                color=COLOURS[number],
                marker=MARKERS[number],
                markersize=4,
                linewidth=1.5,
                label=_LABELS[machine],
            )
    panel.axhline(1, linestyle=":", color=OTHERS, linewidth=1)
    if network == "googlenet":
        panel.plot(
            [*PAPER_DENSITY_SPEED],
            [*PAPER_DENSITY_SPEED.values()],
            color=OTHERS,
            linestyle="",
            marker="x",
            markersize=7,
            markeredgewidth=1.8,
            label="SCNN, the paper",
        )
    panel.set_yscale("log")
    panel.set_yticks([0.5, 1, 2, 5, 10, 20, 50])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_xticks([tick / 10 for tick in range(0, 11, 2)])
    panel.set_xlabel("density")
