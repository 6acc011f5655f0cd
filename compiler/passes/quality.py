"""Say where fixed point is so far from float that results will differ."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import FloatConv, FloatGraph, FloatLinear
from zeroskip.compiler.passes.arithmetic import Arithmetic
from zeroskip.compiler.passes.fixed_point import largest_frac
from zeroskip.compiler.passes.report import LayerReport
from zeroskip.compiler.passes.share import SharedWeights, bits_for

__all__ = [
    "MIN_SNR_DB", "accumulator_warnings", "narrow_accumulators", "sharing_warnings", "snr_warnings",
]  # fmt: skip

MIN_SNR_DB = 20.0
"""Outputs that are less than this above their error are worth a warning: at 20 dB the error is a
tenth of the signal."""
_MIN_WEIGHT_SNR_DB = 40.0
"""Weights that accumulators leave less than this above their rounding error are worth a warning: at
40 dB the error is a hundredth of them."""
_AT_ONCE = 1 << 16
"""Weights whose rounding is looked at together: so many stay in a cache."""


@dataclass(frozen=True)
class NarrowAccumulators:
    """What accumulators cost the weights of a layer.

    Parameters
    ----------
    acc_bits : width of the accumulators.
    needed : width with which the error is small enough, or all that ``weight_bits`` allows.
    snr_db : weights over their rounding error.
    """

    acc_bits: int
    needed: int
    snr_db: float


def narrow_accumulators(
    graph: FloatGraph, layers: Iterable[LayerReport], arithmetics: Mapping[str, Arithmetic]
) -> dict[str, NarrowAccumulators]:
    """Return the layers whose weights are coarse for the proof that no sum can overflow.

    Parameters
    ----------
    graph : the network, before clustering.
    layers : what became of it, in fixed point.
    arithmetics : of each node.
    """
    weights = {n.name: n.weight for n in graph.nodes if isinstance(n, FloatConv | FloatLinear)}
    found: dict[str, NarrowAccumulators] = {}
    for layer in layers:
        a = arithmetics[layer.node]
        if layer.name not in weights or layer.acc_bits_needed < a.acc_bits:
            continue
        exact = weights[layer.name]
        ends = float(exact.min(initial=0)), float(exact.max(initial=0))
        lost = largest_frac(*ends, a.weight_bits) - layer.weight_frac
        if lost <= 0:
            continue
        snr = _rounded_snr(exact, layer.weight_frac)
        if snr < _MIN_WEIGHT_SNR_DB:
            more = next(
                bits
                for bits in range(1, lost + 1)
                if bits == lost
                or _rounded_snr(exact, layer.weight_frac + bits) >= _MIN_WEIGHT_SNR_DB
            )
            needed = layer.acc_bits_needed + more
            found[layer.name] = NarrowAccumulators(a.acc_bits, needed, snr)
    return found


def _rounded_snr(exact: NDArray[np.float64], frac: int) -> float:
    """Return how far weights are above the error of rounding them to fraction bits, in dB."""
    signal = noise = 0.0
    flat = exact.ravel()
    for start in range(0, flat.size, _AT_ONCE):
        part = flat[start : start + _AT_ONCE]
        error = np.ldexp(np.rint(np.ldexp(part, frac)), -frac) - part
        signal, noise = signal + float(np.vdot(part, part)), noise + float(np.vdot(error, error))
    return 10 * math.log10(signal / noise) if signal and noise else math.inf


def accumulator_warnings(narrow: Mapping[str, NarrowAccumulators]) -> tuple[str, ...]:
    """Return a sentence about each layer of :func:`narrow_accumulators`."""
    return tuple(
        f"weights of layer {name!r} are only {made.snr_db:.1f} dB above their rounding error, so "
        f"that no sum can overflow accumulators of acc_bits = {made.acc_bits}; acc_bits = "
        f"{made.needed} leaves them {_MIN_WEIGHT_SNR_DB:.0f} dB"
        for name, made in narrow.items()
    )


def snr_warnings(layers: Iterable[LayerReport], narrow: Collection[str] = ()) -> tuple[str, ...]:
    """Return a sentence about layers whose outputs are little above their error, if there are any.

    Parameters
    ----------
    layers : in the order in which errors add up.
    narrow : names of those whose weights are coarse since accumulators are narrow.
    """
    poor: list[str] = []
    clustered: list[str] = []
    for layer in layers:
        clustered += [repr(layer.name)] if layer.clustered else []
        snr = layer.error.snr_db if layer.error is not None else None
        if snr is not None and snr < MIN_SNR_DB:
            poor.append(f"{layer.name!r} ({snr:.1f} dB)")
    if not poor:
        return ()
    way_out = "give the array wider weight_bits or act_bits, or leave outliers out of calibration"
    if narrow:
        way_out = f"raise acc_bits, which costs weights of {', '.join(map(repr, narrow))} most bits"
    elif clustered:
        way_out = (
            f"clustering {', '.join(clustered)} costs the most: give codebooks more values "
            "(code_bits), or share weights with zeroskip compress, which fine-tunes them"
        )
    sentence = (
        f"outputs of {', '.join(poor)} are less than {MIN_SNR_DB:.0f} dB above their error against "
        f"float, so results may differ; {way_out}"
    )
    return (sentence,)


def sharing_warnings(
    graph: FloatGraph,
    layers: Iterable[LayerReport],
    weights: Mapping[str, SharedWeights],
    arithmetics: Mapping[str, Arithmetic],
) -> tuple[str, ...]:
    """Return a sentence about each layer that lost more of its sharing than it must.

    Parameters
    ----------
    graph : the network, before clustering.
    layers : what became of it, in fixed point.
    weights : of each convolution and Linear.
    arithmetics : of each node.
    """
    plain = {layer.name for layer in layers if not layer.codebook}
    found: list[str] = []
    for node in graph.nodes:
        if not isinstance(node, FloatConv | FloatLinear):
            continue
        shared, a = weights[node.name], arithmetics[node.name]
        wider = bits_for(shared.distinct)
        lost = None
        if shared.clustered:
            lost = f"which were clustered to {shared.values.size}"
        elif node.name in plain:
            lost = f"which no codebook of {a.max_values} holds, so that they are stored plain"
        elif not a.plain_bits and node.values is not None and wider > bits_for(node.values):
            lost = f"for which codes need {wider} bits instead of {bits_for(node.values)}"
        if lost is not None and node.values is not None and node.values <= a.max_values:
            found.append(
                f"layer {node.name!r} had {node.values} shared values, but "
                f"{', '.join(node.folded)}, folded into its weights, made them {shared.distinct}, "
                f"{lost}: fold before sharing, as zeroskip compress does"
            )
        elif shared.clustered and wider <= a.code_bits_limit:
            found.append(
                f"the {shared.distinct} values of layer {node.name!r} were clustered to "
                f"{shared.values.size}, which leaves weights {shared.snr_db:.1f} dB above their "
                f"error: code_bits = {wider} would hold all of them without error"
            )
    return tuple(found)
