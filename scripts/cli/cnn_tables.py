"""Tables of metrics of CNNs, for every command that runs the RTL of both engines."""

from collections.abc import Callable

from hw.scnn.formats import StallClass
from scripts.cli.output import print_table
from scripts.cli.tables import print_metrics
from sim.scnn.metrics import CnnMetrics, ConvMetrics

__all__ = ["print_cnn_metrics"]


def print_cnn_metrics(metrics: CnnMetrics) -> None:
    """Print size, work and speed of each layer, and where the cycles went, engine by engine."""
    every = (*metrics.layers, metrics.total)
    print_table(
        f"Work on SCNN (cycles and useful MACs: mean of {metrics.inputs} inputs)",
        [
            "layer", "input", "output", "kernel", "density", "acts != 0", "cycles",
            "useful MACs", "dense MACs", "utilisation", "speed-up",
        ],
        [
            [
                m.name,
                _shape(m.in_shape),
                _shape(m.out_shape),
                _kernel(m),
                _percent(m.density),
                _percent(m.act_density),
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
            "Where the multiplier-cycles of SCNN went (each line adds up to 100 %)",
            ["layer", *(c.name.lower() for c in StallClass)],
            [_stalls(m) for m in every],
        )
    if metrics.tail is not None:
        print_metrics(metrics.tail)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape))


def _kernel(m: ConvMetrics) -> str:
    if m.kernel is None or m.stride is None:
        return ""
    text = f"{m.kind} {m.kernel[0]} x {m.kernel[1]}"
    return text if m.stride == (1, 1) else f"{text} / {m.stride[0]}, {m.stride[1]}"


def _stalls(m: ConvMetrics) -> list[object]:
    stalls = m.stalls or {}
    return [m.name, *(_percent(stalls[c.name.lower()]) if stalls else "-" for c in StallClass)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _or_dash(value: float | None, text: Callable[[float], str]) -> str:
    return "-" if value is None else text(value)
