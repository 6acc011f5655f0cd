"""What rounding to fixed point did to a network, in numbers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT, QuantLayer
from zeroskip.compiler.passes.fixed_point import dequantize
from zeroskip.compiler.passes.lowering import LoweredLayer
from zeroskip.compiler.passes.weights import Rounded

__all__ = ["FixedPointError", "LayerReport", "QuantReport", "layer_report"]


@dataclass(frozen=True)
class FixedPointError:
    """Difference between float and fixed-point outputs of a layer, both run from the input on.

    Parameters
    ----------
    max_abs, rms : in units of the output.
    snr_db : signal over error, in dB; None if there is no error or no signal.
    saturated : outputs that saturation changed.
    outputs : outputs compared.
    """

    max_abs: float
    rms: float
    snr_db: float | None
    saturated: int
    outputs: int


@dataclass(frozen=True)
class LayerReport:
    """A layer in fixed point.

    Parameters
    ----------
    name, kind : as in :class:`.QuantConv` and :class:`.QuantLinear`.
    engine : that computes it.
    node : name of the float node whose output it is; another one if it has an addition in it.
    in_shape, out_shape : (C, H, W).
    weights : how many there are.
    nnz : weights that are not 0 in fixed point.
    density : ``nnz`` over all.
    values : different weights that are not 0 in fixed point.
    codebook : weights are stored as codes, else as they are.
    clustered : the weights were clustered here.
    in_frac, weight_frac, out_frac : fraction bits.
    shift : right shift from accumulator to output.
    acc_bits_needed : width that no partial sum of any input can overflow.
    in_lowest, in_highest : integers between which every input is.
    acc_lowest, acc_highest : the partial sums that such inputs can reach.
    out_lowest, out_highest : the outputs that they can reach.
    weight_error : largest rounding error of a weight, in units of the weights.
    rounded_to_zero : weights that were not 0 before.
    in_density, out_density : share of its inputs, and of its outputs, that are not 0 on the
        calibration data, if computed.
    error : on the calibration data, if computed.
    """

    name: str
    kind: str
    engine: str
    node: str
    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    weights: int
    nnz: int
    density: float
    values: int
    codebook: bool
    clustered: bool
    in_frac: int
    weight_frac: int
    out_frac: int
    shift: int
    acc_bits_needed: int
    in_lowest: int
    in_highest: int
    acc_lowest: int
    acc_highest: int
    out_lowest: int
    out_highest: int
    weight_error: float
    rounded_to_zero: int
    in_density: float | None = None
    out_density: float | None = None
    error: FixedPointError | None = None


@dataclass(frozen=True)
class QuantReport:
    """A network in fixed point.

    Parameters
    ----------
    samples : calibration samples.
    input_frac : fraction bits of the input.
    input_low, input_high : smallest and largest calibration input.
    layers : in order.
    activity : per Linear layer (columns,), how often each of its inputs was not 0; not for JSON.
    input_density : share of the calibration input that is not 0 in fixed point, if computed.
    nonzero : of each tensor, by name (n, C, H, W) bool, where it is not 0 for some calibration
        samples, if computed; not for JSON.
    warnings : sentences about the calibration data, and about errors, if computed.
    """

    samples: int
    input_frac: int
    input_low: float
    input_high: float
    layers: tuple[LayerReport, ...]
    activity: Mapping[str, NDArray[np.float64]] = field(repr=False, compare=False)
    input_density: float | None = None
    warnings: tuple[str, ...] = ()
    nonzero: Mapping[str, NDArray[np.bool_]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def densities(self) -> dict[str, float]:
        """Share of every tensor, by name, that is not 0; nothing if not computed."""
        known = {INPUT: self.input_density}
        known |= {layer.name: layer.out_density for layer in self.layers}
        return {name: density for name, density in known.items() if density is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del fields["activity"], fields["nonzero"]
        layers = [dataclasses.asdict(layer) for layer in self.layers]
        return {**fields, "layers": layers, "warnings": list(self.warnings)}


def layer_report(
    layer: QuantLayer,
    lowered: LoweredLayer,
    rounded: Rounded,
    limits: Mapping[str, tuple[int, int]],
    engine: str,
) -> LayerReport:
    """Describe a layer.

    Parameters
    ----------
    layer, lowered, rounded : in fixed point, before, and its numbers.
    limits : smallest and largest integer of each tensor.
    engine : that computes it.
    """
    shared, numbers = lowered.weights, rounded.values
    exact = shared.values
    nonzero = int(np.count_nonzero(shared.codes))
    kept = nonzero
    if not numbers.all():
        kept = int(np.count_nonzero(np.concatenate([[False], numbers != 0])[shared.codes]))
    if lowered.areas:
        numbers = np.array([area.weight for area in rounded.areas])
        exact = 1.0 / np.array([area.divisor for area in lowered.areas])
    different = np.unique(np.append(numbers, rounded.unit))
    error = np.abs(dequantize(numbers, rounded.weight_frac) - exact).max(initial=0.0)
    if lowered.recurrent is not None:
        own = rounded.recurrent
        missed = dequantize(own, rounded.recurrent_frac) - lowered.recurrent.values
        error = max(error, np.abs(missed).max(initial=0.0))
        there = lowered.recurrent.codes
        nonzero += int(np.count_nonzero(there))
        kept += int(np.count_nonzero(np.concatenate([[False], own != 0])[there]))
        different = np.append(different, np.unique(own))
    nnz = kept + lowered.identity * layer.out_shape[0]
    ends = [limits[name] for name in layer.inputs]
    return LayerReport(
        name=layer.name,
        kind=layer.kind,
        engine=engine,
        node=lowered.node,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        weights=layer.num_weights,
        nnz=nnz,
        density=nnz / max(1, layer.num_weights),
        values=int(np.count_nonzero(different)),
        codebook=rounded.codebook is not None,
        clustered=shared.clustered or getattr(lowered.recurrent, "clustered", False),
        in_frac=layer.in_frac,
        weight_frac=layer.weight_frac,
        out_frac=layer.out_frac,
        shift=layer.shift,
        acc_bits_needed=rounded.reach.bits,
        in_lowest=min(low for low, _ in ends),
        in_highest=max(high for _, high in ends),
        acc_lowest=rounded.reach.low,
        acc_highest=rounded.reach.high,
        out_lowest=rounded.limits[0],
        out_highest=rounded.limits[1],
        weight_error=float(error) if lowered.op == "add" else 0.0,
        rounded_to_zero=nonzero - kept,
    )
