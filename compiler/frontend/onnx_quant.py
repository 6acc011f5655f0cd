"""Quantizers in ONNX files: of weights, which are rounded at once, and of activations.

QONNX and Brevitas write nodes ``Quant`` of their own; others pairs of QuantizeLinear and
DequantizeLinear. Arrays round activations to steps of their own, finer ones, so of a quantizer of
activations only the range is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Range", "is_quantizer", "quantized", "range_note", "range_of"]

_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
_KINDS = ("Quant", "IntQuant", "BipolarQuant")
_LEARNED_BITS = 8
"""Ranges of fewer bits are learned with the network; wider ones are made to hold all data."""
_WITH_LIMITS = 5
"""Inputs of a DequantizeLinear with the limits of its integers."""

Array = NDArray[Any]

_ROUNDINGS: Mapping[str, Callable[[Array], Array]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


@dataclass(frozen=True)
class Range:
    """What results of a quantizer of activations can be.

    Parameters
    ----------
    low, high : the smallest and the largest.
    bits : of its integers.
    """

    low: float
    high: float
    bits: int

    def clip(self) -> tuple[float | None, float | None]:
        """Return the limits that count; None where there is none.

        A limit of 0 is a ReLU that the file's writer took into the quantizer.
        """
        if self.bits < _LEARNED_BITS:
            return self.low, self.high
        return (0.0 if self.low == 0 else None), None


def is_quantizer(node: Any) -> bool:
    """Say whether a ``NodeProto`` is a quantizer of QONNX or Brevitas."""
    return node.domain in _DOMAINS and node.op_type in _KINDS


def quantized(node: Any, given: Sequence[Array]) -> Array | None:
    """Return what a quantizer makes of constants; None if it rounds in a way that is not known.

    Parameters
    ----------
    node : for which :func:`is_quantizer` holds.
    given : its inputs: the constant, scale, and, but for bipolar ones, zero point and bits.
    """
    x, scale = (np.asarray(array, np.float64) for array in given[:2])
    if _bipolar(node, given):
        return np.where(x / scale + _zero(given) >= 0, 1.0, -1.0) * scale
    low, high = _integers(node, given)
    values = {attribute.name: attribute.s for attribute in node.attribute}
    rounding = _ROUNDINGS.get(values.get("rounding_mode", b"ROUND").decode().upper())
    if rounding is None:
        return None
    return (rounding(np.clip(x / scale + _zero(given), low, high)) - _zero(given)) * scale


def range_of(node: Any, given: Sequence[Array]) -> Range | None:
    """Return the range of a quantizer whose scale is one number, else None.

    ``given`` are its inputs without the activation: scale, zero point and bits; of a
    DequantizeLinear scale and zero point, and perhaps the limits of its integers.
    """
    if any(array.size != 1 for array in given):
        return None
    scale = float(np.ravel(given[0])[0])
    low, high = _integers(node, [np.zeros(1), *given])
    zero = float(np.ravel(_zero([np.zeros(1), *given]))[0])
    bits = int(np.ceil(np.log2(high - low + 1)))
    return Range((low - zero) * scale, (high - zero) * scale, bits)


def range_note(names: Sequence[str]) -> str:
    """Return the sentence on quantizers of activations that were taken as ranges."""
    shown = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    return (
        f"{len(names)} quantizers of activations ({shown}) are taken as their ranges, not their "
        f"steps: arrays round activations finer. Ranges of {_LEARNED_BITS} bits and more are left "
        "to calibration, but for a lower limit of 0"
    )


def _integers(node: Any, given: Sequence[Array]) -> tuple[float, float]:
    """Return the smallest and the largest integer of a quantizer."""
    if node.op_type == "DequantizeLinear":
        from ml_dtypes import iinfo  # which knows integers of 4 bits, too

        if len(given) == _WITH_LIMITS:
            return float(np.ravel(given[3])[0]), float(np.ravel(given[4])[0])
        limits = iinfo(given[2].dtype if len(given) > 2 else np.uint8)
        return float(limits.min), float(limits.max)
    if _bipolar(node, given):
        return -1, 1
    bits, narrow = float(np.ravel(given[3])[0]), _flag(node, "narrow", default=False)
    if not _flag(node, "signed", default=True):
        return 0, 2**bits - 1 - narrow
    return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1


def _bipolar(node: Any, given: Sequence[Array]) -> bool:
    """Say whether a quantizer has one bit, for -1 and 1."""
    if node.op_type == "BipolarQuant":
        return True
    return _flag(node, "signed", default=True) and float(np.ravel(given[3])[0]) == 1


def _flag(node: Any, name: str, *, default: bool) -> bool:
    values = [attribute.i for attribute in node.attribute if attribute.name == name]
    return bool(values[0]) if values else default


def _zero(given: Sequence[Array]) -> Array:
    """Return the zero point of a quantizer."""
    return np.asarray(given[2], np.float64) if len(given) > 2 else np.zeros(())
