"""What rounding to fixed point did to a network, in numbers."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.fixed_point import check_input, dequantize, quantize_input
from compiler.network import FloatNetwork, QuantNetwork
from hw.eie.params import EieParams

__all__ = ["FixedPointError", "LayerReport", "QuantReport", "RunLayer", "fixed_point_errors"]

_BATCH = 64
"""Samples at a time, to bound memory."""

RunLayer = Callable[..., tuple[NDArray[np.int64], NDArray[np.int64]]]
"""``run_layer(codes, codebook, bias, shift, relu, x, *, act_bits, acc_bits)`` of the golden model:
(cols, batch) int64 to (rows, batch) int64 and (batch,) saturated outputs."""


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
    name : as in the network.
    rows, cols : shape of the matrix.
    nnz : weights that are not 0 in fixed point.
    density : ``nnz`` over all.
    values : distinct shared weights that are not 0 in fixed point.
    clustered : the weights were clustered here; else they were shared already.
    in_frac, weight_frac, out_frac : fraction bits.
    shift : right shift from accumulator to output.
    acc_bits_needed : width that no partial sum of any input can overflow.
    codebook_error : largest rounding error of a shared weight, in units of the weights.
    rounded_to_zero : weights whose shared value rounds to 0 and that were dropped.
    error : on the calibration data, if computed.
    """

    name: str
    rows: int
    cols: int
    nnz: int
    density: float
    values: int
    clustered: bool
    in_frac: int
    weight_frac: int
    out_frac: int
    shift: int
    acc_bits_needed: int
    codebook_error: float
    rounded_to_zero: int
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
    activity : per layer (cols,), how often each input of the layer was not 0; not for JSON.
    """

    samples: int
    input_frac: int
    input_low: float
    input_high: float
    layers: tuple[LayerReport, ...]
    activity: tuple[NDArray[np.float64], ...] = dataclasses.field(repr=False, compare=False)

    def with_errors(self, errors: tuple[FixedPointError, ...]) -> "QuantReport":
        """Return the report with an error for each layer."""
        layers = zip(self.layers, errors, strict=True)
        return dataclasses.replace(
            self, layers=tuple(dataclasses.replace(layer, error=e) for layer, e in layers)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        fields = dataclasses.asdict(self)
        del fields["activity"]
        return {**fields, "layers": list(fields["layers"])}


def fixed_point_errors(
    float_network: FloatNetwork,
    quant_network: QuantNetwork,
    calibration: Any,
    run_layer: RunLayer,
    params: EieParams,
) -> tuple[FixedPointError, ...]:
    """Compare each layer's outputs in float and in fixed point; errors add up along the chain.

    Parameters
    ----------
    float_network : before quantization, and before clustering if that was done.
    quant_network : after it.
    calibration : (samples, *input_shape) floats.
    run_layer : the golden model, passed in because the compiler does not import ``sim``.
    params : widths of the hardware.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    """
    samples = check_input(calibration, float_network.input_shape, "calibration")
    count = len(float_network.layers)
    largest, errors, signals = np.zeros(count), np.zeros(count), np.zeros(count)
    saturated = [0] * count
    for start in range(0, len(samples), _BATCH):
        exact = samples[start : start + _BATCH].reshape(len(samples[start : start + _BATCH]), -1).T
        fixed = quantize_input(exact, quant_network.layers[0].in_frac, params.act_bits)
        pairs = zip(float_network.layers, quant_network.layers, strict=True)
        for i, (layer, rounded) in enumerate(pairs):
            exact = layer.weight @ exact + layer.bias[:, None]
            exact = np.maximum(exact, 0.0) if layer.relu else exact
            fixed, clipped = run_layer(
                rounded.codes,
                rounded.codebook,
                rounded.bias,
                rounded.shift,
                rounded.relu,
                fixed,
                act_bits=params.act_bits,
                acc_bits=params.acc_bits,
            )
            difference = dequantize(fixed, rounded.out_frac) - exact
            largest[i] = max(largest[i], np.abs(difference).max(initial=0.0))
            errors[i] += np.square(difference).sum()
            signals[i] += np.square(exact).sum()
            saturated[i] += int(clipped.sum())
    outputs = [layer.shape[0] * len(samples) for layer in float_network.layers]
    return tuple(
        FixedPointError(
            max_abs=float(largest[i]),
            rms=math.sqrt(errors[i] / outputs[i]),
            snr_db=10 * math.log10(signals[i] / errors[i]) if errors[i] and signals[i] else None,
            saturated=saturated[i],
            outputs=outputs[i],
        )
        for i in range(count)
    )
