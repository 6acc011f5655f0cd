"""Choose the fixed-point format of every tensor and every layer of a graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.passes.arithmetic import Arithmetic, common_act_bits
from zeroskip.compiler.passes.fixed_point import largest_frac
from zeroskip.compiler.passes.lowering import Lowered
from zeroskip.compiler.passes.weights import Rounded, round_weights

__all__ = ["Formats", "choose_formats"]

_MIN_FRAC = -256
"""Formats of float32 numbers are finer than this."""


@dataclass(frozen=True, eq=False)
class Formats:
    """Numbers of a graph in fixed point.

    Parameters
    ----------
    rounded : of each layer, in order, its numbers.
    fracs : fraction bits of each tensor.
    limits : smallest and largest integer that each tensor can have.
    """

    rounded: tuple[Rounded, ...]
    fracs: dict[str, int]
    limits: dict[str, tuple[int, int]]


def choose_formats(
    lowered: Lowered,
    ranges: Mapping[str, tuple[float, float]],
    arithmetics: Mapping[str, Arithmetic],
) -> Formats:
    """Give each tensor the finest format for its range, and round the weights to match.

    Tensors that a layer reads together, that a maximum reads and makes, or that leave together
    have one fraction. If the outputs of a layer cannot be as fine as that, for want of fraction
    bits of its sums, none of them is.

    Parameters
    ----------
    lowered : the graph.
    ranges : smallest and largest value of each float node's output, and of the input.
    arithmetics : of each float node.

    Raises
    ------
    CompileError
        If a layer has no safe format, see :func:`.round_weights`.
    """
    act_bits = common_act_bits(arithmetics.values())
    nodes = {INPUT: INPUT} | {layer.name: layer.node for layer in lowered.layers}
    same = _same_format(lowered)
    cells = {layer.name for layer in lowered.layers if layer.recurrent is not None}
    fracs: dict[str, int] = {}
    for name, node in nodes.items():
        frac = largest_frac(*ranges[node], act_bits)
        if name in cells:
            # Outputs of a cell are below 1, and its unit makes them so.
            frac = act_bits - 1
        fracs[same[name]] = min(frac, fracs.get(same[name], frac))
    for name in cells:
        beside = [other for other in nodes if same[other] == same[name] and other not in cells]
        if fracs[same[name]] < act_bits - 1 and beside:
            raise CompileError(
                f"outputs of layer {name!r} are below 1, and {beside[0]!r}, which is beside them, "
                "is not: numbers that are read together have one format; divide it by its largest"
            )
    known: dict[tuple[object, ...], Rounded] = {}
    while True:
        tensors = {name: fracs[same[name]] for name in nodes}
        rounded = _round_all(lowered, tensors, known, arithmetics)
        coarser = {
            same[name]: (made.out_frac, nodes[name])
            for name, made in rounded.items()
            if made.out_frac < fracs[same[name]]
        }
        if not coarser:
            break
        # The rest may change with it: begin again.
        name, (frac, node) = next(iter(coarser.items()))
        if frac < _MIN_FRAC:
            a = arithmetics[node]
            raise CompileError(
                f"tensor {name!r} has no fixed-point format that those which are concatenated or "
                "added with it, or are maxima of it, can have, too: a layer between multiplies "
                f"by more than weights of {a.weight_bits} bits and accumulators of {a.acc_bits} "
                "can; raise weight_bits or acc_bits"
            )
        fracs[name] = frac
    return Formats(
        rounded=tuple(rounded.values()),
        fracs=tensors,
        limits={INPUT: limits(act_bits)} | {name: made.limits for name, made in rounded.items()},
    )


def _same_format(lowered: Lowered) -> dict[str, str]:
    """Return, for every tensor, which one stands for all that share its fraction."""
    leader = {name: name for name in [INPUT, *(layer.name for layer in lowered.layers)]}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    together: list[Sequence[str]] = [layer.inputs for layer in lowered.layers]
    maxima = [layer for layer in lowered.layers if layer.op == "max"]
    together += [(layer.name, *layer.inputs) for layer in maxima]
    for first, *others in [*together, lowered.outputs]:
        for other in others:
            leader[find(other)] = find(first)
    return {name: find(name) for name in leader}


def _round_all(
    lowered: Lowered,
    fracs: Mapping[str, int],
    known: dict[tuple[object, ...], Rounded],
    arithmetics: Mapping[str, Arithmetic],
) -> dict[str, Rounded]:
    """Round every layer's weights for given fractions.

    ``known`` keeps what was rounded, as most layers keep their fractions from trial to trial.
    """
    rounded: dict[str, Rounded] = {}
    ends: dict[str, tuple[int, int]] = {}
    for layer in lowered.layers:
        arithmetic = arithmetics[layer.node]
        ends.setdefault(INPUT, limits(arithmetic.act_bits))
        in_limits: NDArray[np.int64] = np.array([ends[name] for name in layer.inputs], np.int64)
        in_frac, out_frac = fracs[layer.inputs[0]], fracs[layer.name]
        past_frac = fracs[layer.projection or layer.name]
        key = layer.name, in_frac, out_frac, past_frac, in_limits.tobytes()
        if key not in known:
            known[key] = round_weights(
                layer, in_frac, out_frac, in_limits, arithmetic, past_frac=past_frac
            )
        rounded[layer.name] = known[key]
        ends[layer.name] = known[key].limits
    return rounded
