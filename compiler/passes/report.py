"""What rounding to fixed point did to a network, in numbers."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import run_layer
from zeroskip.compiler.ir.network import FloatNetwork, QuantNetwork
from zeroskip.compiler.passes.fixed_point import check_input, dequantize, quantize_input
from zeroskip.compiler.passes.quality import snr_warnings
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "ErrorMeter",
    "FixedPointError",
    "LayerReport",
    "QuantReport",
    "add_errors",
    "fixed_point_errors",
]

_BATCH = 64
"""Samples at a time, to bound memory."""


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


class ErrorMeter:
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
    in_lowest, in_highest : integers between which every input is, 0 among them.
    acc_lowest, acc_highest : the partial sums that such inputs can reach.
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
    in_lowest: int
    in_highest: int
    acc_lowest: int
    acc_highest: int
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
    warnings : sentences about the calibration data, and about errors, if computed.
    """

    samples: int
    input_frac: int
    input_low: float
    input_high: float
    layers: tuple[LayerReport, ...]
    activity: tuple[NDArray[np.float64], ...] = dataclasses.field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()

    def with_errors(self, errors: tuple[FixedPointError, ...]) -> "QuantReport":
        """Return the report with an error for each layer, and a warning of those too large."""
        pairs = zip(self.layers, errors, strict=True)
        layers = tuple(dataclasses.replace(layer, error=e) for layer, e in pairs)
        warnings = *self.warnings, *snr_warnings(layers)
        return dataclasses.replace(self, layers=layers, warnings=warnings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        fields = dataclasses.asdict(self)
        del fields["activity"]
        return {**fields, "layers": list(fields["layers"]), "warnings": list(self.warnings)}


def fixed_point_errors(
    float_network: FloatNetwork,
    quant_network: QuantNetwork,
    calibration: Any,
    params: EieParams,
) -> tuple[FixedPointError, ...]:
    """Compare each layer's outputs in float and in fixed point; errors add up along the chain.

    Parameters
    ----------
    float_network : before quantization, and before clustering if that was done.
    quant_network : after it.
    calibration : (samples, *input_shape) floats.
    params : widths of the hardware.

    Raises
    ------
    InputError
        If ``calibration`` is unusable.
    """
    samples = check_input(calibration, float_network.input_shape, "calibration")
    meters = [ErrorMeter() for _ in float_network.layers]
    for start in range(0, len(samples), _BATCH):
        exact = samples[start : start + _BATCH].reshape(len(samples[start : start + _BATCH]), -1).T
        fixed = quantize_input(exact, quant_network.layers[0].in_frac, params.act_bits)
        add_errors(meters, float_network, quant_network, exact, fixed, params)
    return tuple(meter.result() for meter in meters)


def add_errors(
    meters: Sequence[ErrorMeter],
    float_network: FloatNetwork,
    quant_network: QuantNetwork,
    exact: NDArray[np.float64],
    fixed: NDArray[np.int64],
    params: EieParams,
) -> None:
    """Run ``exact`` in float and ``fixed`` in fixed point, (cols, batch), with a meter a layer.

    The other parameters are those of :func:`fixed_point_errors`.
    """
    layers = zip(meters, float_network.layers, quant_network.layers, strict=True)
    for meter, layer, rounded in layers:
        exact = layer.weight @ exact + layer.bias[:, None]
        exact = np.maximum(exact, 0.0) if layer.relu else exact
        y, clipped = run_layer(rounded, fixed.T, act_bits=params.act_bits, acc_bits=params.acc_bits)
        fixed = y[:, :, 0, 0].T
        meter.add(exact, fixed, rounded.out_frac, int(clipped.sum()))
