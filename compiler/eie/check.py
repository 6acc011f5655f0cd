"""Refuse a network that the array has no room or no bits for, and say what would fit it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from compiler.errors import CompileError
from compiler.network import QuantLayer
from hw.eie.params import EieParams, ParamError

__all__ = ["check_arithmetic", "check_shapes", "check_spmat", "row_passes"]

_CONTENTS = {
    "num_acts": "rows of the activation files",
    "num_pointers": "column pointers",
    "num_biases": "biases per PE",
    "num_descriptors": "descriptors",
}
"""What the memories hold whose need follows from the layers' shapes, by their parameter."""

_MAX_SHIFT = 63


def check_arithmetic(layer: QuantLayer, params: EieParams) -> None:
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


def row_passes(num_rows: int, params: EieParams) -> list[tuple[int, int]]:
    """Split ``num_rows`` local rows to windows that fit the accumulators."""
    step = params.num_accs
    return [(first, min(first + step, num_rows)) for first in range(0, num_rows, step)]


def check_shapes(
    names: Sequence[str], sizes: Sequence[int], heights: Sequence[int], params: EieParams
) -> None:
    """Check every memory but the Spmat SRAM.

    Parameters
    ----------
    names : of the layers.
    sizes : elements of the input, then of each layer's output.
    heights : local rows of the input, then of each layer's output.
    params : the memories.

    Raises
    ------
    CompileError
        Naming layer, memory, need, size and what would fit.
    """
    for param, needs in _needs(heights, params).items():
        if max(needs) > getattr(params, param):
            others: dict[str, int] = {}
            one_pass = _with(params, num_accs=max(heights[1:]))
            if one_pass and max(_needs(heights, one_pass)[param]) <= getattr(params, param):
                others["num_accs"] = one_pass.num_accs
            if more := next((p for p in _larger(params, 1) if _fits(sizes, p)), None):
                others["num_pes"] = more.num_pes
            raise _refusal(names, param, _CONTENTS[param], needs, params, others)


def check_spmat(
    names: Sequence[str],
    sizes: Sequence[int],
    words: Sequence[Sequence[int]],
    params: EieParams,
    fits: Callable[[EieParams], bool],
) -> None:
    """Check the Spmat SRAM.

    Parameters
    ----------
    names : of the layers.
    sizes : elements of the input, then of each layer's output.
    words : per layer and PE, words used after that layer.
    params : the memories.
    fits : whether the network's entries fit other parameters; only called to word the error.

    Raises
    ------
    CompileError
        Naming layer, PE, need, size and what would fit.
    """
    needs = [max(used) for used in words]
    if needs[-1] <= params.spmat_words:
        return
    pe = words[-1].index(needs[-1])
    # Entries spread over the PEs, so the first number that may fit follows from the ratio.
    start = -(-params.num_pes * needs[-1] // params.spmat_words) - params.num_pes
    candidates = (p for p in _larger(params, max(1, start)) if _fits(sizes, p) and fits(p))
    others = {"num_pes": more.num_pes} if (more := next(candidates, None)) else {}
    what = f"words of Spmat SRAM in PE {pe}"
    raise _refusal(names, "spmat_words", what, [used[pe] for used in words], params, others)


def _needs(heights: Sequence[int], params: EieParams) -> dict[str, list[int]]:
    """Return what each layer needs; of memories that layers share, with those before it."""
    pairs = list(pairwise(heights))
    passes = [len(row_passes(rows, params)) for _, rows in pairs]
    columns = [
        count * cols * params.num_pes for count, (cols, _) in zip(passes, pairs, strict=True)
    ]
    return {
        "num_acts": [max(pair) for pair in pairs],
        "num_pointers": [end + 1 for end in accumulate(columns)],
        "num_biases": list(accumulate(rows for _, rows in pairs)),
        "num_descriptors": list(accumulate(passes)),
    }


def _larger(params: EieParams, more: int) -> Iterator[EieParams]:
    """Yield arrays with ``more`` PEs and up, in steps of about 3 %."""
    num_pes = params.num_pes + more
    while (candidate := _with(params, num_pes=num_pes)) is not None:
        yield candidate
        num_pes += 1 + num_pes // 32


def _with(params: EieParams, **changes: int) -> EieParams | None:
    """Return changed parameters, or None where the hardware cannot be built so."""
    try:
        return replace(params, **changes)
    except ParamError:
        return None


def _fits(sizes: Sequence[int], params: EieParams) -> bool:
    """Whether layers of these sizes, placed evenly, pass :func:`check_shapes`."""
    needs = _needs([-(-size // params.num_pes) for size in sizes], params)
    return all(max(need) <= getattr(params, param) for param, need in needs.items())


def _refusal(
    names: Sequence[str],
    param: str,
    what: str,
    needs: Sequence[int],
    params: EieParams,
    others: dict[str, int],
) -> CompileError:
    """Word the error for the first layer whose need exceeds ``param``.

    ``others`` are values of other parameters that would do instead.
    """
    has = getattr(params, param)
    layer = next(i for i, need in enumerate(needs) if need > has)
    shared = layer > 0 and param != "num_acts"
    value = max(needs) + (max(needs) % 2 if param == "num_pointers" else 0)
    ways = ({param: value} if _with(params, **{param: value}) else {}) | others
    remedy = (
        f"compile with {' or '.join(f'{name}={number}' for name, number in ways.items())}"
        if ways
        else "no single parameter can be raised far enough"
    )
    return CompileError(
        f"layer {names[layer]!r}{', with the layers before it,' if shared else ''} needs "
        f"{needs[layer]} {what}, but {param} is {has}: {remedy}"
    )
