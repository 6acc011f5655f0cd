"""Tables of metrics, for every command that runs the RTL."""

from collections.abc import Callable

from hw.eie.formats import StallClass
from scripts.cli.output import print_table
from sim.metrics import LayerMetrics, RunMetrics

__all__ = ["print_metrics"]


def print_metrics(metrics: RunMetrics) -> None:
    """Print size, work and speed of each layer, and where the cycles went."""
    every = (*metrics.layers, metrics.total)
    print_table(
        f"Work (cycles and useful MACs: mean of {metrics.inputs} inputs)",
        [
            "layer", "rows x cols", "density", "acts != 0", "entries", "padding", "cycles",
            "useful MACs", "dense MACs", "utilisation", "speed-up",
        ],
        [
            [
                m.name,
                "" if m is metrics.total else f"{m.rows} x {m.cols}",
                _percent(m.density),
                _percent(m.act_density),
                m.entries,
                m.padding,
                _or_dash(m.cycles, "{:.1f}".format),
                f"{m.useful_macs:.1f}",
                m.dense_macs,
                _or_dash(m.utilisation, _percent),
                _or_dash(m.speedup, "{:.2f} x".format),
            ]
            for m in every
        ],
    )  # fmt: skip
    if any(m.stalls for m in every):
        print_table(
            "Where the cycles of the PEs went (each line adds up to 100 %)",
            ["layer", *(c.name.lower() for c in StallClass)],
            [_stalls(m) for m in every],
        )


def _stalls(m: LayerMetrics) -> list[object]:
    stalls = m.stalls or {}
    return [m.name, *(_percent(stalls[c.name.lower()]) if stalls else "-" for c in StallClass)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _or_dash(value: float | None, text: Callable[[float], str]) -> str:
    return "-" if value is None else text(value)
