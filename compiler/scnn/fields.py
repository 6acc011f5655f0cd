"""Turn a layer's weights and biases into the fields that the memories store."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ScnnCompileError
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.scnn.lanes import unsigned_field
from zeroskip.hw.common.formats import bias_word
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["bias_words", "stored_fields"]


def stored_fields(conv: QuantConv, params: ScnnParams) -> NDArray[np.uint64]:
    """Find what the weight SRAM stores for each weight: its code, or itself.

    Returns
    -------
    (K, C // groups, R, S) uint64; 0 is a weight of 0.

    Raises
    ------
    CompileError
        If a value has no code, or does not fit the array.
    """
    weight, book = conv.weight, conv.codebook
    if book is None:
        _check_range(conv, weight, params.field_bits, "weights", "field_bits")
        return unsigned_field(np.ascontiguousarray(weight, np.int64), params.field_bits)
    if not 1 <= len(book) <= params.num_codes or book[0] != 0:
        raise ScnnCompileError(
            f"the codebook of layer {conv.name!r} must be at most {params.num_codes} weights "
            f"(code_bits = {params.code_bits}), the first 0, "
            f"not {len(book)} weights, the first {book[0] if len(book) else None}"
        )
    _check_range(conv, book, params.weight_bits, "weights", "weight_bits")
    order = np.argsort(book[1:], kind="stable") + 1
    ordered = book[order]
    at = np.searchsorted(ordered, weight)
    codes = np.zeros(weight.shape, np.int64)
    if len(order):
        codes = order[np.minimum(at, len(order) - 1)]
    codes[weight == 0] = 0
    if (wrong := book[codes] != weight).any():
        raise ScnnCompileError(
            f"every weight of layer {conv.name!r} must be in its codebook, "
            f"but {weight[wrong].flat[0]} is not: give it other codes or none"
        )
    return codes.astype(np.uint64)


def bias_words(
    conv: QuantConv, outputs: range, slots: int, params: ScnnParams
) -> NDArray[np.uint64]:
    """Fill the bias SRAM of a stream that computes ``outputs``, padded with 0 to ``slots``.

    Returns
    -------
    (slots, 1) uint64.

    Raises
    ------
    CompileError
        If a bias does not fit ``acc_bits``.
    """
    bias = conv.bias[outputs.start : outputs.stop]
    _check_range(conv, bias, params.acc_bits, "biases", "acc_bits")
    mask = (1 << params.acc_bits) - 1
    words = np.zeros((slots, 1), np.uint64)
    words[: len(bias), 0] = [bias_word(one, conv.shift) & mask for one in bias.tolist()]
    return words


def _check_range(
    conv: QuantConv, values: NDArray[np.int64], bits: int, what: str, param: str
) -> None:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if values.size and not low <= values.min() <= values.max() <= high:
        raise ScnnCompileError(
            f"{what} of layer {conv.name!r} must be from {low} to {high} ({param} = {bits}), "
            f"not {values.min()} to {values.max()}"
        )
