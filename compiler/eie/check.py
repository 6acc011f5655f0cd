"""Refuse layers that the array has no bits for; say which parameters would fit them."""

from collections.abc import Sequence
from typing import NoReturn

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.graph import QuantLinear
from zeroskip.hw.eie.params import EieParams

__all__ = ["check_arithmetic", "check_pointers", "refuse_source_row"]

_MAX_SHIFT = 63


def check_arithmetic(layer: QuantLinear, params: EieParams) -> None:
    """Check a layer's weights, biases, codes and shift.

    Raises
    ------
    CompileError
        Naming layer, value and limits.
    """
    for what, values, bits in (
        ("weights", layer.codebook, params.weight_bits),
        ("biases", layer.bias, params.acc_bits),
    ):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if values.size and not (low <= values.min() and values.max() <= high):
            raise CompileError(
                f"{what} of layer {layer.name!r} must be from {low} to {high} ({bits} bits), "
                f"not {values.min()} to {values.max()}"
            )
    if len(layer.codebook) != params.num_codes or layer.codebook[0] != 0:
        raise CompileError(
            f"the codebook of layer {layer.name!r} must be {params.num_codes} weights "
            f"(code_bits = {params.code_bits}), the first 0, "
            f"not {len(layer.codebook)} weights, the first {layer.codebook[0]}"
        )
    if layer.codes.nnz and layer.codes.data.max() >= params.num_codes:
        raise CompileError(
            f"codes of layer {layer.name!r} must be below {params.num_codes} "
            f"(code_bits = {params.code_bits}), not {layer.codes.data.max()}"
        )
    if not 0 <= layer.shift <= _MAX_SHIFT:
        raise CompileError(
            f"the shift of layer {layer.name!r} (in_frac + weight_frac - out_frac) must be from "
            f"0 to {_MAX_SHIFT}, not {layer.shift}"
        )


def check_pointers(params: EieParams) -> None:
    """Check that the pointers of one column per PE, the least that a pass scans, fit.

    Raises
    ------
    CompileError
        Saying what would fit.
    """
    need, has = params.num_pes + 1, params.num_pointers
    if need > has:
        raise CompileError(
            f"an array of {params.num_pes} PEs needs {need} column pointers at least, but "
            f"num_pointers is {has}: compile with num_pointers={need + need % 2} or "
            f"num_pes={has - 1}"
        )


def refuse_source_row(layer: str, entries: Sequence[int], params: EieParams) -> NoReturn:
    """Refuse a layer of which one row does not fit, in one column per PE.

    Parameters
    ----------
    layer : its name.
    entries : per PE, the most entries of such a part.
    params : the memories.

    Raises
    ------
    CompileError
        Saying what would fit.
    """
    most = max(entries)
    words = -(-most // params.entries_per_word)
    raise CompileError(
        f"layer {layer!r} needs {words} words of Spmat SRAM in PE {entries.index(most)} for one "
        f"row of {params.num_pes} columns, but spmat_words is {params.spmat_words}: compile with "
        f"spmat_words={words} or num_pes={params.spmat_entries}"
    )
