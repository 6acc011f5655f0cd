"""Draw a figure of the paper from the table of a sweep: a panel per layer, a curve per variant."""

from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from zeroskip.base.errors import InputError
from zeroskip.sim.eie.sweep.figures import FIGURES, FigureKind, Reference
from zeroskip.sim.eie.sweep.grid import AXES
from zeroskip.sim.plots.style import COLOURS, MARKERS, OTHERS, explain, panels

__all__ = ["draw_figure"]


def draw_figure(name: str, table: pl.DataFrame) -> Figure:
    """Draw a figure.

    Parameters
    ----------
    name : of :data:`.FIGURES`.
    table : as :func:`.read_table` gives it.

    Raises
    ------
    InputError
        If the table lacks what the figure shows, or varies in more than it can show.
    """
    kind = FIGURES[name]
    table = table.filter("possible")
    if table[kind.axis].n_unique() < 2:
        raise InputError(
            f"{name} needs a table with several values of {kind.axis}: sweep them first"
        )
    others = [a for a in AXES if a != kind.axis and table[a].n_unique() > 1]
    variants = table.select(others).unique(maintain_order=True).to_dicts() if others else [{}]
    if len(variants) > len(COLOURS):
        raise InputError(
            f"{name} shows at most {len(COLOURS)} variants, but the table has {len(variants)} "
            f"combinations of {', '.join(others)}: sweep fewer values of them"
        )
    layers = table["layer"].unique(maintain_order=True).to_list()
    figure, axes = panels(layers, kind.title, kind.about + kind.note(table))
    for layer, panel in zip(layers, axes, strict=True):
        for number, variant in enumerate(variants):
            rows = table.filter(pl.col("layer") == layer, **variant).sort(kind.axis)
            if len(rows):
                _curve(panel, kind, rows, number, _label(variant))
        for reference in kind.references:
            _reference(panel, kind, layer, reference, set(table[kind.axis]))
        _axes(panel, kind, table)
    for panel in axes:
        if panel.xaxis.get_tick_params()["labelbottom"]:
            panel.set_xlabel(kind.x_label)
    figure.supylabel(kind.y_label, fontsize=9)
    explain(figure, axes, ncols=3)
    return figure


def _label(variant: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in variant.items()) or "Zeroskip"


def _text(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _curve(panel: Axes, kind: FigureKind, rows: pl.DataFrame, number: int, label: str) -> None:
    x = rows[kind.axis].to_list()
    if kind.ideal and not number:
        panel.plot(x, [number / x[0] for number in x], ":", color=OTHERS, linewidth=1)
    y = kind.value(rows) * (100 if kind.percent else 1)
    panel.plot(
        x,
        y.to_list(),
        color=COLOURS[number],
        marker=MARKERS[number],
        markersize=4,
        linewidth=1.5,
        label=label,
    )


def _reference(
    panel: Axes, kind: FigureKind, layer: str, reference: Reference, shown: set[int]
) -> None:
    points = {x: y for x, y in reference.values.get(layer, {}).items() if x in shown}
    if not points:
        return
    y = [value * (100 if kind.percent else 1) for value in points.values()]
    if reference.line:
        look: dict[str, Any] = {"linestyle": "--", "linewidth": 1, "marker": ".", "markersize": 4}
    else:
        look = {"linestyle": "", "marker": "x", "markersize": 7, "markeredgewidth": 1.8}
    panel.plot([*points], y, color=OTHERS, label=reference.label, zorder=3, **look)


def _axes(panel: Axes, kind: FigureKind, table: pl.DataFrame) -> None:
    """Put a mark at each value that was swept: all are powers of two, or near."""
    values = sorted(set(table[kind.axis]))
    panel.set_xscale("log", base=2)
    panel.set_xticks(values, [str(value) for value in values], fontsize=8)
    panel.xaxis.set_minor_locator(NullLocator())
    if kind.percent:
        panel.set_ylim(0, 104)
        panel.set_yticks(range(0, 101, 20))
    else:
        panel.set_yscale("log", base=2)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_locator(NullLocator())
