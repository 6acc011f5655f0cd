"""Round a convolutional network to the arithmetic of the SCNN engine, and what follows to EIE's."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import run_nodes, shapes
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCnn,
    FloatConv,
    FloatGraph,
    QuantCnn,
    QuantGraph,
)
from zeroskip.compiler.ir.network import QuantNetwork
from zeroskip.compiler.passes.clipping import calibration_warnings
from zeroskip.compiler.passes.fixed_point import check_planes
from zeroskip.compiler.passes.quality import folding_warning
from zeroskip.compiler.passes.quantize import quantize as quantize_chain
from zeroskip.compiler.passes.report import QuantReport
from zeroskip.compiler.passes.share import cluster
from zeroskip.compiler.scnn.check import check_tail
from zeroskip.compiler.scnn.formats import choose_formats
from zeroskip.compiler.scnn.quantize_report import CnnReport, ConvReport, layer_report
from zeroskip.compiler.scnn.steps import make_steps
from zeroskip.compiler.scnn.weights import leaves_room_for_one
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["quantize"]

_BATCH_ELEMENTS = 1 << 22
"""Elements of the largest tensor that go through the network at a time, to bound memory."""


def quantize(
    cnn: FloatCnn,
    calibration: Any,
    params: ScnnParams,
    tail_params: EieParams | None = None,
    *,
    share: bool = False,
) -> tuple[QuantCnn, CnnReport]:
    """Round ``cnn`` to the arithmetic of the hardware.

    Every tensor gets the finest format in which no value seen in ``calibration`` saturates; tensors
    that are concatenated or added share one. Weights get the finest format in which no partial
    sum can overflow the accumulator, for any input that can be represented.

    Parameters
    ----------
    cnn : see :class:`.FloatCnn`.
    calibration : (samples, C, H, W) floats like those of real use.
    params : widths of the SCNN array.
    tail_params : widths of the EIE array, needed if ``cnn`` has a tail.
    share : cluster the weights of layers that have more different ones than a codebook holds; the
        tail's must be clustered if they have too many, the convolutions' can be stored as they are.

    Returns
    -------
    The network, and a report in which errors on the calibration data are still missing; see
    :func:`.fixed_point_errors`.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    CompileError
        If a layer cannot be done by the array, or no format of its weights is safe.
    """
    if cnn.tail is not None:
        check_tail(params, tail_params)
    graph = cnn.graph
    samples = check_planes(calibration, graph, "calibration")
    clustered: set[str] = set()
    if share:
        graph, clustered = _share(graph, params)
    steps = make_steps(graph, _fusible(graph, params))
    ranges, leaving = _observe(graph, samples)
    formats = choose_formats(steps, ranges, params)
    quant = QuantGraph(graph.input_shape, formats.layers, steps.outputs, graph.sample_shape)
    tail: QuantNetwork | None = None
    tail_report: QuantReport | None = None
    if cnn.tail is not None and tail_params is not None:
        ends = [formats.limits[name] for name in steps.outputs]
        tail, tail_report = quantize_chain(
            cnn.tail,
            leaving,
            tail_params,
            share=share,
            in_frac=formats.fracs[steps.outputs[0]],
            in_limits=(min(low for low, _ in ends), max(high for _, high in ends)),
        )
    layers = tuple(
        layer_report(layer, step, formats, layer.name in clustered)
        for layer, step in zip(formats.layers, steps.steps, strict=True)
    )
    report = CnnReport(
        samples=len(samples),
        input_frac=formats.fracs[INPUT],
        input_low=ranges[INPUT][0],
        input_high=ranges[INPUT][1],
        layers=layers,
        tail=tail_report,
        warnings=(
            *calibration_warnings(samples),
            *_folding_warnings(cnn.graph, layers, params),
            *(tail_report.warnings if tail_report is not None else ()),
        ),
    )
    return QuantCnn(quant, tail), report


def _folding_warnings(
    graph: FloatGraph, layers: Sequence[ConvReport], params: ScnnParams
) -> tuple[str, ...]:
    """Return a sentence about each layer whose values do not fit a codebook for what was folded."""
    made = {layer.name: layer for layer in layers}
    limit = params.num_codes - 1
    found: list[str] = []
    for node in graph.nodes:
        if not isinstance(node, FloatConv) or node.values is None or node.values > limit:
            continue
        layer = made[node.name]
        if layer.codebook and not layer.clustered:
            continue
        lost = f"which no codebook of {limit} holds, so that they are stored plain"
        if layer.clustered:
            lost = f"which were clustered to {layer.values}"
        after = np.unique(node.weight[node.weight != 0]).size
        found.append(folding_warning(node.name, node.folded, node.values, after, lost))
    return tuple(found)


def _share(graph: FloatGraph, params: ScnnParams) -> tuple[FloatGraph, set[str]]:
    """Cluster the weights of convolutions that have too many different ones."""
    # An addition may need a code for 1.
    added = {name for node in graph.nodes if isinstance(node, FloatAdd) for name in node.inputs}
    nodes, names = list(graph.nodes), set[str]()
    for at, node in enumerate(nodes):
        if not isinstance(node, FloatConv):
            continue
        limit = max(1, params.num_codes - 1 - (node.name in added))
        place = np.nonzero(node.weight)
        weights = node.weight[place]
        if np.unique(weights).size <= limit:
            continue
        values = cluster(weights, limit)
        borders = values[:-1] + (values[1:] - values[:-1]) / 2
        weight = np.zeros(node.weight.shape)
        weight[place] = values[np.searchsorted(borders, weights)]
        nodes[at] = dataclasses.replace(node, weight=weight)
        names.add(node.name)
    return dataclasses.replace(graph, nodes=tuple(nodes)), names


def _fusible(graph: FloatGraph, params: ScnnParams) -> dict[str, bool]:
    return {
        node.name: leaves_room_for_one(node.weight, params)
        for node in graph.nodes
        if isinstance(node, FloatConv)
    }


def _observe(
    graph: FloatGraph, samples: NDArray[np.float64]
) -> tuple[dict[str, tuple[float, float]], NDArray[np.float64]]:
    """Run the network in float.

    Returns
    -------
    The smallest and largest value of every tensor, and the output (samples, C, H, W).
    """
    largest = max(int(np.prod(shape)) for shape in shapes(graph).values())
    batch = max(1, _BATCH_ELEMENTS // largest)
    ranges = {INPUT: (float(samples.min()), float(samples.max()))}
    leaving: list[NDArray[np.float64]] = []
    for start in range(0, len(samples), batch):
        part = samples[start : start + batch]
        y = part
        for node, y in run_nodes(graph, part):
            low, high = ranges.get(node.name, (np.inf, -np.inf))
            ranges[node.name] = min(low, float(y.min())), max(high, float(y.max()))
            if node.name == graph.output:
                leaving.append(y)
        if graph.output == INPUT:
            leaving.append(y)
    return ranges, np.concatenate(leaving)
