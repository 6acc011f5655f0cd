"""What a run on the RTL says about the hardware: every figure that is printed is defined here."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import Part
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.compiler.ir.graph import TRAINED, dense_macs
from zeroskip.sim.machine import Selection, machine
from zeroskip.sim.products import past_of, useful_macs
from zeroskip.sim.result import PartResult, Result
from zeroskip.sim.verify import VerifyResult

__all__ = [
    "CLOCKS",
    "LayerMetrics",
    "PartMetrics",
    "RunMetrics",
    "measure",
    "measure_run",
]


CLOCKS = 100, 500, 800
"""MHz for which times are given: of boards, and up to those of chips in papers."""


@dataclass(frozen=True, kw_only=True)
class LayerMetrics:
    """What a layer, or all layers of an array, were to the array.

    Parameters
    ----------
    name : of the layer.
    kind : of the layer; a pooling layer's MACs are comparisons or additions. Empty of all.
    in_shape, out_shape : (C, H, W) of one layer.
    weights, nnz : weights, and how many are not 0.
    density : ``nnz / weights``.
    act_density : non-zero activations over all, at the layer's input.
    dense_macs : products, those with zeros and those on padding included; 0 of a layer that is
        made along with another and takes no multiplier, as are ``useful_macs``.
    useful_macs : products of a non-zero weight and a non-zero activation that an output needs,
        mean per input.
    cycles : mean per input; None without counters.
    utilisation : ``useful_macs / (cycles * multipliers)``.
    speedup : ``dense_macs / multipliers / cycles``: over an array of as many multipliers that
        does one multiplication each in every cycle, zero or not, and never waits.
    stalls : share of the multipliers' cycles by class, sums to 1.
    stored : what more is counted of what the array's memories hold of it, by name.
    """

    name: str
    kind: str = ""
    in_shape: tuple[int, int, int] | None = None
    out_shape: tuple[int, int, int] | None = None
    weights: int
    nnz: int
    density: float
    act_density: float
    dense_macs: int
    useful_macs: float
    cycles: float | None
    utilisation: float | None = None
    speedup: float | None = None
    stalls: dict[str, float] | None = None
    stored: Mapping[str, Any] = field(default_factory=dict)

    def with_rates(
        self, counted: NDArray[np.int64] | None, classes: type[IntEnum], multipliers: int
    ) -> "LayerMetrics":
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
            stalls = {
                stall.name.lower(): float(count / counted.sum())
                for stall, count in zip(classes, counted, strict=False)
            }
        return dataclasses.replace(
            self,
            utilisation=self.useful_macs / slots if slots else None,
            speedup=self.dense_macs / slots if slots else None,
            stalls=stalls,
        )


@dataclass(frozen=True)
class PartMetrics:
    """Layers on one array.

    Parameters
    ----------
    engine : of the array.
    layers : that were run, in order.
    total : sums, and shares of sums.
    """

    engine: str
    layers: tuple[LayerMetrics, ...]
    total: LayerMetrics


@dataclass(frozen=True)
class RunMetrics:
    """All layers that were run.

    Parameters
    ----------
    inputs : how many were run.
    parts : of each array.
    problems : sentences about counters that contradict each other or golden; none if all is well.
    """

    inputs: int
    parts: tuple[PartMetrics, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as JSON has them."""
        fields = asdict(self)
        for part in fields["parts"]:
            part["layers"] = list(part["layers"])
        return {**fields, "parts": list(fields["parts"]), "problems": list(self.problems)}


def measure(result: VerifyResult) -> RunMetrics:
    """Derive the metrics of a comparison.

    Parameters
    ----------
    result : what :func:`.verify` gave.
    """
    # What a part reads may come from one that was not run.
    tensors = result.golden.tensors_on_arrays
    parts: list[PartMetrics] = []
    problems: list[str] = []
    for comparison in result.parts:
        measured, useful = _measure_part(comparison.selection, comparison.rtl, tensors)
        parts.append(measured)
        if comparison.rtl.counters is not None:
            array = machine(measured.engine)
            problems += array.counter_problems(comparison.selection, comparison.rtl, useful)
    return RunMetrics(result.golden.inputs, tuple(parts), tuple(problems))


