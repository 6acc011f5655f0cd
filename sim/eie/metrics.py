"""What a run on the RTL says about the hardware: every figure that is printed is defined here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.passes.fixed_point import check_input, quantize_input
from zeroskip.hw.eie.formats import StallClass
from zeroskip.sim.eie.storage import layer_storage
from zeroskip.sim.eie.verify import VerifyResult

__all__ = ["LayerMetrics", "RunMetrics", "WorkMetrics", "measure", "measure_columns"]


@dataclass(frozen=True, kw_only=True)
class WorkMetrics:
    """What a layer, or all of them, were to an array of either kind.

    Parameters
    ----------
    name : of the layer.
    density : non-zero weights over all.
    act_density : non-zero activations over all, at the layer's input.
    dense_macs : products, those with zeros included.
    useful_macs : products of a non-zero weight and a non-zero activation that an output needs,
        mean per input.
    cycles : mean per input; None without counters.
    utilisation : ``useful_macs / (cycles * multipliers)``.
    speedup : ``dense_macs / multipliers / cycles``: over an array of as many multipliers that
        does one multiplication each in every cycle, zero or not, and never waits.
    stalls : share of the multipliers' cycles by class, sums to 1.
    """

    name: str
    density: float
    act_density: float
    dense_macs: int
    useful_macs: float
    cycles: float | None
    utilisation: float | None = None
    speedup: float | None = None
    stalls: dict[str, float] | None = None

    def with_rates(
        self, counted: NDArray[np.int64] | None, classes: type[IntEnum], multipliers: int
    ) -> Self:
        """Fill in what follows from cycles and counters.

        Parameters
        ----------
        counted : cycles of all multipliers by class; None without counters.
        classes : of the stalls.
        multipliers : of the array.
        """
        slots = self.cycles * multipliers if self.cycles else None
        stalls = None
        if counted is not None and counted.any():
            stalls = {one.name.lower(): float(counted[one] / counted.sum()) for one in classes}
        return replace(
            self,
            utilisation=self.useful_macs / slots if slots else None,
            speedup=self.dense_macs / slots if slots else None,
            stalls=stalls,
        )


@dataclass(frozen=True, kw_only=True)
class LayerMetrics(WorkMetrics):
    """A layer, or the whole network, on the EIE array: a PE has one multiplier.

    Parameters
    ----------
    rows, cols : of the layer's matrix.
    nnz : non-zero weights.
    entries : stored entries, padding included, over all PEs.
    padding : entries that stand for no weight.
    stalls : by :class:`.StallClass`; see :class:`WorkMetrics` for the others.
    """

    rows: int
    cols: int
    nnz: int
    entries: int
    padding: int


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
    result : what :func:`.verify` gave for them.
    """
    p, layers = image.params, image.network.layers
    samples = check_input(x, image.network.input_shape, "input", single=True)
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
            LayerMetrics(
                name=storage.name,
                rows=storage.rows,
                cols=storage.cols,
                nnz=storage.nnz,
                density=storage.nnz / (storage.rows * storage.cols),
                act_density=float(np.mean(inputs[number] != 0)),
                entries=int(storage.entries.sum()),
                padding=int(storage.padding.sum()),
                dense_macs=storage.rows * storage.cols,
                useful_macs=float(useful[:, number].mean()),
                cycles=None if mine is None else float(mine.sum(axis=(1, 2)).mean()) / p.num_pes,
            ).with_rates(None if mine is None else mine.sum(axis=(0, 1)), StallClass, p.num_pes)
        )
    assert cycles is not None
    nnz, dense_macs = sum(m.nnz for m in measured), sum(m.dense_macs for m in measured)
    total = LayerMetrics(
        name="total",
        rows=sum(m.rows for m in measured),
        cols=sum(m.cols for m in measured),
        nnz=nnz,
        density=nnz / dense_macs,
        act_density=float(np.mean(np.concatenate([(part != 0).ravel() for part in inputs]))),
        entries=sum(m.entries for m in measured),
        padding=sum(m.padding for m in measured),
        dense_macs=dense_macs,
        useful_macs=float(useful.sum(axis=1).mean()),
        cycles=float(cycles.mean()),
    ).with_rates(None if counters is None else counters.sum(axis=(0, 1, 2)), StallClass, p.num_pes)
    names = [storage.name for storage in stored]
    problems = () if counters is None else _problems(names, counters, cycles, useful)
    return RunMetrics(len(columns), tuple(measured), total, problems)


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
