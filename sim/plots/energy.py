"""Draw where the energy of an inference goes."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zeroskip.sim.energy.measure import Energy, LayerEnergy
from zeroskip.sim.plots.style import COLOURS

__all__ = ["draw_energy"]

_NJ = 1e3  # pJ


def draw_energy(energy: Energy) -> Figure:
    """Draw a bar of units for each layer, and one for each machine.

    Parameters
    ----------
    energy : of the inferences.
    """
    beside = {"this array": energy.layers, **energy.machines}
    rows = [len(energy.layers), len(beside)]
    figure = Figure(figsize=(8.6, 2.2 + 0.28 * sum(rows)), layout="constrained")
    figure.suptitle(
        f"{energy.name}: {energy.uj:.4g} uJ an inference, {energy.pj_per_mac:.3g} pJ a useful MAC",
        fontsize=11,
        x=0.01,
        ha="left",
    )
    layers, machines = figure.subplots(2, 1, height_ratios=rows)
    _bars(layers, {layer.name: [layer] for layer in energy.layers})
    layers.set_title("layers", loc="left", fontsize=10)
    _bars(machines, beside)
    machines.set_title("machines of as many multipliers", loc="left", fontsize=10)
    machines.set_xlabel(f"nJ, without DRAM; {energy.technology}", fontsize=8)
    handles, labels = layers.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _bars(panel: Axes, groups: Mapping[str, Sequence[LayerEnergy]]) -> None:
    """Draw a bar for each group of layers, the first on top."""
    names = list(groups)
    begin = [0.0] * len(names)
    units = list(next(iter(groups.values()))[0].units)
    for number, unit in enumerate(units):
        sums = [sum(layer.units[unit] for layer in layers) / _NJ for layers in groups.values()]
        # More units than colours: those that come again are hatched.
        again = number // len(COLOURS)
        panel.barh(
            names,
            sums,
            left=begin,
            color=COLOURS[number % len(COLOURS)],
            hatch="//" * again,
            edgecolor="white",
            label=unit,
        )
        begin = [start + size for start, size in zip(begin, sums, strict=True)]
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
