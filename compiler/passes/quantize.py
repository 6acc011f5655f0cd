"""Choose fixed-point formats that cannot overflow, and round a network to them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.compute import check_range
from zeroskip.compiler.ir.network import FloatLayer, FloatNetwork, QuantLayer, QuantNetwork
from zeroskip.compiler.passes.clipping import calibration_warnings
from zeroskip.compiler.passes.fixed_point import (
    check_input,
    dequantize,
    largest_frac,
    limits,
    quantize_input,
)
from zeroskip.compiler.passes.overflow import (
    AccumulatorRange,
    accumulator_range,
    count_values,
    largest_bias,
    too_large_bias,
)
from zeroskip.compiler.passes.quality import folding_warning
from zeroskip.compiler.passes.report import LayerReport, QuantReport, fixed_point_errors
from zeroskip.compiler.passes.share import SharedWeights, bits_for, share_layer
from zeroskip.hw.eie.params import EieParams

__all__ = ["check_input", "dequantize", "fixed_point_errors", "quantize", "quantize_input"]

_BATCH = 256
"""Calibration samples at a time, to bound memory."""

_MIN_FRAC = -320
"""Where the search for a weight format ends: below the fraction of every float32."""


def quantize(
    network: FloatNetwork,
    calibration: Any,
    params: EieParams,
    *,
    share: bool = False,
    in_frac: int | None = None,
    in_limits: tuple[int, int] | None = None,
) -> tuple[QuantNetwork, QuantReport]:
    """Round ``network`` to the arithmetic of the hardware.

    Inputs and outputs of layers get the finest format in which no value seen in ``calibration``
    saturates. Weights get the finest in which the codebook fits and no partial sum of any row can
    overflow the accumulator, for any input that can be represented.

    Parameters
    ----------
    network : with few enough distinct weights in each layer.
    calibration : (samples, *input_shape) floats like those of real use.
    params : widths of the hardware.
    share : cluster the weights of layers that have too many distinct ones.
    in_frac : fraction bits of the input; unless given, as many as the calibration leaves.
    in_limits : smallest and largest integer that can be an input; unless given, all that fit.

    Returns
    -------
    The network, and a report in which errors on the calibration data are still missing; see
    :func:`.fixed_point_errors`.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    CompileError
        If a layer has too many distinct weights, or no format of its weights is safe.
    """
    samples = check_input(calibration, network.input_shape, "calibration")
    shared = [share_layer(layer, params.code_bits, share=share) for layer in network.layers]
    ranges, activity = _observe(network, shared, samples)
    if in_frac is None:
        in_frac = largest_frac(*ranges[0], params.act_bits)
    least, most = in_limits or limits(params.act_bits)
    act_limits = min(least, 0), max(most, 0)
    layers: list[QuantLayer] = []
    reports: list[LayerReport] = []
    for layer, weights, outputs in zip(network.layers, shared, ranges[1:], strict=True):
        out_frac = largest_frac(*outputs, params.act_bits)
        rounded, report = _quantize_layer(layer, weights, in_frac, out_frac, act_limits, params)
        layers.append(rounded)
        reports.append(report)
        in_frac = rounded.out_frac
        # A layer's sums may saturate its outputs, whatever the limits of its own inputs are.
        least, most = limits(params.act_bits)
        act_limits = (0 if layer.relu else least, most)
    return (
        QuantNetwork(network.input_shape, tuple(layers)),
        QuantReport(
            samples=len(samples),
            input_frac=layers[0].in_frac,
            input_low=ranges[0][0],
            input_high=ranges[0][1],
            layers=tuple(reports),
            activity=activity,
            # Behind convolutions, the samples are not the user's.
            warnings=(
                *(calibration_warnings(samples) if in_limits is None else ()),
                *_sharing_warnings(network, shared, params),
            ),
        ),
    )


def _sharing_warnings(
    network: FloatNetwork, shared: list[SharedWeights], params: EieParams
) -> tuple[str, ...]:
    """Return a sentence about each layer that lost more of its sharing than it must."""
    most = EieParams.ranges["code_bits"][1]
    found: list[str] = []
    for layer, weights in zip(network.layers, shared, strict=True):
        wider = bits_for(weights.distinct)
        before = layer.values
        if before is not None and wider > bits_for(before):
            lost = f"for which codes need {wider} bits instead of {bits_for(before)}"
            if weights.clustered:
                lost = f"which were clustered to {params.num_codes - 1}"
            found.append(folding_warning(layer.name, layer.folded, before, weights.distinct, lost))
        elif weights.clustered and wider <= most:
            found.append(
                f"the {weights.distinct} values of layer {layer.name!r} were clustered to "
                f"{params.num_codes - 1}, which leaves weights {weights.snr_db:.1f} dB above "
                f"their error: code_bits = {wider} would hold all of them without error"
            )
    return tuple(found)


def _observe(
    network: FloatNetwork, shared: list[SharedWeights], samples: NDArray[np.float64]
) -> tuple[list[tuple[float, float]], tuple[NDArray[np.float64], ...]]:
    """Run the network in float.

    Returns
    -------
    The smallest and largest value of the input and of each layer's output, and per layer (cols,)
    how often each of its inputs is not 0.
    """
    # Layers that keep their own weights use them as they are, rather than a copy.
    matrices = [
        np.concatenate([[0.0], weights.values])[weights.codes.toarray()]
        if weights.clustered
        else layer.weight
        for layer, weights in zip(network.layers, shared, strict=True)
    ]
    low = np.full(len(matrices) + 1, np.inf)
    high = -low
    counts = [np.zeros(layer.shape[1], np.int64) for layer in network.layers]
    for start in range(0, len(samples), _BATCH):
        x = samples[start : start + _BATCH].reshape(-1, matrices[0].shape[1])
        low[0], high[0] = min(low[0], x.min()), max(high[0], x.max())
        for i, (layer, matrix) in enumerate(zip(network.layers, matrices, strict=True)):
            counts[i] += np.count_nonzero(x, axis=0)
            with np.errstate(all="ignore"):
                x = x @ matrix.T + layer.bias
            check_range(layer.name, x)
            x = np.maximum(x, 0.0) if layer.relu else x
            low[i + 1], high[i + 1] = min(low[i + 1], x.min()), max(high[i + 1], x.max())
    activity = tuple(count / len(samples) for count in counts)
    return list(zip(low.tolist(), high.tolist(), strict=True)), activity


def _quantize_layer(
    layer: FloatLayer,
    shared: SharedWeights,
    in_frac: int,
    out_frac: int,
    act_limits: tuple[int, int],
    params: EieParams,
) -> tuple[QuantLayer, LayerReport]:
    """Round one layer; ``out_frac`` is an upper limit of its output's fraction."""
    counts = count_values(shared, layer.shape[0])
    weight_frac, values, bias, reach = _safe_weights(
        layer, shared, counts, in_frac, out_frac, act_limits, params
    )
    codebook = np.zeros(params.num_codes, np.int64)
    codebook[1 : values.size + 1] = values
    rounded = QuantLayer(
        name=layer.name,
        codes=_drop_zeros(shared.codes, codebook),
        codebook=codebook,
        bias=bias,
        relu=layer.relu,
        in_frac=in_frac,
        weight_frac=weight_frac,
        out_frac=min(out_frac, in_frac + weight_frac),
    )
    errors = np.abs(dequantize(values, weight_frac) - shared.values)
    nnz, size = int(rounded.codes.nnz), max(1, layer.weight.size)
    return rounded, LayerReport(
        name=layer.name,
        rows=layer.shape[0],
        cols=layer.shape[1],
        nnz=nnz,
        density=nnz / size,
        values=int(np.count_nonzero(values)),
        clustered=shared.clustered,
        in_frac=in_frac,
        weight_frac=weight_frac,
        out_frac=rounded.out_frac,
        shift=rounded.shift,
        acc_bits_needed=reach.bits,
        in_lowest=act_limits[0],
        in_highest=act_limits[1],
        acc_lowest=reach.low,
        acc_highest=reach.high,
        codebook_error=float(errors.max(initial=0.0)),
        rounded_to_zero=int(shared.codes.nnz) - nnz,
    )


