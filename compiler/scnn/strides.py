"""Choose the stride of kernels as large as their padded input."""

import math
from collections.abc import Mapping
from dataclasses import replace

from amaranth.hdl import Shape

from zeroskip.base.errors import CompileError
from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.cost import LOAD_WORDS, input_densities, load_cycles
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.hw.scnn.formats import act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["choose_strides"]

_MOST = 7
"""Largest stride with which a layer can still follow another one on the array."""


def choose_strides(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> QuantGraph:
    """Give layers with one row or column of outputs the strides with which they are fastest.

    Whatever the stride of such a kernel, the outputs are the same. But it says which weights an
    activation meets: all of the kernel at stride 1, though it needs only one of them. What the host
    loads counts, too, here with the directory: each phase has an entry of its own.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : see :func:`.input_densities`.
    progress : step "choose strides", by layers.

    Returns
    -------
    The graph; its layers compute what they did.
    """
    tell, layers = progress or silent, list[QuantConv]()
    known = input_densities(graph, densities)
    for number, layer in enumerate(graph.layers):
        tell("choose strides", number, len(graph.layers))
        layers.append(_fastest(layer, params, known[layer.name]))
    tell("choose strides", len(layers), len(layers))
    return replace(graph, layers=tuple(layers))


def _fastest(layer: QuantConv, params: ScnnParams, density: float) -> QuantConv:
    best, least = layer, math.inf
    for stride in _strides(layer):
        strided = replace(layer, stride=stride)
        try:
            plan = plan_layer(strided, params, density)
        except CompileError:
            continue  # Another stride may do; what none can do is refused later.
        entries = layer.in_shape[0] * stride[0] * stride[1] * params.num_pes
        directory = entries * _entry_bits(params) / LOAD_WORDS
        cycles = plan.cycles + load_cycles(strided, plan, params) + directory
        if cycles < least:
            best, least = strided, cycles
    return best


def _entry_bits(params: ScnnParams) -> float:
    """Return what an entry of the directory has of the bits of a word of activations."""
    entry, word = Shape.cast(directory_layout(params)), Shape.cast(act_word_layout(params))
    return entry.width / word.width


def _strides(layer: QuantConv) -> list[tuple[int, int]]:
    """List strides with 1, 2, 4, ... taps of a phase in each direction that is free."""
    kernel = layer.weight.shape[2:]
    free = [size == 1 and taps > 1 for size, taps in zip(layer.out_shape[1:], kernel, strict=True)]
    if not any(free):
        return []
    found: dict[tuple[int, int], None] = {layer.stride: None}
    taps = 1
    while taps < 2 * max(kernel):
        down, across = (
            -(-size // taps) if is_free else step
            for size, step, is_free in zip(kernel, layer.stride, free, strict=True)
        )
        if max(down, across) <= _MOST:
            found[down, across] = None
        taps *= 2
    return list(found)
