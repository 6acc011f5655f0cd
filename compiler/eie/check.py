"""Refuse layers that the array has no bits for; say which parameters would fit them."""

from collections.abc import Sequence
from typing import NoReturn

from zeroskip.base.errors import CompileError
from zeroskip.compiler.eie.matrices import matrices
from zeroskip.compiler.ir.graph import Pair, QuantCell, QuantLinear
from zeroskip.compiler.ir.verify import check_layer, check_range
from zeroskip.hw.eie.params import EieParams

__all__ = ["check_arithmetic", "check_pointers", "refuse_source_row"]


def check_arithmetic(layer: QuantLinear | QuantCell, params: EieParams) -> None:
    """Check a layer, and that its numbers have as many bits as the array.

    Raises
    ------
    CompileError
        Naming layer, value and limits.
    """
    check_range(layer, layer.bias, params.acc_bits, what="biases", param="acc_bits")
    for matrix in matrices(layer, 0):
        codebook = matrix.codebook
        check_range(layer, codebook, params.weight_bits, what="weights", param="weight_bits")
        width = "weight_bits" if params.plain else "code_bits"
        if len(codebook) != params.num_codes or codebook[0] != 0:
            raise CompileError(
                f"the codebook of layer {layer.name!r} must be {params.num_codes} weights "
                f"({width} = {params.stored_bits}), the first 0, "
                f"not {len(codebook)} weights, the first {codebook[0]}"
            )
    check_layer(layer)
    if isinstance(layer, QuantCell):
        if not params.cells:
            raise CompileError(
                f"layer {layer.name!r} is recurrent ({layer.kind}), and the array has no cells; "
                "compile with cells=true"
            )
        if layer.peepholes is not None and not params.peepholes:
            raise CompileError(
                f"layer {layer.name!r} has peepholes, and the array's cells have none; compile "
                "with peepholes=true"
            )
        if layer.thresholds is not None:
            _check_thresholds(layer, layer.thresholds, params)
        if layer.out_frac != params.act_bits - 1:
            raise CompileError(
                f"outputs of layer {layer.name!r} must have {params.act_bits - 1} fraction bits, "
                f"not {layer.out_frac}"
            )


def _check_thresholds(cell: QuantCell, thresholds: Pair, params: EieParams) -> None:
    """Check that the array has delta units, and thresholds are below its largest activation."""
    if not params.delta:
        raise CompileError(
            f"layer {cell.name!r} multiplies by changes (delta), and the array has no unit for "
            "them; compile with delta=true, or without a threshold"
        )
    if max(thresholds) >= params.max_act:
        raise CompileError(
            f"thresholds of layer {cell.name!r} must be below {params.max_act}, the largest "
            f"activation, not {thresholds}"
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
