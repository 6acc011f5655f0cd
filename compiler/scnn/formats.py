"""Choose the fixed-point format of every tensor and every layer of a graph."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zeroskip.base.errors import ScnnCompileError
from zeroskip.compiler.ir.graph import INPUT, QuantConv
from zeroskip.compiler.passes.fixed_point import largest_frac, limits
from zeroskip.compiler.passes.overflow import AccumulatorRange
from zeroskip.compiler.scnn.steps import Step, Steps
from zeroskip.compiler.scnn.weights import Rounded, round_weights
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Formats", "choose_formats"]

_MIN_FRAC = -256
"""Formats of float32 numbers are finer than this."""


@dataclass(frozen=True, eq=False)
class Formats:
    """A graph in fixed point.

    Parameters
    ----------
    layers : of each step, in order.
    fracs : fraction bits of each tensor.
    limits : smallest and largest integer that each tensor can have.
    reach : of each layer, all that its accumulators can hold.
    """

    layers: tuple[QuantConv, ...]
    fracs: dict[str, int]
    limits: dict[str, tuple[int, int]]
    reach: dict[str, AccumulatorRange]


def choose_formats(
    steps: Steps, ranges: Mapping[str, tuple[float, float]], params: ScnnParams
) -> Formats:
    """Give each tensor the finest format for its range, and round the weights to match.

    Tensors that a layer reads together, that a maximum reads and makes, or that leave together
    have one fraction. If the outputs of a layer cannot be as fine as that, for want of fraction
    bits of its sums, none of them is.

    Parameters
    ----------
    steps : the graph.
    ranges : smallest and largest value of each float node's output, and of the input.
    params : widths of the hardware.

    Raises
    ------
    CompileError
        If a layer has no safe format, see :func:`.round_weights`.
    """
    nodes = {INPUT: INPUT} | {step.name: step.node for step in steps.steps}
    same = _same_format(steps)
    fracs: dict[str, int] = {}
    for name, node in nodes.items():
        frac = largest_frac(*ranges[node], params.act_bits)
        fracs[same[name]] = min(frac, fracs.get(same[name], frac))
    known: dict[tuple[object, ...], Rounded] = {}
    while True:
        rounded = _round_all(steps, {name: fracs[same[name]] for name in nodes}, known, params)
        coarser = {
            same[name]: one.out_frac
            for name, one in rounded.items()
            if one.out_frac < fracs[same[name]]
        }
        if not coarser:
            break
        # The rest may change with it: begin again.
        name, frac = next(iter(coarser.items()))
        if frac < _MIN_FRAC:
            raise ScnnCompileError(
                f"tensor {name!r} has no fixed-point format that those which are concatenated or "
                "added with it, or are maxima of it, can have, too: a layer between multiplies "
                f"by more than weights of {params.weight_bits} bits and accumulators of "
                f"{params.acc_bits} can; raise weight_bits or acc_bits"
            )
        fracs[name] = frac
    layers = [_layer(step, rounded, fracs[same[step.inputs[0]]], params) for step in steps.steps]
    return Formats(
        layers=tuple(layers),
        fracs={name: fracs[same[name]] for name in nodes},
        limits={name: _limits(name, rounded, params) for name in nodes},
        reach={name: one.reach for name, one in rounded.items()},
    )


def _same_format(steps: Steps) -> dict[str, str]:
    """Return, for every tensor, which one stands for all that share its fraction."""
    leader = {name: name for name in [INPUT, *(step.name for step in steps.steps)]}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    together = [step.inputs for step in steps.steps]
    together += [(step.name, *step.inputs) for step in steps.steps if step.op == "max"]
    for first, *others in [*together, steps.outputs]:
        for other in others:
            leader[find(other)] = find(first)
    return {name: find(name) for name in leader}


def _round_all(
    steps: Steps,
    fracs: Mapping[str, int],
    known: dict[tuple[object, ...], Rounded],
    params: ScnnParams,
) -> dict[str, Rounded]:
    """Round every step's weights for given fractions; ``known`` saves doing it twice."""
    depths = {INPUT: steps.input_shape[0]} | {one.name: one.out_shape[0] for one in steps.steps}
    rounded: dict[str, Rounded] = {}
    for step in steps.steps:
        bounds = [[_limits(name, rounded, params)] * depths[name] for name in step.inputs]
        in_limits = np.concatenate(bounds).astype(np.int64)
        in_frac, out_frac = fracs[step.inputs[0]], fracs[step.name]
        key = step.name, in_frac, out_frac, in_limits.tobytes()
        if key not in known:
            known[key] = round_weights(step, in_frac, out_frac, in_limits, params)
        rounded[step.name] = known[key]
    return rounded


def _limits(name: str, rounded: Mapping[str, Rounded], params: ScnnParams) -> tuple[int, int]:
    """Return the smallest and largest integer that a tensor can have."""
    return limits(params.act_bits) if name == INPUT else rounded[name].limits


def _layer(
    step: Step, rounded: Mapping[str, Rounded], in_frac: int, params: ScnnParams
) -> QuantConv:
    made = rounded[step.name]
    return QuantConv(
        name=step.name,
        kind=step.kind,
        inputs=step.inputs,
        in_shape=step.in_shape,
        out_shape=step.out_shape,
        weight=made.weight,
        codebook=made.codebook,
        bias=made.bias,
        stride=step.stride,
        padding=step.padding,
        groups=step.groups,
        relu=step.relu,
        op=step.op,
        signed_input=any(_limits(name, rounded, params)[0] < 0 for name in step.inputs),
        in_frac=in_frac,
        weight_frac=made.weight_frac,
        out_frac=made.out_frac,
        areas=made.areas,
        dilation=step.dilation,
    )
