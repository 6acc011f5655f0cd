"""What is in a file of a network: layers, densities, different values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from zeroskip.base.tables import Report, Table, percent
from zeroskip.compiler.frontend.pieces import Pieces
from zeroskip.compiler.ir.graph import FloatCell, FloatConv, FloatGraph, FloatLinear, FloatNode
from zeroskip.compiler.passes.share import distinct_values

__all__ = ["FoundLayer", "found_document", "found_report", "graph_layers", "state_layers"]

_MOST_VALUES = 255
_WITH_WEIGHTS = FloatConv | FloatLinear
_SHOWN = 24
"""Layers that a report lists, so that it fits one screen."""


@dataclass(frozen=True)
class FoundLayer:
    """A layer with weights.

    Parameters
    ----------
    name, shape : of the layer, and of its weights.
    weights, nnz : how many there are, and how many are not 0.
    values : different non-zero weights; None if there are more than codes can be.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    nnz: int
    values: int | None

    @classmethod
    def of(cls, name: str, weight: Any) -> "FoundLayer":
        """Look at an array of weights."""
        # NumPy has no bfloat16 nor floats of 8 bits; float32 has all that they have.
        small = getattr(weight, "itemsize", 4) < 4
        array = np.asarray(weight.float() if small and hasattr(weight, "float") else weight)
        values = distinct_values(array, _MOST_VALUES)
        known = None if values > _MOST_VALUES else values
        return cls(name, tuple(array.shape), array.size, int(np.count_nonzero(array)), known)


def state_layers(state: Mapping[str, Any]) -> list[FoundLayer]:
    """Return the layers of a state dict: what has a matrix or more."""
    return [
        FoundLayer.of(name.removesuffix(".weight"), tensor)
        for name, tensor in state.items()
        if tensor.ndim > 1
    ]


def graph_layers(pieces: Pieces) -> list[FoundLayer]:
    """Return the layers of a network, or of what of it is supported."""
    return [
        layer
        for graph in pieces.graphs
        for node in graph.nodes
        for layer in _node_layers(node, graph)
    ]


def _node_layers(node: FloatNode, graph: FloatGraph) -> list[FoundLayer]:
    """List the weight matrices of a node; none if it has no weights, or is a projection."""
    if isinstance(node, FloatCell):
        from zeroskip.compiler.compress.rebuild import recurrent_layer  # loads torch

        # The cell computes a fourth sum of a GRU, whose rows torch's matrices do not have.
        state = recurrent_layer(node, graph.projection(node)).state_dict()
        return [replace(layer, name=f"{node.name}.{layer.name}") for layer in state_layers(state)]
    if any(graph.projection(cell) is node for cell in graph.nodes):
        return []
    return [FoundLayer.of(node.name, node.weight)] if isinstance(node, _WITH_WEIGHTS) else []


def found_document(layers: Sequence[FoundLayer], problems: Sequence[str]) -> dict[str, Any]:
    """Give the JSON document of the layers and problems that were found in a file."""
    return {"layers": [asdict(layer) for layer in layers], "problems": list(problems)}


def found_report(name: str, layers: Sequence[FoundLayer], problems: Sequence[str]) -> Report:
    """Return what was found, in as many lines as a screen has."""
    rows: list[list[object]] = [
        [
            layer.name,
            " x ".join(map(str, layer.shape)),
            layer.weights,
            percent(layer.nnz / max(1, layer.weights)),
            f"> {_MOST_VALUES}" if layer.values is None else layer.values,
        ]
        for layer in layers[:_SHOWN]
    ]
    weights, nnz = (sum(getattr(layer, key) for layer in layers) for key in ("weights", "nnz"))
    rows.append(["total", "", weights, percent(nnz / max(1, weights)), ""])
    yield Table(f"Layers in {name}", ["layer", "shape", "weights", "density", "values"], rows)
    if len(layers) > _SHOWN:
        yield f"... and {len(layers) - _SHOWN} layers more; --json lists all"
    yield from problems
    many = [layer.name for layer in layers if layer.values is None]
    if many:
        yield (
            f"{len(many)} of {len(layers)} layers have more than {_MOST_VALUES} different weights: "
            "compile with --share, or share and train with 'zeroskip compress'"
        )
    if nnz == weights and weights:
        yield "no weight is 0: prune with 'zeroskip compress', or only activations are skipped"
