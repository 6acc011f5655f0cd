"""What a run of a CNN says about the SCNN array: every figure that is printed is defined here."""

import dataclasses
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.compiler.ir.fixed import concatenate, run_layer
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.eie.metrics import RunMetrics, WorkMetrics, measure_columns
from zeroskip.sim.scnn.run import cnn_inputs, graph_output
from zeroskip.sim.scnn.verify import CnnVerifyResult

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["CnnMetrics", "ConvMetrics", "dense_macs", "measure_cnn", "useful_macs"]

_WIDE = 62
"""Bits that hold any number of products."""


@dataclass(frozen=True, kw_only=True)
class ConvMetrics(WorkMetrics):
    """A layer, or all of them, on the SCNN array.

    Parameters
    ----------
    kind : of the layer; a pooling layer's MACs are comparisons or additions.
    in_shape, out_shape : (C, H, W).
    kernel, stride : (down, across).
    groups : as in ``torch.nn.Conv2d``.
    dense_macs : a weight for every output, those on padding included.
    stalls : by :class:`.StallClass`; see :class:`WorkMetrics` for the others.
    """

    kind: str
    in_shape: tuple[int, int, int] | None
    out_shape: tuple[int, int, int] | None
    kernel: tuple[int, int] | None
    stride: tuple[int, int] | None
    groups: int | None


@dataclass(frozen=True)
class CnnMetrics:
    """All layers.

    Parameters
    ----------
    inputs : how many were run.
    layers : of SCNN that were run, in order.
    total : of SCNN: sums, and shares of sums.
    tail : of EIE; None if no Linear layers were run.
    problems : sentences about counters that contradict each other or golden; none if all is well.
    """

    inputs: int
    layers: tuple[ConvMetrics, ...]
    total: ConvMetrics
    tail: RunMetrics | None
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON has them."""
        fields = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


def dense_macs(layer: QuantConv) -> int:
    """Count the products of a layer, zeros included, but not the holes of a dilated kernel."""
    return int(np.prod(layer.out_shape[1:])) * layer.num_weights


def useful_macs(layer: QuantConv, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the products of two non-zeros that outputs of a layer need: (n,)."""
    ones = dataclasses.replace(
        layer,
        weight=(layer.weight != 0).astype(np.int64),
        bias=np.zeros_like(layer.bias),
        op="add",
        in_frac=0,
        weight_frac=0,
        out_frac=0,
        relu=False,
        areas=(),
    )
    counts, _ = run_layer(ones, (x != 0).astype(np.int64), acc_bits=_WIDE, act_bits=_WIDE)
    return counts.sum(axis=(1, 2, 3))


def measure_cnn(image: "CnnImage", x: ArrayLike, result: CnnVerifyResult) -> CnnMetrics:
    """Derive the metrics of a run.

    Parameters
    ----------
    image : that was run.
    x : its inputs.
    result : what :func:`.verify_cnn` gave for them.
    """
    planes, graph = cnn_inputs(image, x), image.network.graph
    places = [at for at, layer in enumerate(graph.layers) if layer.name in result.layers]
    layers = [graph.layers[at] for at in places]
    tensors = {INPUT: planes, **result.golden.held}
    inputs = [concatenate(tensors, layer.inputs) for layer in layers]
    useful = np.zeros((len(planes), len(layers)), np.int64)
    for number, (layer, values) in enumerate(zip(layers, inputs, strict=True)):
        useful[:, number] = useful_macs(layer, values)
    multipliers = image.params.num_pes * image.params.mults
    counters = None if result.rtl.counters is None else result.rtl.counters[:, places]
    measured: list[ConvMetrics] = []
    for number, (layer, values) in enumerate(zip(layers, inputs, strict=True)):
        mine = None if counters is None else counters[:, number]
        every = None if mine is None else float(mine.sum(axis=(1, 2)).mean())
        measured.append(
            ConvMetrics(
                name=layer.name,
                kind=layer.kind,
                in_shape=layer.in_shape,
                out_shape=layer.out_shape,
                kernel=layer.kernel,
                stride=layer.stride,
                groups=layer.groups,
                density=np.count_nonzero(layer.weight) / layer.num_weights,
                act_density=float(np.mean(values != 0)),
                dense_macs=dense_macs(layer),
                useful_macs=float(useful[:, number].mean()),
                cycles=None if every is None else every / multipliers,
            ).with_rates(None if mine is None else mine.sum(axis=(0, 1)), StallClass, multipliers)
        )
    weights = sum(layer.num_weights for layer in layers)
    assert result.rtl.run_cycles is not None
    total = ConvMetrics(
        name="total",
        kind="",
        in_shape=None,
        out_shape=None,
        kernel=None,
        stride=None,
        groups=None,
        density=sum(int(np.count_nonzero(layer.weight)) for layer in layers) / max(1, weights),
        act_density=sum(int(np.count_nonzero(part)) for part in inputs)
        / max(1, sum(part.size for part in inputs)),
        dense_macs=sum(m.dense_macs for m in measured),
        useful_macs=float(useful.sum(axis=1).mean()),
        cycles=float(result.rtl.run_cycles.sum(axis=1).mean()),
    ).with_rates(
        None if counters is None else counters.sum(axis=(0, 1, 2)), StallClass, multipliers
    )
    tail = None
    if result.tail is not None:
        assert image.tail is not None
        left = graph_output(graph, result.golden.held)
        tail = measure_columns(image.tail, left.reshape(len(left), -1), result.tail)
    problems = [] if counters is None else _problems(image, result, counters, useful)
    problems += [] if tail is None else tail.problems
    return CnnMetrics(len(planes), tuple(measured), total, tail, tuple(problems))


def _problems(
    image: "CnnImage",
    result: CnnVerifyResult,
    counters: NDArray[np.int64],
    useful: NDArray[np.int64],
) -> list[str]:
    """Check what must hold between counters, and between them and golden."""
    raw = result.rtl.rtl
    assert raw is not None
    found: list[str] = []
    first = 0
    for number, run in enumerate(result.runs):
        mine = raw.counters[:, first : first + len(run.program)].sum(axis=(1, 3))
        first += len(run.program)
        expected = raw.cycles[:, number, None] * image.params.mults
        for sample, pe in np.argwhere(mine != expected).tolist():
            found.append(
                f"input {sample}, run {number}, PE {pe}: the counters add up to "
                f"{mine[sample, pe]} multiplier-cycles, but the run had {expected[sample, 0]}"
            )
    counted = counters[..., StallClass.USEFUL].sum(axis=2)
    for sample, number in np.argwhere(counted < useful).tolist():
        found.append(
            f"input {sample}, layer {result.layers[number]}: the array counted "
            f"{counted[sample, number]} useful products, but golden's activations make "
            f"{useful[sample, number]}"
        )
    return found
