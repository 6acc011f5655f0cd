"""Tables of metrics, for every command that runs the RTL."""

from collections.abc import Callable, Sequence
from enum import IntEnum

from zeroskip.base.tables import percent
from zeroskip.cli.output import print_table
from zeroskip.hw.eie.formats import StallClass
from zeroskip.sim.eie.metrics import RunMetrics, WorkMetrics

__all__ = [
    "WORK_COLUMNS",
    "print_metrics",
    "print_stalls",
    "work_cells",
]

WORK_COLUMNS = ("cycles", "useful MACs", "dense MACs", "utilisation", "speed-up")
"""Headings of what :func:`work_cells` gives."""


def print_metrics(metrics: RunMetrics) -> None:
    """Print size, work and speed of each layer, and where the cycles went."""
    every = (*metrics.layers, metrics.total)
    print_table(
        f"Work (cycles and useful MACs: mean of {metrics.inputs} inputs)",
        ["layer", "rows x cols", "density", "acts != 0", "entries", "padding", *WORK_COLUMNS],
        [
            [
                m.name,
                "" if m is metrics.total else f"{m.rows} x {m.cols}",
                percent(m.density),
                percent(m.act_density),
                m.entries,
                m.padding,
                *work_cells(m),
            ]
            for m in every
        ],
    )
    print_stalls("Where the cycles of the PEs went", every, StallClass)


def work_cells(m: WorkMetrics) -> list[object]:
    """Return work and speed of a layer for a table."""
    return [
        _or_dash(m.cycles, "{:.1f}".format),
        f"{m.useful_macs:.1f}",
        m.dense_macs,
        _or_dash(m.utilisation, percent),
        _or_dash(m.speedup, "{:.2f} x".format),
    ]


def print_stalls(title: str, every: Sequence[WorkMetrics], classes: type[IntEnum]) -> None:
    """Print where the cycles of each layer went, if that was counted."""
    if not any(m.stalls for m in every):
        return
    names = [one.name.lower() for one in classes]
    print_table(
        f"{title} (each line adds up to 100 %)",
        ["layer", *names],
        [
            [m.name, *(percent(m.stalls[name]) if m.stalls else "-" for name in names)]
            for m in every
        ],
    )


def _or_dash(value: float | None, text: Callable[[float], str]) -> str:
    return "-" if value is None else text(value)
