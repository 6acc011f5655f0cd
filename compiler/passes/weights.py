"""Choose a layer's fixed-point weights so that no sum can overflow."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import Area
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.passes.fixed_point import largest_frac
from zeroskip.compiler.passes.lowering import LoweredLayer
from zeroskip.compiler.passes.overflow import (
    AccumulatorRange,
    Products,
    bound_sums,
    largest_bias,
    too_large_bias,
)
from zeroskip.compiler.passes.share import SharedWeights
from zeroskip.hw.common.tanh import ARGUMENT_FRAC

__all__ = ["Rounded", "leaves_room_for_one", "round_weights"]

_MIN_FRAC = -320
"""Where the search for a weight format ends: below the fraction of every float32."""

_ENOUGH_BITS = 9
"""Weights that have this many bits, sign included, may lose further ones to an identity."""


@dataclass(frozen=True, eq=False)
class Rounded:
    """A layer's numbers, for inputs and outputs of given fractions.

    Parameters
    ----------
    values : (n,) int64, of each shared value.
    unit : the weight of an identity; 0 if there is none.
    codebook : (n,) int64 with every weight, 0 first; None if weights are stored as they are.
    bias : (K,) int64.
    weight_frac : fraction bits of the weights.
    out_frac : fraction bits of the outputs, at most what was asked for.
    reach : all that accumulators can hold.
    limits : smallest and largest output.
    areas : of an average that divides by different numbers.
    recurrent : (m,) int64, of each shared value of a recurrent layer's other matrix.
    recurrent_frac : fraction bits of those.
    """

    values: NDArray[np.int64]
    unit: int
    codebook: NDArray[np.int64] | None
    bias: NDArray[np.int64]
    weight_frac: int
    out_frac: int
    reach: AccumulatorRange
    limits: tuple[int, int]
    areas: tuple[Area, ...] = ()
    recurrent: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    recurrent_frac: int = 0


def leaves_room_for_one(weights: SharedWeights, arithmetic: Arithmetic) -> bool:
    """Say whether the format of weights can also hold 1, without losing bits that matter."""
    first = largest_frac(*weights.ends, arithmetic.weight_bits)
    few = weights.values.size < arithmetic.max_values
    bits = arithmetic.weight_bits if few else arithmetic.plain_bits
    # 2**frac must fit the bits, which takes a sign and one bit more than the fraction.
    return first - (bits - 2) <= max(0, bits - _ENOUGH_BITS)


def round_weights(
    layer: LoweredLayer,
    in_frac: int,
    out_frac: int,
    in_limits: NDArray[np.int64],
    arithmetic: Arithmetic,
    *,
    past_frac: int = 0,
) -> Rounded:
    """Return the finest weights with which no accumulator can overflow, for any input.

    An average takes, of all such weights, those that divide most exactly.

    Parameters
    ----------
    layer : the layer.
    in_frac : fraction bits of its inputs.
    out_frac : of its outputs, at most.
    in_limits : (tensors, 2), smallest and largest element of each tensor that it reads.
    arithmetic : of the array that computes it.
    past_frac : of a recurrent layer, fraction bits of what it reads of the step before.

    Raises
    ------
    CompileError
        If there are none.
    """
    if layer.op == "max":
        return _maximum(layer, in_frac, in_limits)
    if layer.recurrent is not None:
        return _round_cell(layer, layer.recurrent, (in_frac, past_frac), in_limits, arithmetic)
    first = largest_frac(*layer.weights.ends, arithmetic.weight_bits)
    if layer.kind == "add":
        first = 0  # A sum of inputs is no finer than they are.
    if layer.identity:
        first = min(first, arithmetic.weight_bits - 2)
    why = (
        f"weights of at most {np.abs(layer.weights.values).max(initial=0):.3g} round to 0 beside "
        f"outputs of {out_frac} fraction bits, with a shift of at most {arithmetic.max_shift}"
    )
    found: list[Rounded] = []
    for frac in range(first, _MIN_FRAC, -1):
        if layer.identity and frac < 0:
            why = "the weight of 1 for an addition rounds to 0"
            break
        scaled = _ScaledWeights.of(layer, frac)
        if scaled.vanish:
            break
        made = _fit(layer, scaled, (in_frac, frac, out_frac), in_limits, arithmetic)
        if isinstance(made, str):
            why = made or why
            continue
        found.append(made)
        if layer.kind != "avg":
            return made
    if found:
        return min(found, key=lambda rounded: _inexactness(layer, rounded))
    raise CompileError(
        f"layer {layer.name!r} has no fixed-point format that cannot overflow: {why}; raise "
        "acc_bits or lower act_bits"
    )


@dataclass(frozen=True, eq=False)
class _ScaledWeights:
    """A layer's weights as whole numbers, each ``2**-frac`` of its value, rounded.

    Parameters
    ----------
    values : (n,) int64, of each shared value.
    unit : the weight of an identity; 0 if there is none.
    areas : of an average that divides by different numbers.
    """

    values: NDArray[np.int64]
    unit: int
    areas: tuple[Area, ...]

    @classmethod
    def of(cls, layer: LoweredLayer, frac: int) -> "_ScaledWeights":
        """Round the weights of a layer; halves go to the even neighbour."""
        values = np.rint(np.ldexp(layer.weights.values, frac)).astype(np.int64)
        return cls(values, 1 << frac if layer.identity else 0, _areas(layer, frac))

    @property
    def vanish(self) -> bool:
        """Whether all weights round to 0, or those of an area do."""
        nothing = self.values.size > 0 and not (self.values.any() or self.unit)
        return nothing or not all(area.weight for area in self.areas)


def _fit(
    layer: LoweredLayer,
    scaled: _ScaledWeights,
    fracs: tuple[int, int, int],
    in_limits: NDArray[np.int64],
    arithmetic: Arithmetic,
) -> Rounded | str:
    """Return a layer's numbers if all fit; else why not, "" where the reason is none to tell.

    Parameters
    ----------
    layer, in_limits, arithmetic : as for :func:`round_weights`.
    scaled : its weights, at the fraction to try.
    fracs : fraction bits of inputs and of weights, and those of outputs at most.
    """
    a, (in_frac, frac, out_frac) = arithmetic, fracs
    values, unit, areas = scaled.values, scaled.unit, scaled.areas
    codebook = _codebook(np.append(values, unit), a.max_values)
    # Without a codebook, weights are stored plain.
    least, most = limits(a.weight_bits if codebook is not None else a.plain_bits)
    largest = max([unit, int(values.max(initial=0)), *(area.weight for area in areas)])
    # Outputs cannot have more fraction bits than the accumulator's sums.
    shift = in_frac + frac - min(out_frac, in_frac + frac)
    if values.min(initial=0) < least or largest > most or shift > a.max_shift:
        return ""
    bias = np.rint(np.ldexp(layer.bias, in_frac + frac))
    if np.abs(bias).max(initial=0.0) >= largest_bias(a.acc_bits):
        return too_large_bias(layer.bias, a.acc_bits)
    low, high = bound_sums(*_products(layer, values, unit, areas), in_limits)
    # In Python's integers: a sum with a bias may exceed int64.
    added = bias.astype(np.int64).astype(object) + ((1 << shift) >> 1)
    ends = int((low + added).min()), int((high + added).max())
    reach = AccumulatorRange(min(int(low.min()), ends[0]), max(int(high.max()), ends[1]))
    if reach.bits > a.acc_bits:
        return (
            f"its sums could need {reach.bits} bits even with weights of at most "
            f"{max(unit, np.abs(values).max(initial=0))} steps, and accumulators have acc_bits "
            f"= {a.acc_bits}"
        )
    floor, top = limits(a.act_bits)
    outputs = np.clip([end >> shift for end in ends], 0 if layer.relu else floor, top)
    return Rounded(
        values=values,
        unit=unit,
        codebook=codebook,
        bias=bias.astype(np.int64),
        weight_frac=frac,
        out_frac=in_frac + frac - shift,
        reach=reach,
        limits=(int(outputs[0]), int(outputs[1])),
        areas=areas,
    )


def _round_cell(
    layer: LoweredLayer,
    recurrent: SharedWeights,
    fracs: tuple[int, int],
    in_limits: NDArray[np.int64],
    arithmetic: Arithmetic,
) -> Rounded:
    """Return the finest weights of a recurrent layer with which no accumulator can overflow.

    That holds however long a sequence is: for outputs of the step before that are any of
    ``act_bits``. Products of both matrices have the same fraction, which is at least that of a
    function's argument.

    Parameters
    ----------
    layer, in_limits, arithmetic : as for :func:`round_weights`.
    recurrent : weights of the outputs of the step before.
    fracs : fraction bits of inputs and of those outputs.

    Raises
    ------
    CompileError
        If there are none.
    """
    a = arithmetic
    (in_frac, past_frac), columns = fracs, recurrent.codes.shape[1]
    least, most = limits(a.act_bits)
    inner = Products(
        recurrent.codes[:, :, None, None],
        recurrent.values.size,
        np.zeros((1, columns), np.int64),
        1,
    )
    both = (in_frac, layer.weights), (past_frac, recurrent)
    largest_fracs = (
        fraction + largest_frac(*shared.ends, a.weight_bits)
        for fraction, shared in both
        if shared.values.size
    )
    first = min(largest_fracs, default=ARGUMENT_FRAC)
    why = (
        f"sums of inputs of {in_frac} fraction bits and weights of weight_bits = {a.weight_bits} "
        f"have {first}, and arguments of its functions {ARGUMENT_FRAC}"
    )
    # A sigmoid's argument is shifted by one more.
    for frac in range(min(first, ARGUMENT_FRAC + a.max_shift - 1), ARGUMENT_FRAC - 1, -1):
        values, own = (
            np.rint(np.ldexp(shared.values, frac - fraction)).astype(np.int64)
            for fraction, shared in both
        )
        largest = limits(a.weight_bits)[1]
        if max(np.abs(values).max(initial=0), np.abs(own).max(initial=0)) > largest:
            continue
        bias = np.rint(np.ldexp(layer.bias, frac))
        if np.abs(bias).max(initial=0.0) >= largest_bias(a.acc_bits):
            why = too_large_bias(layer.bias, a.acc_bits)
            continue
        steps = bias.astype(np.int64)
        sums = (
            bound_sums(*layer.products.sums(values), in_limits),
            bound_sums(*inner.sums(own), np.array([[least, most]])),
        )
        reach = _cell_reach(sums, steps, (1 << frac - ARGUMENT_FRAC + 1) >> 1)
        if reach.bits > a.acc_bits:
            why = (
                f"its sums could need {reach.bits} bits, and accumulators have acc_bits = "
                f"{a.acc_bits}"
            )
            continue
        return Rounded(
            values=values,
            unit=0,
            codebook=np.unique(np.append(values, 0)) if a.max_values else None,
            bias=steps,
            weight_frac=frac - in_frac,
            out_frac=a.act_bits - 1,
            reach=reach,
            limits=(least, most),
            recurrent=own,
            recurrent_frac=frac - past_frac,
        )
    raise CompileError(
        f"layer {layer.name!r} has no fixed-point format that cannot overflow: {why}; raise "
        "weight_bits or acc_bits"
    )


def _cell_reach(
    sums: tuple[tuple[NDArray[np.object_], NDArray[np.object_]], ...],
    bias: NDArray[np.int64],
    half: int,
) -> AccumulatorRange:
    """Return what accumulators of a recurrent layer may hold, 0 included.

    Parameters
    ----------
    sums : least and largest sum of each row, of either matrix's products.
    bias : of each row, added at any time.
    half : that rounds, added with it.
    """
    (low, high), (past_low, past_high) = sums
    added = bias.astype(object) + half
    least = (low + past_low + np.minimum(added, 0)).min()
    most = (high + past_high + np.maximum(added, 0)).max()
    return AccumulatorRange(min(0, int(least)), max(0, int(most)))


def _maximum(layer: LoweredLayer, in_frac: int, in_limits: NDArray[np.int64]) -> Rounded:
    """Return the ones of a maximum, which changes no number but those that a ReLU does."""
    low, high = int(in_limits[:, 0].min()), int(in_limits[:, 1].max())
    return Rounded(
        values=np.ones(1, np.int64),
        unit=0,
        codebook=np.array([0, 1]),
        bias=np.zeros(layer.bias.shape, np.int64),
        weight_frac=0,
        out_frac=in_frac,
        reach=AccumulatorRange(low, high),
        limits=(max(low, 0) if layer.relu else low, max(high, 0) if layer.relu else high),
    )


def _areas(layer: LoweredLayer, frac: int) -> tuple[Area, ...]:
    """Round the weights of each area of an average."""
    return tuple(
        Area(
            y0=area.y0,
            x0=area.x0,
            height=area.height,
            width=area.width,
            weight=int(np.rint(np.ldexp(1.0 / area.divisor, frac))),
        )
        for area in layer.areas
    )


def _products(
    layer: LoweredLayer, values: NDArray[np.int64], unit: int, areas: tuple[Area, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positive and negative weights of each output and tensor, see :func:`.bound_sums`."""
    outputs = np.arange(layer.out_shape[0])
    # Output channel k of an average reads channel k; an identity's are the last of the input.
    sources = layer.sources[-len(outputs) :]
    if areas:
        # Windows that have few elements have large weights: the fullest windows count.
        pairs = zip(areas, layer.areas, strict=True)
        positive = np.zeros((len(outputs), len(layer.depths)), np.int64)
        positive[outputs, sources] = max(made.weight * area.elements for made, area in pairs)
        return positive, np.zeros_like(positive)
    positive, negative = layer.products.sums(values)
    if unit:
        positive[outputs, sources] += unit
    return positive, negative


def _codebook(weights: NDArray[np.int64], max_values: int) -> NDArray[np.int64] | None:
    """Return the different weights, 0 first, or None if a codebook cannot hold them."""
    values = np.unique(weights[weights != 0])
    return np.concatenate([[0], values]) if values.size <= max_values else None


def _inexactness(layer: LoweredLayer, rounded: Rounded) -> float:
    """Return by how much the weights of an average miss their value at most, relative to it."""
    pairs = [(float(rounded.values[0]), float(layer.weights.values[0]))]
    pairs += [
        (made.weight, 1.0 / area.divisor)
        for made, area in zip(rounded.areas, layer.areas, strict=True)
    ]
    return max(
        abs(np.ldexp(made, -rounded.weight_frac) - exact) / abs(exact) for made, exact in pairs
    )
