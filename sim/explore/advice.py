"""Say what would make a network faster or smaller on an array, each with its number."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zeroskip.base.errors import CompileError, ParameterError
from zeroskip.base.tables import percent
from zeroskip.compiler.ir.graph import TRAINED
from zeroskip.sim.estimate import LayerEstimate, Lever
from zeroskip.sim.explore.result import Advice, ArrayEstimate, ExploredLayer

__all__ = ["advise", "break_even"]

_WORTH = 0.02
"""Share of cycles, or of bits, that must be saved to be told."""
_DOMINATES = 0.4
_ACTIVE = 0.9
_FIXED = ("drain", "setup", "broadcast")
"""What of a layer's cycles does not go with the density of its weights."""

Estimates = Callable[[Any, Mapping[str, Any]], Sequence[LayerEstimate]]


def advise(
    estimate: ArrayEstimate, levers: Sequence[Lever], layers: Estimates
) -> tuple[Advice, ...]:
    """Return what would help, what saves most cycles first.

    Parameters
    ----------
    estimate : of an array.
    levers : what may be worth another value.
    layers : estimates the layers with other parameters and options.
    """
    found = [*_dominating(estimate), *_too_dense(estimate), *_active(estimate)]
    best: dict[str, Advice] = {}
    spent = _spent(estimate.layers)
    for lever in levers:
        needed = lever.against == "bits" or spent.get(lever.against, 0.0) > _WORTH * estimate.cycles
        if not needed or _value(estimate, lever.field) == lever.value:
            continue
        advice = _try(estimate, lever, layers)
        if advice and advice.gain > best.get(lever.field, Advice("", 0.0)).gain:
            best[lever.field] = advice
    found += [*best.values(), *_unshared(estimate)]
    return tuple(sorted(found, key=lambda advice: -advice.gain))


def break_even(layer: LayerEstimate, work: ExploredLayer, dense_cycles: float) -> float | None:
    """Estimate the density of weights below which a layer is faster than on the dense machine.

    Parameters
    ----------
    layer, work : its estimate, and what it has to compute.
    dense_cycles : of the dense machine with as many multipliers.

    Returns
    -------
    None if it would not be with any weight, or has none to prune; 1 if it is even without zeros.
    """
    density = work.density if work.kind in TRAINED else 0.0
    fixed = sum(layer.spent.get(cause, 0.0) for cause in _FIXED)
    if dense_cycles <= fixed or not density:
        return None
    each = (layer.cycles - fixed) / density
    return min(1.0, (dense_cycles - fixed) / each) if each else 1.0


def _spent(layers: Sequence[LayerEstimate]) -> dict[str, float]:
    found: dict[str, float] = {}
    for layer in layers:
        for cause, cycles in layer.spent.items():
            found[cause] = found.get(cause, 0.0) + cycles
    return found


def _value(estimate: ArrayEstimate, name: str) -> Any:
    return estimate.options.get(name, getattr(estimate.params, name, None))


