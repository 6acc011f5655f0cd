"""Turn a layer's weights and biases into the fields that the memories store."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.image.words import unsigned_field
from zeroskip.compiler.ir.graph import QuantConv
from zeroskip.compiler.ir.verify import check_range
from zeroskip.hw.common.formats import bias_word
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["bias_words", "check_biases", "stored_fields"]


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
        _check_weights(conv, weight, params.field_bits, "field_bits")
        return unsigned_field(np.ascontiguousarray(weight, np.int64), params.field_bits)
    if not 1 <= len(book) <= params.num_codes or book[0] != 0:
        raise CompileError(
            f"the codebook of layer {conv.name!r} must be at most {params.num_codes} weights "
            f"(code_bits = {params.code_bits}), the first 0, "
            f"not {len(book)} weights, the first {book[0] if len(book) else None}"
        )
    _check_weights(conv, book, params.weight_bits, "weight_bits")
    order = np.argsort(book[1:], kind="stable") + 1
    ordered = book[order]
    place = np.searchsorted(ordered, weight)
    codes = np.zeros(weight.shape, np.int64)
    if len(order):
        codes = order[np.minimum(place, len(order) - 1)]
    codes[weight == 0] = 0
    if (wrong := book[codes] != weight).any():
        raise CompileError(
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
    biases = conv.bias[outputs.start : outputs.stop]
    check_biases(conv, biases, params)
    mask = (1 << params.acc_bits) - 1
    words = np.zeros((slots, 1), np.uint64)
    words[: len(biases), 0] = [bias_word(bias, conv.shift) & mask for bias in biases.tolist()]
    return words


def check_biases(conv: QuantConv, biases: NDArray[np.int64], params: ScnnParams) -> None:
    """Check that biases are no wider than accumulators; errors as :func:`.check_range`."""
    check_range(conv, biases, params.acc_bits, what="biases", param="acc_bits", error=CompileError)


def _check_weights(conv: QuantConv, weights: NDArray[np.int64], bits: int, param: str) -> None:
    check_range(conv, weights, bits, what="weights", param=param, error=CompileError)
