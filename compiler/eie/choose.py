"""Choose the widths of an array's entries that suit a network, where the user has not."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from zeroskip.base.compiled import njit
from zeroskip.compiler.eie.window import window_rows
from zeroskip.compiler.engine import FreeParams
from zeroskip.compiler.ir.graph import FloatCell, FloatLinear
from zeroskip.compiler.passes.share import bits_for, distinct_values
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "FREE", "Pattern", "RunChoice", "choose_params", "pattern_entries", "run_choices",
]  # fmt: skip

FREE = frozenset({"cells", "code_bits", "delta", "peepholes", "run_bits"})
"""Parameters that a network can choose."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """Positions of the non-zero weights of a layer, column by column.

    Parameters
    ----------
    ends : (columns + 1,) int64, how many weights are before each column, and in all.
    positions : (nnz,) int64, of each weight the position of its row, see :data:`.Placement`.
    """

    ends: NDArray[np.int64]
    positions: NDArray[np.int64]

    @classmethod
    def of(cls, codes: Any, positions: NDArray[np.int64]) -> "Pattern":
        """Return the pattern of a (rows, columns) CSC matrix; ``positions`` are (rows,)."""
        own = positions.astype(np.int64, copy=False)
        return cls(codes.indptr.astype(np.int64), own[codes.indices])


@dataclass(frozen=True)
class RunChoice:
    """Entries and bits that a network takes with run lengths of a width.

    Parameters
    ----------
    run_bits : the width.
    entries : stored, padding included.
    padding : those that stand for no weight.
    bits : of the words of the Spmat SRAMs that hold them.
    """

    run_bits: int
    entries: int
    padding: int
    bits: int

    def __str__(self) -> str:
        share = 100 * self.padding / self.entries if self.entries else 0.0
        return f"{self.entries} entries, {share:.1f} % of them padding, in {self.bits} bits"


def choose_params(
    wanted: FreeParams, nodes: Sequence[FloatLinear | FloatCell], *, share: bool
) -> tuple[EieParams, tuple[str, ...]]:
    """Return an array for Linear and recurrent layers, and say what was chosen and why.

    Codes become as wide as the layer with most values needs, unless that is more than codes can
    be; runs so wide that the weights take the fewest bits, padding included.

    Parameters
    ----------
    wanted : what is given.
    nodes : layers of the network.
    share : layers of too many values are to be clustered, which needs no wider codes.
    """
    chosen, free = wanted.params, wanted.free
    if not nodes:
        return chosen, ()
    why: list[str] = []
    layers: list[FloatLinear] = []
    for node in nodes:
        layers += [node] if isinstance(node, FloatLinear) else node.matrices
        if not isinstance(node, FloatCell):
            continue
        for name, needed, because in (
            ("cells", True, "is recurrent"),
            ("peepholes", node.peepholes is not None, "has some"),
            ("delta", node.delta is not None, "multiplies by changes"),
        ):
            if needed and name in free and not getattr(chosen, name):
                chosen = dataclasses.replace(chosen, **{name: True})
                why.append(f"{name} = true: layer {node.name!r} {because}")
    if "code_bits" in free and not chosen.plain:
        chosen, sentence = _with_code_bits(chosen, layers, share=share)
        why.append(sentence)
    if "run_bits" in free:
        chosen, sentence = _with_run_bits(chosen, layers)
        why.append(sentence)
    return chosen, tuple(why)


def _with_code_bits(
    params: EieParams, layers: Sequence[FloatLinear], *, share: bool
) -> tuple[EieParams, str]:
    if share:
        return params, f"code_bits = {params.code_bits}: layers of more values are clustered"
    limit = (1 << EieParams.ranges["code_bits"][1]) - 1
    most, name = max((distinct_values(layer.weight, limit), layer.name) for layer in layers)
    if most > limit:  # No codes are wide enough; who compiles says so.
        return params, f"code_bits = {params.code_bits}"
    bits = max(params.code_bits, bits_for(most))
    return (
        dataclasses.replace(params, code_bits=bits),
        f"code_bits = {bits}: codes for the {most} values of layer {name!r}, the most of all",
    )


def _with_run_bits(params: EieParams, layers: Sequence[FloatLinear]) -> tuple[EieParams, str]:
    heights, patterns = [], []
    for layer in layers:
        # Where rows will stand is not known yet; how far apart weights are differs little.
        rows = np.arange(layer.shape[0])
        patterns.append(Pattern.of(csc_array(layer.weight != 0), rows))
        heights.append(-(-layer.shape[0] // params.num_pes))
    choices = run_choices(patterns, heights, params)
    best = min(choices, key=lambda choice: (choice.bits, choice.run_bits))
    first, sentence = choices[0], f"run_bits = {best.run_bits}: about {best}"
    if best != first:
        sentence += f"; {first.run_bits} would take {first}"
    elif len(choices) > 1:
        sentence += f"; {choices[1].run_bits} would take {choices[1]}"
    return dataclasses.replace(params, run_bits=best.run_bits), sentence


def run_choices(
    patterns: Iterable[Pattern], heights: Sequence[int], params: EieParams
) -> tuple[RunChoice, ...]:
    """Count what a network takes with runs of ``params.run_bits`` bits and of each wider width.

    Parameters
    ----------
    patterns : of each layer.
    heights : local rows of each layer.
    params : of the array.
    """
    widths = range(params.run_bits, EieParams.ranges["run_bits"][1] + 1)
    entries = np.zeros((len(widths), params.num_pes), np.int64)
    weights = 0
    for pattern, height in zip(patterns, heights, strict=True):
        window = window_rows(max(1, height), params)
        passes = -(-max(1, height) // window)
        weights += pattern.positions.size
        made, padded = np.zeros(params.num_pes, np.int64), True
        for counts, width in zip(entries, widths, strict=True):
            # Without padding, wider runs take as many entries.
            if padded:
                wider = dataclasses.replace(params, run_bits=width)
                made = pattern_entries(pattern, window, passes, wider)[1].sum(axis=(0, 1))
                padded = made.sum() > pattern.positions.size
            counts += made
    return tuple(
        RunChoice(
            run_bits=width,
            entries=int(counts.sum()),
            padding=int(counts.sum()) - weights,
            bits=int((-(-counts // per_word)).sum()) * params.word_bits,
        )
        for width, counts in zip(widths, entries, strict=True)
        for per_word in [params.word_bits // (params.stored_bits + width)]
    )


def pattern_entries(
    pattern: Pattern, window: int, passes: int, params: EieParams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the weights and the entries, padding included, that PEs store of a layer.

    Parameters
    ----------
    pattern : of the layer.
    window : local rows of a pass.
    passes : that all rows take, ``window`` in each.
    params : of the array.

    Returns
    -------
    Two of (passes, columns, num_pes) int64: weights of each column in each PE, and entries, which
    are these and the padding before them.
    """
    shape = passes, len(pattern.ends) - 1, params.num_pes
    weights, entries = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    _count(pattern.ends, pattern.positions, window, params.run_bits, weights, entries)
    return weights, entries


@njit(cache=True)
def _count(
    ends: NDArray[np.int64],
    positions: NDArray[np.int64],
    window: int,
    run_bits: int,
    weights: NDArray[np.int64],
    entries: NDArray[np.int64],
) -> None:
    """Add up the weights and entries of every column by pass and PE, into arrays of 0."""
    passes, columns, num_pes = weights.shape
    there = np.zeros(passes * window * num_pes, np.bool_)
    for column in range(columns):
        own = positions[ends[column] : ends[column + 1]]
        there[own] = True
        for number in range(passes):
            first = number * window
            for pe in range(num_pes):
                after = first
                for row in range(first, first + window):
                    if there[row * num_pes + pe]:
                        weights[number, column, pe] += 1
                        entries[number, column, pe] += 1 + ((row - after) >> run_bits)
                        after = row + 1
        there[own] = False
