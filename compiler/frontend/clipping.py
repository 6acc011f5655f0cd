"""Make ReLUs part of the nodes that make what they clip."""

import dataclasses

import numpy as np

from zeroskip.compiler.frontend.draft import DraftGraph, check_own
from zeroskip.compiler.frontend.steps import Relu, layer_name
from zeroskip.compiler.ir.graph import FloatAdd, FloatConcat, FloatConv, FloatLinear, FloatPool

__all__ = ["fold_relus"]

_CLIPS = (FloatConv, FloatLinear, FloatAdd, FloatPool)
"""Nodes that can have a ReLU."""


def fold_relus(draft: DraftGraph) -> None:
    """Make ReLUs part of what made their inputs, or layers of their own."""
    for node in list(draft.nodes.values()):
        if not isinstance(node, Relu):
            continue
        source = draft.nodes[node.name].inputs[0]
        if _clippable(draft, source, node.name):
            _clip(draft, source)
            draft.bypass(draft.nodes[node.name])
        else:
            draft.replace(_alone(draft, node.name, source))


def _alone(draft: DraftGraph, name: str, source: str) -> FloatLinear | FloatPool:
    """Return a layer that does a ReLU and nothing else."""
    channels, height, width = draft.shapes[name]
    if name in draft.flat:
        check_own(layer_name(draft.nodes[name]), "acts on", channels)
        return FloatLinear(name, (source,), np.eye(channels), np.zeros(channels), relu=True)
    return FloatPool(name, (source,), "max", (1, 1), (1, 1), (0, 0), (height, width), relu=True)


def _clippable(draft: DraftGraph, tensor: str, reader: str) -> bool:
    """Say whether no one but ``reader`` would notice if ``tensor`` were clipped."""
    node = draft.nodes.get(tensor)
    if _clipped(draft, tensor):
        return True
    if node is None or set(draft.readers(tensor)) != {reader}:
        return False
    if isinstance(node, FloatConcat):
        return all(_clippable(draft, part, tensor) for part in node.inputs)
    return True


def _clipped(draft: DraftGraph, tensor: str) -> bool:
    """Say whether nothing in ``tensor`` is negative."""
    node = draft.nodes.get(tensor)
    if isinstance(node, FloatPool) and (node.divisor or 1) < 0:
        return node.relu
    if isinstance(node, (FloatPool, FloatConcat)):
        return getattr(node, "relu", False) or all(_clipped(draft, name) for name in node.inputs)
    return isinstance(node, _CLIPS) and node.relu


def _clip(draft: DraftGraph, tensor: str) -> None:
    """Clip ``tensor``, or what it is the maximum of: that is the same, and done earlier."""
    node = draft.nodes.get(tensor)
    if node is None or _clipped(draft, tensor):
        return
    if isinstance(node, FloatConcat):
        for part in node.inputs:
            _clip(draft, part)
        return
    if isinstance(node, FloatPool) and node.kind == "max":
        before = draft.nodes.get(node.inputs[0])
        if isinstance(before, _CLIPS) and draft.readers(before.name) == [tensor]:
            _clip(draft, before.name)
            return
    if isinstance(node, _CLIPS):
        draft.replace(dataclasses.replace(node, relu=True))
