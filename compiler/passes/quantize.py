"""Round a network to the arithmetic of the engines that compute it."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatAdd,
    FloatCell,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    Pair,
    QuantCell,
    QuantConv,
    QuantGraph,
    QuantLayer,
    QuantLinear,
    plain_codebook,
)
from zeroskip.compiler.passes.arithmetic import Arithmetic, common_act_bits
from zeroskip.compiler.passes.calibrate import observe
from zeroskip.compiler.passes.clipping import calibration_warnings
from zeroskip.compiler.passes.fixed_point import check_planes
from zeroskip.compiler.passes.formats import choose_formats
from zeroskip.compiler.passes.lowering import LoweredLayer, lower
from zeroskip.compiler.passes.quality import (
    accumulator_warnings,
    narrow_accumulators,
    sharing_warnings,
)
from zeroskip.compiler.passes.report import QuantReport, layer_report
from zeroskip.compiler.passes.share import SharedWeights, share_layer
from zeroskip.compiler.passes.weights import Rounded, leaves_room_for_one
from zeroskip.hw.common.tanh import ARGUMENT_FRAC, GATE_BITS

__all__ = ["quantize"]


def quantize(
    graph: FloatGraph,
    calibration: Any,
    arithmetics: Mapping[str, Arithmetic],
    *,
    share: bool = False,
) -> tuple[QuantGraph[QuantLayer], QuantReport]:
    """Round a network to fixed point.

    Every tensor gets the finest format in which no value seen in ``calibration`` saturates; tensors
    that are concatenated or added share one. Weights get the finest format in which no partial
    sum can overflow the accumulator, for any input that can be represented.

    Parameters
    ----------
    graph : the network.
    calibration : (samples, *input_shape) floats like those of real use.
    arithmetics : of each node, that of the array that computes it, see :func:`.arithmetics`.
    share : cluster the weights of layers that have more different ones than a codebook holds.

    Returns
    -------
    The network, and a report in which errors on the calibration data are still missing; see
    :func:`.fixed_point_errors`.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    CompileError
        If a layer cannot be done by its array, or no format of its weights is safe.
    """
    common_act_bits(arithmetics.values())
    samples = check_planes(calibration, graph, "calibration")
    weights = _share(graph, arithmetics, share=share)
    observed = observe(_with_weights(graph, weights), samples)
    lowered = lower(graph, weights, _fusible(graph, weights, arithmetics))
    formats = choose_formats(lowered, observed.ranges, arithmetics)
    layers: list[QuantLayer] = []
    for layer, rounded in zip(lowered.layers, formats.rounded, strict=True):
        arithmetic, in_frac = arithmetics[layer.node], formats.fracs[layer.inputs[0]]
        if layer.recurrent is not None:
            layers.append(_cell(layer, layer.recurrent, rounded, in_frac, arithmetic))
        elif layer.kind == "linear":
            layers.append(_linear(layer, rounded, in_frac, arithmetic))
        else:
            signed = any(formats.limits[name][0] < 0 for name in layer.inputs)
            layers.append(_conv(layer, rounded, in_frac, signed_input=signed))
    facts = tuple(
        layer_report(layer, exact, rounded, formats.limits, arithmetics[exact.node].engine)
        for layer, exact, rounded in zip(layers, lowered.layers, formats.rounded, strict=True)
    )
    report = QuantReport(
        samples=len(samples),
        input_frac=formats.fracs[INPUT],
        input_low=observed.ranges[INPUT][0],
        input_high=observed.ranges[INPUT][1],
        layers=facts,
        activity=observed.activity,
        warnings=(
            *calibration_warnings(samples),
            *sharing_warnings(graph, facts, weights, arithmetics),
            *accumulator_warnings(narrow_accumulators(graph, facts, arithmetics)),
        ),
    )
    quant = QuantGraph(
        graph.input_shape,
        tuple(layers),
        lowered.outputs,
        graph.sample_shape,
        steps=graph.steps,
        every_step=graph.every_step,
        result_shape=graph.result_shape,
        whole=graph.whole,
        sample_axes=graph.sample_axes,
        result_axes=graph.result_axes,
    )
    return quant, report


def _share(
    graph: FloatGraph, arithmetics: Mapping[str, Arithmetic], *, share: bool
) -> dict[str, SharedWeights]:
    # The convolution that does an addition needs a code for 1.
    added = {name for node in graph.nodes if isinstance(node, FloatAdd) for name in node.inputs}
    found: dict[str, SharedWeights] = {}
    for node in graph.nodes:
        layers = [node] if isinstance(node, FloatConv | FloatLinear) else []
        layers += node.matrices if isinstance(node, FloatCell) else []
        for layer in layers:
            found[layer.name] = share_layer(
                layer, arithmetics[node.name], share=share, reserved=int(node.name in added)
            )
    return found


def _with_weights(graph: FloatGraph, weights: Mapping[str, SharedWeights]) -> FloatGraph:
    """Return a network with the weights that clustering has changed."""
    nodes: list[FloatNode] = []
    for node in graph.nodes:
        if isinstance(node, FloatCell):
            weight, recurrent = (weights[matrix.name].weight for matrix in node.matrices)
            nodes.append(dataclasses.replace(node, weight=weight, recurrent=recurrent))
        elif isinstance(node, FloatConv | FloatLinear) and weights[node.name].clustered:
            nodes.append(dataclasses.replace(node, weight=weights[node.name].weight))
        else:
            nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _fusible(
    graph: FloatGraph, weights: Mapping[str, SharedWeights], arithmetics: Mapping[str, Arithmetic]
) -> set[tuple[str, str]]:
    """Return the convolutions, and the additions that read them, that one layer could do."""
    return {
        (name, node.name)
        for node in graph.nodes
        if isinstance(node, FloatAdd)
        for name in node.inputs
        if name in weights
        and arithmetics[name] == arithmetics[node.name]
        and leaves_room_for_one(weights[name], arithmetics[name])
    }


def _linear(
    layer: LoweredLayer, rounded: Rounded, in_frac: int, arithmetic: Arithmetic
) -> QuantLinear:
    codes, codebook = _coded(layer.weights, rounded.values, arithmetic)
    return QuantLinear(
        name=layer.name,
        inputs=layer.inputs,
        in_shape=layer.in_shape,
        codes=codes,
        codebook=codebook,
        bias=rounded.bias,
        relu=layer.relu,
        in_frac=in_frac,
        weight_frac=rounded.weight_frac,
        out_frac=rounded.out_frac,
    )


def _cell(
    layer: LoweredLayer,
    recurrent: SharedWeights,
    rounded: Rounded,
    in_frac: int,
    arithmetic: Arithmetic,
) -> QuantCell:
    assert layer.kind in ("lstm", "gru")
    matrix, codebook = _coded(layer.weights, rounded.values, arithmetic)
    own, own_codebook = _coded(recurrent, rounded.recurrent, arithmetic)
    return QuantCell(
        name=layer.name,
        kind=layer.kind,
        inputs=layer.inputs,
        in_shape=layer.in_shape,
        matrix=matrix,
        recurrent=own,
        codebook=codebook,
        recurrent_codebook=own_codebook,
        bias=rounded.bias,
        in_frac=in_frac,
        weight_frac=rounded.weight_frac,
        recurrent_frac=rounded.recurrent_frac,
        out_frac=rounded.out_frac,
        steps=layer.steps,
        projection=layer.projection,
        sweep=layer.sweep,
        peepholes=_peepholes(layer),
        thresholds=_thresholds(layer, in_frac, rounded, arithmetic),
    )


def _thresholds(
    layer: LoweredLayer, in_frac: int, rounded: Rounded, arithmetic: Arithmetic
) -> Pair | None:
    """Round the threshold of changes down to the formats of what a cell reads.

    Raises
    ------
    CompileError
        If no change, or none but that from one end of a format to the other, would be larger.
    """
    if layer.delta is None:
        return None
    past_frac = in_frac + rounded.weight_frac - rounded.recurrent_frac
    of_input, of_past = (math.floor(math.ldexp(layer.delta, frac)) for frac in (in_frac, past_frac))
    most = limits(arithmetic.act_bits)[1]
    for what, frac, threshold in (
        ("its input", in_frac, of_input),
        ("its outputs of the step before", past_frac, of_past),
    ):
        if threshold >= most:
            raise CompileError(
                f"the threshold of changes, {layer.delta:g}, leaves none of layer {layer.name!r}: "
                f"{what} is below {math.ldexp(most + 1, -frac):g}; give a smaller one"
            )
    return of_input, of_past


def _peepholes(layer: LoweredLayer) -> NDArray[np.int64] | None:
    """Round the weights of peepholes, which have the format of the states that they are for.

    Raises
    ------
    CompileError
        If one is too large for it.
    """
    if layer.peepholes is None:
        return None
    rounded = np.rint(np.ldexp(layer.peepholes, ARGUMENT_FRAC))
    least, most = limits(GATE_BITS)
    if rounded.min() < least or rounded.max() > most:
        largest = layer.peepholes.flat[np.abs(layer.peepholes).argmax()]
        raise CompileError(
            f"layer {layer.name!r} has a peephole of weight {largest:.4g}, and those of the array "
            f"are from {least >> ARGUMENT_FRAC} to {most / 2**ARGUMENT_FRAC:.4f}: train it with "
            "smaller ones, or without"
        )
    return rounded.astype(np.int64)


def _coded(
    weights: SharedWeights, values: NDArray[np.int64], arithmetic: Arithmetic
) -> tuple[csc_array, NDArray[np.int64]]:
    """Return codes in compressed columns, and the codebook; what rounds to 0 has no code."""
    if arithmetic.plain_bits:
        codebook = plain_codebook(arithmetic.plain_bits)
        stored = np.append(0, values) % len(codebook)
        return _columns(stored.astype(np.uint16)[weights.codes]), codebook
    codebook = np.zeros(arithmetic.max_values + 1, np.int64)
    codebook[1 : values.size + 1] = values
    codes = np.asarray(weights.codes, np.uint8)
    if not values.all():
        kept = np.arange(codebook.size) * (codebook != 0)
        codes = kept.astype(np.uint8)[codes]
    return _columns(codes), codebook


def _columns(codes: NDArray[np.unsignedinteger]) -> csc_array:
    """Return a dense matrix in compressed columns, in a quarter of the memory SciPy takes."""
    rows, cols = codes.shape
    by_column = np.ascontiguousarray(codes.T)
    position = np.flatnonzero(by_column)
    ends = np.searchsorted(position, rows * np.arange(1, cols + 1))
    data = by_column.ravel()[position]
    position %= rows
    pointers = np.concatenate([[0], ends]).astype(np.int32)
    return csc_array((data, position.astype(np.int32), pointers), shape=(rows, cols))


def _conv(layer: LoweredLayer, rounded: Rounded, in_frac: int, *, signed_input: bool) -> QuantConv:
    weight = np.concatenate([[0], rounded.values])[layer.weights.codes]
    if layer.identity:
        depth, _, *kernel = weight.shape
        ones = np.zeros((depth, depth, *kernel), np.int64)
        ones[range(depth), range(depth), layer.padding[0], layer.padding[1]] = rounded.unit
        weight = np.concatenate([weight, ones], axis=1)
    assert layer.kind not in ("linear", "lstm", "gru")
    return QuantConv(
        name=layer.name,
        kind=layer.kind,
        inputs=layer.inputs,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        weight=weight,
        codebook=rounded.codebook,
        bias=rounded.bias,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        relu=layer.relu,
        op=layer.op,
        signed_input=signed_input,
        in_frac=in_frac,
        weight_frac=rounded.weight_frac,
        out_frac=rounded.out_frac,
        areas=rounded.areas,
        dilation=layer.dilation,
    )