def _shown(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _try(estimate: ArrayEstimate, lever: Lever, layers: Estimates) -> Advice | None:
    """Estimate the layers with another value; None if that is not worth it, or cannot be."""
    params, options = estimate.params, dict(estimate.options)
    try:
        if lever.field in options:
            options[lever.field] = lever.value
        else:
            params = dataclasses.replace(params, **{lever.field: lever.value})
        then = layers(params, options)
    except (CompileError, ParameterError):
        return None
    cycles = sum(layer.cycles for layer in then)
    before, after = (sum(layer.stored_bits for layer in some) for some in (estimate.layers, then))
    gain, bits = estimate.cycles / cycles, after / before - 1 if before else 0.0
    what = f"{lever.field} = {_shown(lever.value)} instead of "
    what += _shown(_value(estimate, lever.field))
    if lever.against == "bits":
        if bits > -_WORTH or gain < 1 - _WORTH:
            return None
        return Advice(f"{what}: {percent(-bits)} fewer bits stored, {gain:.2f} x as fast", 1.0)
    if gain < 1 + _WORTH:
        return None
    more = f", {percent(abs(bits))} {'more' if bits > 0 else 'fewer'} bits stored"
    share = percent(_spent(estimate.layers)[lever.against] / estimate.cycles)
    return Advice(
        f"{what}: {gain:.2f} x as fast ({lever.against} takes {share} of the cycles)"
        f"{more if abs(bits) >= _WORTH else ''}",
        gain,
    )


def _dominating(estimate: ArrayEstimate) -> list[Advice]:
    layer = max(estimate.layers, key=lambda layer: layer.cycles)
    share = layer.cycles / estimate.cycles
    if share < _DOMINATES or len(estimate.layers) < 2:
        return []
    work = next(work for work in estimate.work if work.name == layer.name)
    takes = f"layer {layer.name!r} takes {percent(share)} of the cycles, bound by {layer.bound}"
    if work.kind not in TRAINED:
        return [Advice(f"{takes}, and has no weights to prune ({work.kind})")]
    fixed = sum(layer.spent.get(cause, 0.0) for cause in _FIXED)
    gain = estimate.cycles / (estimate.cycles - (layer.cycles - fixed) / 2)
    return [
        Advice(
            f"{takes}: with half of its weights, a density of {percent(work.density / 2)}, the "
            f"network would be {gain:.2f} x as fast",
            gain,
        )
    ]


def _too_dense(estimate: ArrayEstimate) -> list[Advice]:
    """Say which layers the dense machine computes faster, and at which density it would not."""
    found: list[Advice] = []
    for layer, work in zip(estimate.layers, estimate.work, strict=True):
        dense = work.dense_macs / estimate.multipliers
        if layer.cycles <= dense or layer.cycles < _WORTH * estimate.cycles:
            continue
        even = break_even(layer, work, dense)
        way = (
            f"{layer.bound} takes most, and pruning does not help"
            if even is None or even >= work.density
            else f"it would break even at a density of {percent(even)}, not {percent(work.density)}"
        )
        gain = estimate.cycles / (estimate.cycles - layer.cycles + dense)
        found.append(
            Advice(
                f"layer {layer.name!r} is slower than on the dense machine ({layer.cycles:.0f} "
                f"cycles against {dense:.0f}): {way}",
                gain,
            )
        )
    return found


def _active(estimate: ArrayEstimate) -> list[Advice]:
    """Say which inner layer reads activations that are hardly ever 0."""
    found: list[Advice] = []
    for layer, work in [*zip(estimate.layers, estimate.work, strict=True)][1:]:
        moving = layer.cycles - sum(layer.spent.get(cause, 0.0) for cause in _FIXED[:2])
        gain = estimate.cycles / (estimate.cycles - moving / 2)
        if work.act_density > _ACTIVE and gain > 1 + 5 * _WORTH:
            found.append(
                Advice(
                    f"layer {layer.name!r} reads activations of which {percent(work.act_density)} "
                    "are not 0: with a ReLU before it that makes half of them 0, the network would "
                    f"be about {gain:.2f} x as fast",
                    gain,
                )
            )
    return found


def _unshared(estimate: ArrayEstimate) -> list[Advice]:
    code_bits = getattr(estimate.params, "code_bits", None)
    if code_bits is None:
        return []
    most = (1 << code_bits) - 1
    names = [
        work.name
        for work in estimate.work
        if work.kind in TRAINED and (work.values is None or work.values > most)
    ]
    if not names:
        return []
    layers = f"layer {names[0]!r} has" if len(names) == 1 else f"{len(names)} layers have"
    width = getattr(estimate.params, "field_bits", estimate.params.weight_bits)
    return [
        Advice(
            f"{layers} more than {most} different weights: shared (--share, or 'zeroskip compress'"
            f"), a weight takes {code_bits} bits instead of {width}"
        )
    ]
