"""Tables of metrics of CNNs, for every command that runs the RTL of both engines."""

from zeroskip.base.tables import percent
from zeroskip.cli.output import print_table
from zeroskip.cli.tables import WORK_COLUMNS, print_metrics, print_stalls, work_cells
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.metrics import CnnMetrics, ConvMetrics

__all__ = ["print_cnn_metrics"]


def print_cnn_metrics(metrics: CnnMetrics) -> None:
    """Print size, work and speed of each layer, and where the cycles went, engine by engine."""
    every = (*metrics.layers, metrics.total)
    print_table(
        f"Work on SCNN (cycles and useful MACs: mean of {metrics.inputs} inputs)",
        ["layer", "input", "output", "kernel", "density", "acts != 0", *WORK_COLUMNS],
        [
            [
                m.name,
                _shape(m.in_shape),
                _shape(m.out_shape),
                _kernel(m),
                percent(m.density),
                percent(m.act_density),
                *work_cells(m),
            ]
            for m in every
        ],
    )
    print_stalls("Where the multiplier-cycles of SCNN went", every, StallClass)
    if metrics.tail is not None:
        print_metrics(metrics.tail)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " x ".join(map(str, shape))


def _kernel(m: ConvMetrics) -> str:
    if m.kernel is None or m.stride is None:
        return ""
    text = f"{m.kind} {m.kernel[0]} x {m.kernel[1]}"
    return text if m.stride == (1, 1) else f"{text} / {m.stride[0]}, {m.stride[1]}"
