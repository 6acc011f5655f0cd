"""Measure how far fixed point is from float, layer by layer."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import run_nodes
from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, FloatGraph, QuantGraph
from zeroskip.compiler.passes.arithmetic import Arithmetic, common_act_bits
from zeroskip.compiler.passes.calibrate import batches
from zeroskip.compiler.passes.fixed_point import check_planes, dequantize, quantize_input
from zeroskip.compiler.passes.quality import narrow_accumulators, snr_warnings
from zeroskip.compiler.passes.report import FixedPointError, QuantReport

__all__ = ["fixed_point_errors"]

_KEPT = 1 << 28
"""Elements of all tensors, of the first samples, of which it is kept whether they are 0."""


class _ErrorMeter:
    """Adds up differences between float and fixed-point outputs of a layer."""

    def __init__(self) -> None:
        self._largest = self._errors = self._signals = 0.0
        self._saturated = self._outputs = 0

    def add(
        self, exact: NDArray[np.float64], fixed: NDArray[np.int64], frac: int, saturated: int
    ) -> None:
        """Take in outputs of the same shape; ``fixed`` has ``frac`` fraction bits."""
        difference = dequantize(fixed, frac) - exact
        self._largest = max(self._largest, float(np.abs(difference).max(initial=0.0)))
        self._errors += float(np.square(difference).sum())
        self._signals += float(np.square(exact).sum())
        self._saturated += saturated
        self._outputs += exact.size

    def result(self) -> FixedPointError:
        """Return what was added up, at least one output."""
        errors, signals = self._errors, self._signals
        return FixedPointError(
            max_abs=self._largest,
            rms=math.sqrt(errors / self._outputs),
            snr_db=10 * math.log10(signals / errors) if errors and signals else None,
            saturated=self._saturated,
            outputs=self._outputs,
        )


def fixed_point_errors(
    graph: FloatGraph,
    quant: QuantGraph,
    report: QuantReport,
    calibration: Any,
    arithmetics: Mapping[str, Arithmetic],
) -> QuantReport:
    """Compare each layer's outputs in float and in fixed point, both run from the input on.

    Parameters
    ----------
    graph : before quantization, and before clustering if that was done.
    quant, report : what :func:`.quantize` made of it.
    calibration : (samples, *input_shape) floats.
    arithmetics : of each node.

    Returns
    -------
    ``report`` with an error for each layer, the density of each tensor, and where these are not 0.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    """
    samples = check_planes(calibration, graph, "calibration")
    act_bits = common_act_bits(arithmetics.values())
    acc_bits = {layer.name: arithmetics[layer.node].acc_bits for layer in report.layers}
    meters = {layer.node: _ErrorMeter() for layer in report.layers}
    elements = {name: math.prod(quant.shape(name)) for name in (INPUT, *acc_bits)}
    nonzero, total = dict.fromkeys(elements, 0), dict.fromkeys(elements, 0)
    there: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in elements}
    kept = max(1, _KEPT // sum(elements.values()))
    made = {layer.node: layer for layer in report.layers}
    for batch in batches(samples, max(elements.values()), graph.input_steps):
        tensors = {INPUT: quantize_input(batch, report.input_frac, act_bits)}
        saturated: dict[str, int] = {}
        for result in layer_results(quant, tensors[INPUT], acc_bits, act_bits):
            tensors[result.layer.name] = result.output
            saturated[result.layer.name] = int(result.saturated.sum())
        for name, tensor in tensors.items():
            nonzero[name] += int(np.count_nonzero(tensor))
            total[name] += tensor.size
            there[name].append(tensor[:kept] != 0)
        kept = max(0, kept - len(batch))
        for node, exact in run_nodes(graph, batch):
            if node.name in made:
                layer = made[node.name]
                fixed = tensors[layer.name]
                meters[node.name].add(exact, fixed, layer.out_frac, saturated[layer.name])
    layers = tuple(
        dataclasses.replace(
            facts,
            error=meters[facts.node].result(),
            in_density=sum(nonzero[name] for name in layer.inputs)
            / sum(total[name] for name in layer.inputs),
            out_density=nonzero[layer.name] / total[layer.name],
        )
        for facts, layer in zip(report.layers, quant.layers, strict=True)
    )
    narrow = narrow_accumulators(graph, report.layers, arithmetics)
    return dataclasses.replace(
        report,
        layers=layers,
        input_density=nonzero[INPUT] / total[INPUT],
        nonzero={name: np.concatenate(some) for name, some in there.items()},
        warnings=(*report.warnings, *snr_warnings(layers, narrow)),
    )
