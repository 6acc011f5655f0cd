"""Make scalings, copies and averages part of the layers around them."""

import dataclasses

import numpy as np

from zeroskip.compiler.frontend.draft import DraftGraph, check_own
from zeroskip.compiler.frontend.select import grouped
from zeroskip.compiler.frontend.sharing import MOST_VALUES, values_before
from zeroskip.compiler.frontend.steps import Affine, Draft, layer_name
from zeroskip.compiler.ir.graph import FloatConv, FloatLinear, FloatPool
from zeroskip.compiler.passes.share import distinct_values

__all__ = ["fold_scalings", "merge_copies"]


def fold_scalings(draft: DraftGraph) -> None:
    """Make scalings part of the layer before them or of those after, or layers of their own."""
    for name in list(draft.nodes):
        node = draft.nodes[name]
        if isinstance(node, Affine):
            _fold(draft, node)
    for node in list(draft.nodes.values()):
        if isinstance(node, Affine):
            draft.replace(_alone(draft, node))


def merge_copies(draft: DraftGraph) -> None:
    """Make convolutions that copy or average elements part of the Linear layers after them.

    Not where that would take a layer's sharing of weights away.
    """
    for name in list(draft.nodes):
        node = draft.nodes[name]
        if name in draft.spread and isinstance(node, FloatConv) and not node.relu:
            readers = [draft.nodes.get(reader) for reader in draft.readers(name)]
            made = [_merged(draft, node, reader) for reader in readers]
            _pass_on(draft, node, made)


def _pass_on(draft: DraftGraph, node: Draft, made: list[Draft | None]) -> None:
    """Drop ``node`` if all that read it, and only then, could be made to take it in."""
    layers = [layer for layer in made if layer is not None]
    if layers and len(layers) == len(made):
        draft.replace(*layers)
        draft.bypass(node)


def _fold(draft: DraftGraph, node: Affine) -> None:
    """Make a scaling part of what is before it, if nothing else reads that, or of what is after."""
    before = draft.nodes.get(node.inputs[0])
    if before is not None and draft.readers(before.name) == [node.name]:
        scaled = _scaled(draft, before, node)
        if scaled is not None:
            draft.replace(scaled)
            draft.bypass(node)
            if not isinstance(scaled, Affine):
                return
            node = scaled
    if not node.stays:
        readers = [draft.nodes.get(name) for name in draft.readers(node.name)]
        _pass_on(draft, node, [_taken_in(draft, node, reader) for reader in readers])


def _scaled(draft: DraftGraph, before: Draft, node: Affine) -> Draft | None:
    """Return ``before`` with its output scaled; None if it cannot do that, too."""
    flat = node.name in draft.flat
    if isinstance(before, Affine) and (before.name in draft.flat) == flat:
        scale, shift = before.scale * node.scale, before.shift * node.scale + node.shift
        folded = (*before.folded, *node.folded)
        return dataclasses.replace(before, scale=scale, shift=shift, folded=folded)
    if isinstance(before, FloatPool) and not flat:
        divisor = _divided(before, node)
        return None if divisor is None else dataclasses.replace(before, divisor=divisor)
    if isinstance(before, FloatLinear) or (isinstance(before, FloatConv) and not flat):
        column = node.scale.reshape(-1, *(1 for _ in before.weight.shape[1:]))
        return dataclasses.replace(
            before,
            weight=before.weight * column if node.folded else before.weight,
            bias=before.bias * node.scale + node.shift,
            folded=(*before.folded, *node.folded),
            values=values_before(before),
        )
    return None


def _divided(pool: FloatPool, node: Affine) -> int | None:
    """Return the divisor with which a sum of windows does a scaling, too, if there is one."""
    scale = node.scale[0]
    if pool.divisor is None or node.shift.any() or np.any(node.scale != scale):
        return None
    divisor = pool.divisor / scale if scale else 0.0
    whole = round(divisor) if abs(divisor) < 1 << 31 else 0
    return whole if whole and pool.divisor / whole == scale else None


def _taken_in(draft: DraftGraph, node: Affine, layer: Draft | None) -> Draft | None:
    """Return a layer of what ``node`` scales in place of what it makes, if that is possible."""
    if isinstance(layer, FloatLinear) and node.name in draft.flat:
        moved = layer.weight @ node.shift
        weight = layer.weight * node.scale if node.folded else layer.weight
    elif isinstance(layer, FloatConv):
        # What is around the plane is 0 after the scaling, too: no shift there.
        reshaped = draft.shapes[node.inputs[0]] != draft.shapes[node.name]
        if reshaped or (node.shift.any() and layer.padded):
            return None
        depth, fan, *_ = layer.weight.shape
        by_group = (layer.groups, 1, fan, 1, 1)
        taps = layer.weight.reshape(layer.groups, depth // layer.groups, *layer.weight.shape[1:])
        moved = (taps * node.shift.reshape(by_group)).sum(axis=(2, 3, 4)).reshape(depth)
        scaled = (taps * node.scale.reshape(by_group)).reshape(layer.weight.shape)
        weight = scaled if node.folded else layer.weight
    else:
        return None
    return dataclasses.replace(
        layer,
        weight=weight,
        bias=layer.bias + moved,
        folded=(*node.folded, *layer.folded),
        values=values_before(layer),
    )


def _alone(draft: DraftGraph, node: Affine) -> FloatLinear | FloatConv:
    """Return a layer that does a scaling and nothing else."""
    size = node.scale.size
    if node.name in draft.flat:
        check_own(layer_name(node), "acts on", size)
        weight = np.diag(node.scale)
        return FloatLinear(node.name, node.inputs, weight, node.shift, False, node.folded)
    plain = grouped(node.name, node.inputs[0], node.scale.reshape(size, 1, 1, 1), size)
    return dataclasses.replace(plain, bias=node.shift, folded=node.folded)


def _merged(draft: DraftGraph, node: FloatConv, layer: Draft | None) -> Draft | None:
    """Return a Linear layer of what a convolution of whole planes reads."""
    if not isinstance(layer, FloatLinear):
        return None
    channels, height, width = draft.shapes[node.inputs[0]]
    rows, values = len(layer.weight), distinct_values(layer.weight, MOST_VALUES)
    # Each channel's outputs, and what each of them takes of the channel's plane.
    taps = node.weight.reshape(channels, -1, height * width)
    parts = layer.weight.reshape(rows, channels, -1).transpose(1, 0, 2)
    weight = (parts @ taps).transpose(1, 0, 2).reshape(rows, -1)
    if values <= MOST_VALUES and distinct_values(weight, values) > values:
        return None
    folded = (layer_name(node), *node.folded, *layer.folded)
    bias = layer.bias + layer.weight @ node.bias
    return dataclasses.replace(layer, weight=weight, bias=bias, folded=folded)