def _safe_weights(
    layer: FloatLayer,
    shared: SharedWeights,
    counts: NDArray[np.int64],
    in_frac: int,
    out_frac: int,
    act_limits: tuple[int, int],
    params: EieParams,
) -> tuple[int, NDArray[np.int64], NDArray[np.int64], AccumulatorRange]:
    """Return the finest safe fraction of the weights, the weights, the bias and what they reach."""
    low, high = shared.values.min(initial=0.0), shared.values.max(initial=0.0)
    first = largest_frac(low, high, params.weight_bits)
    max_shift = min(63, params.acc_bits - 1)
    why = (
        f"weights of at most {max(-low, high):.3g} round to 0 beside outputs of {out_frac} "
        f"fraction bits, with a shift of at most {max_shift}"
    )
    for frac in range(first, _MIN_FRAC, -1):
        # Outputs cannot be finer than the accumulator.
        shift = in_frac + frac - min(out_frac, in_frac + frac)
        if shift > max_shift:
            continue
        values = np.rint(np.ldexp(shared.values, frac)).astype(np.int64)
        if values.size and not values.any():
            break
        bias = np.rint(np.ldexp(layer.bias, in_frac + frac))
        if np.abs(bias).max(initial=0.0) >= largest_bias(params.acc_bits):
            why = too_large_bias(layer.bias, params.acc_bits)
            continue
        half = (1 << shift) >> 1
        steps = bias.astype(np.int64)
        reach = accumulator_range(counts, values, steps, half, act_limits)
        if reach.bits <= params.acc_bits:
            return frac, values, steps, reach
        why = (
            f"its sums could need {reach.bits} bits even with weights of at most "
            f"{np.abs(values).max(initial=0)} steps, and accumulators have acc_bits = "
            f"{params.acc_bits}"
        )
    raise CompileError(
        f"layer {layer.name!r} has no fixed-point format that cannot overflow: {why}; raise "
        "acc_bits or lower act_bits"
    )


def _drop_zeros(codes: csc_array, codebook: NDArray[np.int64]) -> csc_array:
    """Return ``codes`` without those whose weight is 0."""
    data = np.asarray(codes.data, np.uint8)
    kept = codebook[data] != 0
    if kept.all():
        return codes
    ends = np.concatenate([[0], np.cumsum(kept)])[codes.indptr].astype(np.int32)
    return csc_array((data[kept], codes.indices[kept], ends), shape=codes.shape)
