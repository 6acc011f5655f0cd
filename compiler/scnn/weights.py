"""Choose a layer's fixed-point weights so that no sum can overflow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ScnnCompileError
from zeroskip.compiler.ir.graph import Area
from zeroskip.compiler.passes.fixed_point import largest_frac, limits
from zeroskip.compiler.passes.overflow import AccumulatorRange, largest_bias, too_large_bias
from zeroskip.compiler.scnn.steps import Step
from zeroskip.hw.scnn.params import ScnnParams

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
    weight : (K, C // groups, R, S) int64, identity included.
    codebook : (n,) int64 with every weight, 0 first; None if weights are stored as they are.
    bias : (K,) int64.
    weight_frac : fraction bits of the weights.
    out_frac : fraction bits of the outputs, at most what was asked for.
    reach : all that accumulators can hold.
    limits : smallest and largest output.
    areas : of an average that divides by different numbers.
    """

    weight: NDArray[np.int64]
    codebook: NDArray[np.int64] | None
    bias: NDArray[np.int64]
    weight_frac: int
    out_frac: int
    reach: AccumulatorRange
    limits: tuple[int, int]
    areas: tuple[Area, ...] = ()


def leaves_room_for_one(weight: NDArray[np.float64], params: ScnnParams) -> bool:
    """Say whether the format of ``weight`` can also hold 1, without losing bits that matter."""
    first = largest_frac(*_ends(weight), params.weight_bits)
    bits = params.weight_bits if _few(weight, params.num_codes - 1) else params.field_bits
    # 2**frac must fit the bits, which takes a sign and one bit more than the fraction.
    return first - (bits - 2) <= max(0, bits - _ENOUGH_BITS)


def round_weights(
    step: Step,
    in_frac: int,
    out_frac: int,
    in_limits: NDArray[np.int64],
    params: ScnnParams,
) -> Rounded:
    """Return the finest weights with which no accumulator can overflow, for any input.

    An average takes, of all such weights, those that divide most exactly.

    Parameters
    ----------
    step : the layer.
    in_frac : fraction bits of its inputs.
    out_frac : of its outputs, at most.
    in_limits : (C, 2), smallest and largest input of each channel.
    params : widths of the hardware.

    Raises
    ------
    CompileError
        If there are none.
    """
    if step.op == "max":
        return _maximum(step, in_frac, in_limits)
    first = largest_frac(*_ends(step.weight), params.weight_bits)
    if step.kind == "add":
        first = 0  # A sum of inputs is no finer than they are.
    if step.identity:
        first = min(first, params.weight_bits - 2)
    max_shift = min(63, params.acc_bits - 1)
    why = (
        f"weights of at most {np.abs(step.weight).max(initial=0):.3g} round to 0 beside outputs "
        f"of {out_frac} fraction bits, with a shift of at most {max_shift}"
    )
    found: list[Rounded] = []
    for frac in range(first, _MIN_FRAC, -1):
        if step.identity and frac < 0:
            why = "the weight of 1 for an addition rounds to 0"
            break
        made = _integers(step, frac)
        areas = _areas(step, frac)
        if (step.weight.any() and not made.any()) or any(not one.weight for one in areas):
            break
        codebook = _codebook(made, params.num_codes)
        # Without a codebook, weights are stored in fields.
        least, most = limits(params.weight_bits if codebook is not None else params.field_bits)
        largest = max([int(made.max(initial=0)), *(one.weight for one in areas)])
        if made.min(initial=0) < least or largest > most:
            continue
        # Outputs cannot be finer than the accumulator.
        shift = in_frac + frac - min(out_frac, in_frac + frac)
        bias = np.rint(np.ldexp(step.bias, in_frac + frac))
        if shift > max_shift:
            continue
        if np.abs(bias).max(initial=0.0) >= largest_bias(params.acc_bits):
            why = too_large_bias(step.bias, params.acc_bits)
            continue
        steps = bias.astype(np.int64)
        half = (1 << shift) >> 1
        low, high = (
            _averages(step, areas, in_limits) if areas else _sums(made, step.groups, in_limits)
        )
        # Python integers (dtype object): int64 holds the sums, but not with any bias and half.
        added = steps.astype(object) + half
        ends = int((low + added).min()), int((high + added).max())
        reach = AccumulatorRange(min(int(low.min()), ends[0]), max(int(high.max()), ends[1]))
        if reach.bits > params.acc_bits:
            why = (
                f"its sums could need {reach.bits} bits even with weights of at most "
                f"{np.abs(made).max(initial=0)} steps, and accumulators have acc_bits = "
                f"{params.acc_bits}"
            )
            continue
        floor, top = limits(params.act_bits)
        outputs = np.clip([end >> shift for end in ends], 0 if step.relu else floor, top)
        found.append(
            Rounded(
                weight=made,
                codebook=codebook,
                bias=steps,
                weight_frac=frac,
                out_frac=in_frac + frac - shift,
                reach=reach,
                limits=(int(outputs[0]), int(outputs[1])),
                areas=areas,
            )
        )
        if step.kind != "avg":
            return found[0]
    if found:
        return min(found, key=lambda one: _inexactness(step, one))
    raise ScnnCompileError(
        f"layer {step.name!r} has no fixed-point format that cannot overflow: {why}; raise "
        "acc_bits or lower act_bits"
    )


