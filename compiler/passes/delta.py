"""Let recurrent layers multiply by changes."""

import dataclasses
import math

from zeroskip.base.errors import InputError
from zeroskip.compiler.ir.graph import FloatCell, FloatGraph

__all__ = ["with_delta"]


def with_delta(graph: FloatGraph, delta: float) -> FloatGraph:
    """Return a network whose recurrent layers multiply by changes larger than ``delta``.

    Raises
    ------
    InputError
        If that is no threshold, or no layer is recurrent.
    """
    if not (math.isfinite(delta) and delta >= 0):
        raise InputError(f"delta, a threshold of changes, must be 0 or more, not {delta}")
    if not any(isinstance(node, FloatCell) for node in graph.nodes):
        raise InputError(
            "delta is a threshold of changes from step to step, and the network has no recurrent "
            "layers: leave it out"
        )
    nodes = tuple(
        dataclasses.replace(node, delta=float(delta)) if isinstance(node, FloatCell) else node
        for node in graph.nodes
    )
    return dataclasses.replace(graph, nodes=nodes)
