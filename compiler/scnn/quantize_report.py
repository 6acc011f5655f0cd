"""What rounding to fixed point did to a convolutional network, in numbers."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, FloatCnn, QuantCnn, QuantConv, QuantGraph
from zeroskip.compiler.passes.fixed_point import (
    check_planes,
    dequantize,
    quantize_input,
)
from zeroskip.compiler.passes.quality import snr_warnings
from zeroskip.compiler.passes.report import (
    ErrorMeter,
    FixedPointError,
    QuantReport,
    add_errors,
)
from zeroskip.compiler.scnn.formats import Formats
from zeroskip.compiler.scnn.steps import Step
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["CnnReport", "ConvReport", "fixed_point_errors", "layer_report"]

_BATCH_ELEMENTS = 1 << 22
"""Elements of the largest tensor at a time, to bound memory."""


@dataclass(frozen=True)
class ConvReport:
    """A layer in fixed point.

    Parameters
    ----------
    name, kind : as in :class:`.QuantConv`.
    node : name of the float node whose output it is; another one if it has an addition in it.
    in_shape, out_shape : (C, H, W).
    weights : how many there are.
    nnz : weights that are not 0 in fixed point.
    density : ``nnz`` over all.
    values : different weights that are not 0.
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
class CnnReport:
    """A convolutional network in fixed point.

    Parameters
    ----------
    samples : calibration samples.
    input_frac : fraction bits of the input.
    input_low, input_high : smallest and largest calibration input.
    input_density : share of the calibration input that is not 0 in fixed point, if computed.
    warnings : sentences about the calibration data, and about errors, if computed.
    layers : in order.
    tail : of the Linear layers, if there are any.
    """

    samples: int
    input_frac: int
    input_low: float
    input_high: float
    layers: tuple[ConvReport, ...]
    tail: QuantReport | None
    input_density: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def densities(self) -> dict[str, float]:
        """Share of every tensor, by name, that is not 0; nothing if not computed."""
        known = {INPUT: self.input_density} | {one.name: one.out_density for one in self.layers}
        return {name: density for name, density in known.items() if density is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        fields = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        tail = self.tail.to_dict() if self.tail is not None else None
        layers = [dataclasses.asdict(one) for one in self.layers]
        return {**fields, "layers": layers, "tail": tail, "warnings": list(self.warnings)}


def layer_report(layer: QuantConv, step: Step, formats: Formats, clustered: bool) -> ConvReport:
    """Describe a layer that was rounded from ``step``."""
    reach, ends = formats.reach[layer.name], [formats.limits[name] for name in layer.inputs]
    own = layer.weight[:, : step.weight.shape[1]]
    nnz = int(np.count_nonzero(layer.weight))
    error = np.abs(dequantize(own, layer.weight_frac) - step.weight)
    values = int(np.unique(layer.weight[layer.weight != 0]).size)
    if layer.areas:
        rounded = np.array([one.weight for one in layer.areas])
        exact = 1.0 / np.array([one.divisor for one in step.areas])
        error = np.abs(dequantize(rounded, layer.weight_frac) - exact)
        values = int(np.unique(rounded).size)
    return ConvReport(
        name=layer.name,
        kind=layer.kind,
        node=step.node,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        weights=layer.num_weights,
        nnz=nnz,
        density=nnz / layer.num_weights,
        values=values,
        codebook=layer.codebook is not None,
        clustered=clustered,
        in_frac=layer.in_frac,
        weight_frac=layer.weight_frac,
        out_frac=layer.out_frac,
        shift=layer.shift,
        acc_bits_needed=reach.bits,
        in_lowest=min(low for low, _ in ends),
        in_highest=max(high for _, high in ends),
        acc_lowest=reach.low,
        acc_highest=reach.high,
        out_lowest=formats.limits[layer.name][0],
        out_highest=formats.limits[layer.name][1],
        weight_error=float(error.max(initial=0.0)) if layer.op == "add" else 0.0,
        rounded_to_zero=int(np.count_nonzero(step.weight) - np.count_nonzero(own)),
    )


def fixed_point_errors(
    cnn: FloatCnn,
    quant: QuantCnn,
    report: CnnReport,
    calibration: Any,
    params: ScnnParams,
    tail_params: EieParams | None = None,
) -> CnnReport:
    """Compare each layer's outputs in float and in fixed point, both run from the input on.

    Parameters
    ----------
    cnn : before quantization, and before clustering if that was done.
    quant, report : what :func:`.quantize` made of it.
    calibration : (samples, C, H, W) floats.
    params, tail_params : widths of the hardware.

    Returns
    -------
    ``report`` with an error for each layer and the density of each tensor.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    """
    graph = quant.graph
    samples = check_planes(calibration, graph, "calibration")
    meters = {one.node: ErrorMeter() for one in report.layers}
    rests = [ErrorMeter() for _ in quant.tail.layers] if quant.tail is not None else []
    nonzero = dict.fromkeys([INPUT, *(layer.name for layer in graph.layers)], 0)
    elements = {name: int(np.prod(graph.shape(name))) for name in nonzero}
    batch = max(1, _BATCH_ELEMENTS // max(elements.values()))
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        fixed, saturated = _run(
            graph, quantize_input(part, report.input_frac, params.act_bits), params
        )
        for name, value in fixed.items():
            nonzero[name] += int(np.count_nonzero(value))
        made = {one.node: one for one in report.layers}
        leaving = part
        for node, exact in run_nodes(cnn.graph, part):
            if node.name in made:
                one = made[node.name]
                meters[node.name].add(exact, fixed[one.name], one.out_frac, saturated[one.name])
            leaving = exact if node.name == cnn.graph.output else leaving
        if cnn.tail is not None and quant.tail is not None and tail_params is not None:
            entering = np.concatenate([fixed[name] for name in graph.outputs], axis=1)
            exact = leaving.reshape(len(part), -1).T
            entering = entering.reshape(len(part), -1).T
            add_errors(rests, cnn.tail, quant.tail, exact, entering, tail_params)
    total = {name: len(samples) * count for name, count in elements.items()}
    layers = tuple(
        dataclasses.replace(
            one,
            error=meters[one.node].result(),
            in_density=sum(nonzero[name] for name in layer.inputs)
            / sum(total[name] for name in layer.inputs),
            out_density=nonzero[layer.name] / total[layer.name],
        )
        for one, layer in zip(report.layers, graph.layers, strict=True)
    )
    tail = report.tail
    if tail is not None:
        tail = tail.with_errors(tuple(meter.result() for meter in rests))
        # Errors add up from the first convolution to the last Linear: one warning for all.
        tail = dataclasses.replace(tail, warnings=())
    measured = *layers, *(() if tail is None else tail.layers)
    return dataclasses.replace(
        report,
        layers=layers,
        tail=tail,
        input_density=nonzero[INPUT] / total[INPUT],
        warnings=(*report.warnings, *snr_warnings(measured)),
    )


def _run(
    graph: QuantGraph, x: NDArray[np.int64], params: ScnnParams
) -> tuple[dict[str, NDArray[np.int64]], dict[str, int]]:
    """Return every tensor, and how many outputs of each layer saturation changed."""
    tensors, saturated = {INPUT: x}, dict[str, int]()
    for result in layer_results(graph, x, params.acc_bits, params.act_bits):
        tensors[result.layer.name] = result.output
        saturated[result.layer.name] = int(result.saturated.sum())
    return tensors, saturated
