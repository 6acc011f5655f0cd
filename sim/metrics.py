"""What a run on the RTL says about the hardware: every figure that is printed is defined here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compiler.fixed_point import check_input, quantize_input
from compiler.image import Image
from hw.eie.formats import StallClass
from sim.storage import layer_storage
from sim.verify import VerifyResult

__all__ = ["LayerMetrics", "RunMetrics", "measure", "measure_columns"]


@dataclass(frozen=True)
class LayerMetrics:
    """A layer, or the whole network, on the array.

    Parameters
    ----------
    name : of the layer.
    rows, cols : of its matrix.
    nnz : non-zero weights.
    density : ``nnz`` over all weights.
    act_density : non-zero activations over all, at the layer's input.
    entries : stored entries, padding included, over all PEs.
    padding : entries that stand for no weight.
    dense_macs : ``rows * cols``.
    useful_macs : products of a non-zero weight and a non-zero activation, mean per input.
    cycles : mean per input; None without counters.
    utilisation : ``useful_macs / (cycles * num_pes)``.
    speedup : ``dense_macs / num_pes / cycles``: over an array that does one multiplication per
        PE and cycle, zero or not, and never waits.
    stalls : share of the cycles of all PEs by :class:`hw.eie.formats.StallClass`, sums to 1.
    """

    name: str
    rows: int
    cols: int
    nnz: int
    density: float
    act_density: float
    entries: int
    padding: int
    dense_macs: int
    useful_macs: float
    cycles: float | None
    utilisation: float | None
    speedup: float | None
    stalls: dict[str, float] | None


@dataclass(frozen=True)
class RunMetrics:
    """All layers.

    Parameters
    ----------
    inputs : how many were run.
    layers : in order.
    total : the network: sums, and shares of sums.
    problems : sentences about counters that contradict each other or golden; none if all is well.
    """

    inputs: int
    layers: tuple[LayerMetrics, ...]
    total: LayerMetrics
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON has them."""
        fields = asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


def measure(image: Image, x: ArrayLike, result: VerifyResult) -> RunMetrics:
    """Derive the metrics of a run.

    Parameters
    ----------
    image : that was run.
    x : its inputs.
    result : what :func:`sim.run.verify` gave for them.
    """
    p, layers = image.params, image.network.layers
    samples = check_input(x, image.network.input_shape, "input")
    first = quantize_input(samples.reshape(len(samples), -1), layers[0].in_frac, p.act_bits)
    return measure_columns(image, first, result)


def measure_columns(image: Image, columns: NDArray[np.int64], result: VerifyResult) -> RunMetrics:
    """Derive the metrics of a run of inputs, (n, columns), that are in fixed point already."""
    p, layers = image.params, image.network.layers
    inputs = [columns, *result.golden.layer_outputs[:-1]]
    per_column = [np.diff(layer.codes.indptr) for layer in layers]
    useful = np.stack([(x != 0) @ n for x, n in zip(inputs, per_column, strict=True)], axis=1)

    counters, cycles = result.rtl.counters, result.rtl.cycles
    stored = layer_storage(image)
    measured: list[LayerMetrics] = []
    for number, storage in enumerate(stored):
        mine = None if counters is None else counters[:, number]
        measured.append(
            _metrics(
                storage.name,
                (storage.rows, storage.cols, storage.nnz),
                (int(storage.entries.sum()), int(storage.padding.sum())),
                storage.rows * storage.cols,
                float(np.mean(inputs[number] != 0)),
                float(useful[:, number].mean()),
                None if mine is None else float(mine.sum(axis=(1, 2)).mean()) / p.num_pes,
                None if mine is None else mine.sum(axis=(0, 1)),
                p.num_pes,
            )
        )
    assert cycles is not None
    total = _metrics(
        "total",
        (
            sum(m.rows for m in measured),
            sum(m.cols for m in measured),
            sum(m.nnz for m in measured),
        ),
        (sum(m.entries for m in measured), sum(m.padding for m in measured)),
        sum(m.dense_macs for m in measured),
        float(np.mean(np.concatenate([(part != 0).ravel() for part in inputs]))),
        float(useful.sum(axis=1).mean()),
        float(cycles.mean()),
        None if counters is None else counters.sum(axis=(0, 1, 2)),
        p.num_pes,
    )
    names = [storage.name for storage in stored]
    problems = () if counters is None else _problems(names, counters, cycles, useful)
    return RunMetrics(len(columns), tuple(measured), total, problems)


def _metrics(
    name: str,
    shape: tuple[int, int, int],
    stored: tuple[int, int],
    dense_macs: int,
    act_density: float,
    useful_macs: float,
    cycles: float | None,
    stalls: NDArray[np.int64] | None,
    num_pes: int,
) -> LayerMetrics:
    rows, cols, nnz = shape
    slots = cycles * num_pes if cycles else None
    shares = None
    if stalls is not None and stalls.any():
        shares = {c.name.lower(): float(stalls[c] / stalls.sum()) for c in StallClass}
    return LayerMetrics(
        name=name,
        rows=rows,
        cols=cols,
        nnz=nnz,
        density=nnz / dense_macs,
        act_density=act_density,
        entries=stored[0],
        padding=stored[1],
        dense_macs=dense_macs,
        useful_macs=useful_macs,
        cycles=cycles,
        utilisation=useful_macs / slots if slots else None,
        speedup=dense_macs / slots if slots else None,
        stalls=shares,
    )


def _problems(
    names: Sequence[str],
    counters: NDArray[np.int64],
    cycles: NDArray[np.int64],
    useful: NDArray[np.int64],
) -> tuple[str, ...]:
    """Check what must hold between counters, and between them and golden."""
    found: list[str] = []
    counted = counters[..., StallClass.USEFUL].sum(axis=2)
    for sample, number in np.argwhere(counted != useful).tolist():
        found.append(
            f"input {sample}, layer {names[number]}: the array counted {counted[sample, number]} "
            f"useful MACs, but golden's activations make {useful[sample, number]}"
        )
    per_pe = counters.sum(axis=3)
    for sample, number in np.argwhere(per_pe.min(axis=2) != per_pe.max(axis=2)).tolist():
        found.append(
            f"input {sample}, layer {names[number]}: the PEs' counters add up to "
            f"{per_pe[sample, number].min()} to {per_pe[sample, number].max()} cycles"
        )
    layers = per_pe[:, :, 0].sum(axis=1)
    for (sample,) in np.argwhere(layers != cycles).tolist():
        found.append(
            f"input {sample}: the layers' counters add up to {layers[sample]} cycles, but the run "
            f"took {cycles[sample]}"
        )
    return tuple(found)