def measure_run(result: Result) -> RunMetrics:
    """Derive the metrics of a run.

    Parameters
    ----------
    result : what the cycle model gave, or RTL with counters.
    """
    tensors, parts = result.tensors_on_arrays, list[PartMetrics]()
    for part, found in zip(result.image.parts, result.parts, strict=True):
        measured, _ = _measure_part(Selection(part, found.layers), found, tensors)
        parts.append(measured)
    return RunMetrics(result.inputs, tuple(parts), ())


def _measure_part(
    selection: Selection[Part], rtl: PartResult, tensors: Mapping[str, NDArray[np.int64]]
) -> tuple[PartMetrics, NDArray[np.int64]]:
    """Return the metrics of an array, and (n, layers) useful products."""
    part, array = selection.part, machine(selection.part.engine)
    multipliers = array.multipliers(part.params)
    places = [
        place for place, layer in enumerate(part.graph.layers) if layer.name in selection.layers
    ]
    layers = [part.graph.layers[place] for place in places]
    inputs = [concatenate(tensors, layer.inputs, layer.in_shape) for layer in layers]
    sequences = part.graph.sequences(len(inputs[0]))
    steps = len(inputs[0]) / len(sequences.lengths)
    fused = array.fused(part)
    useful = np.stack(
        [
            useful_macs(layer, values, past_of(layer, tensors), sequences)
            * (layer.name not in fused)
            for layer, values in zip(layers, inputs, strict=True)
        ],
        axis=1,
    )
    counters = None if rtl.counters is None else rtl.counters[:, places]
    stored = array.storage(part)
    measured: list[LayerMetrics] = []
    for number, (layer, values) in enumerate(zip(layers, inputs, strict=True)):
        counted = None if counters is None else counters[:, number]
        every = None if counted is None else steps * float(counted.sum(axis=(1, 2)).mean())
        nnz = layer.nonzeros
        measured.append(
            LayerMetrics(
                name=layer.name,
                kind=layer.kind,
                in_shape=layer.in_shape,
                out_shape=layer.out_shape,
                weights=layer.num_weights,
                nnz=nnz,
                density=nnz / layer.num_weights,
                act_density=float(np.mean(values != 0)),
                dense_macs=round(steps * dense_macs(layer)) * (layer.name not in fused),
                useful_macs=steps * float(useful[:, number].mean()),
                cycles=None if every is None else every / multipliers,
                stored=stored[layer.name],
            ).with_rates(
                None if counted is None else counted.sum(axis=(0, 1)), array.classes, multipliers
            )
        )
    assert rtl.cycles is not None
    spent = steps * float(rtl.cycles.mean())
    total = _total(measured, inputs, steps * useful, spent).with_rates(
        None if counters is None else counters.sum(axis=(0, 1, 2)), array.classes, multipliers
    )
    return PartMetrics(part.engine, tuple(measured), total), useful


def _total(
    measured: Sequence[LayerMetrics],
    inputs: Sequence[NDArray[np.int64]],
    useful: NDArray[np.floating[Any]],
    cycles: float,
) -> LayerMetrics:
    """Add up layers."""
    trained = [layer for layer in measured if layer.kind in TRAINED]
    weights, nnz = sum(layer.weights for layer in trained), sum(layer.nnz for layer in trained)
    read = sum(values.size for values in inputs)
    summed = [name for name, value in measured[0].stored.items() if type(value) is int]
    return LayerMetrics(
        name="total",
        weights=weights,
        nnz=nnz,
        density=nnz / max(1, weights),
        act_density=sum(int(np.count_nonzero(values)) for values in inputs) / max(1, read),
        dense_macs=sum(layer.dense_macs for layer in measured),
        useful_macs=float(useful.sum(axis=1).mean()),
        cycles=cycles,
        stored={name: sum(layer.stored[name] for layer in measured) for name in summed},
    )