def _maximum(step: Step, in_frac: int, in_limits: NDArray[np.int64]) -> Rounded:
    """Return the ones of a maximum, which changes no number but those that a ReLU does."""
    low, high = int(in_limits[:, 0].min()), int(in_limits[:, 1].max())
    return Rounded(
        weight=np.ones(step.weight.shape, np.int64),
        codebook=np.array([0, 1]),
        bias=np.zeros(step.bias.shape, np.int64),
        weight_frac=0,
        out_frac=in_frac,
        reach=AccumulatorRange(low, high),
        limits=(max(low, 0) if step.relu else low, max(high, 0) if step.relu else high),
    )


def _integers(step: Step, frac: int) -> NDArray[np.int64]:
    """Round the weights; halves go to the even neighbour."""
    made = np.rint(np.ldexp(step.weight, frac)).astype(np.int64)
    if not step.identity:
        return made
    depth, _, *kernel = made.shape
    ones = np.zeros((depth, depth, *kernel), np.int64)
    ones[range(depth), range(depth), step.padding[0], step.padding[1]] = 1 << frac
    return np.concatenate([made, ones], axis=1)


def _areas(step: Step, frac: int) -> tuple[Area, ...]:
    """Round the weights of each area of an average."""
    return tuple(
        Area(
            y0=one.y0,
            x0=one.x0,
            height=one.height,
            width=one.width,
            weight=int(np.rint(np.ldexp(1.0 / one.divisor, frac))),
        )
        for one in step.areas
    )


def _averages(
    step: Step, areas: tuple[Area, ...], in_limits: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what :func:`_sums` does, of the areas of an average: windows full of one input."""
    pairs = zip(areas, step.areas, strict=True)
    most = max(area.weight * one.elements for area, one in pairs)
    return most * np.minimum(in_limits[:, 0], 0), most * np.maximum(in_limits[:, 1], 0)


def _sums(
    weight: NDArray[np.int64], groups: int, in_limits: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and largest sum of each output channel, and of any part of it: (K,).

    Products have at most 30 bits, and there are less than 2**32 of them: int64 holds the sums.
    """
    depth, fan = weight.shape[:2]
    positive = np.maximum(weight, 0).sum(axis=(2, 3)).reshape(groups, depth // groups, fan)
    negative = np.minimum(weight, 0).sum(axis=(2, 3)).reshape(groups, depth // groups, fan)
    # Fewer terms, or zeros around the plane, are possible, too.
    least = np.minimum(in_limits[:, 0], 0).reshape(groups, fan, 1)
    most = np.maximum(in_limits[:, 1], 0).reshape(groups, fan, 1)
    high = positive @ most + negative @ least
    low = positive @ least + negative @ most
    return low.reshape(depth), high.reshape(depth)


def _codebook(weight: NDArray[np.int64], size: int) -> NDArray[np.int64] | None:
    """Return the different weights, 0 first, or None if a codebook cannot hold them."""
    values = np.unique(weight)
    values = values[values != 0]
    return np.concatenate([[0], values]) if values.size < size else None


def _few(weight: NDArray[np.float64], count: int) -> bool:
    """Say whether a codebook of ``count`` entries has one left beside 0 and all the weights."""
    return np.unique(weight[weight != 0]).size < count


def _ends(weight: NDArray[np.float64]) -> tuple[float, float]:
    return float(weight.min(initial=0.0)), float(weight.max(initial=0.0))


def _inexactness(step: Step, one: Rounded) -> float:
    """Return by how much the weights of an average miss their value at most, relative to it."""
    pairs = [(float(one.weight.flat[0]), step.weight.flat[0])]
    pairs += [
        (made.weight, 1.0 / of.divisor) for made, of in zip(one.areas, step.areas, strict=True)
    ]
    return max(abs(np.ldexp(made, -one.weight_frac) - exact) / abs(exact) for made, exact in pairs)
