"""Networks and images that tests put together by hand, for one array each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.eie.place import Placement
from zeroskip.compiler.eie.program import build
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.graph import QuantConv, QuantGraph, QuantLinear
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["eie_image", "follow", "scnn_image"]


def follow(
    graph: QuantGraph[QuantConv], linear: QuantGraph[QuantLinear]
) -> QuantGraph[QuantConv | QuantLinear]:
    """Put Linear layers behind convolutions; they read all that leaves those."""
    shapes = [graph.shape(name) for name in graph.outputs]
    first, *rest = linear.layers
    depth = sum(shape[0] for shape in shapes)
    first = replace(first, inputs=graph.outputs, in_shape=(depth, *shapes[0][1:]))
    return QuantGraph(graph.input_shape, (*graph.layers, first, *rest), linear.outputs)


def eie_image(
    name: str,
    graph: QuantGraph[QuantLinear],
    params: EieParams,
    placement: Placement,
    report: Mapping[str, Any] | None = None,
) -> Image:
    """Make an image of Linear layers, with elements where a placement says."""
    part = EiePart(params, graph, placement, build(graph, placement, params))
    return Image(name, graph, (part,), dict(report or {}))


def scnn_image(
    name: str, graph: QuantGraph[QuantConv], params: ScnnParams, runs: tuple[ScnnRun, ...]
) -> Image:
    """Make an image of convolutions as these runs."""
    return Image(name, graph, (ScnnPart(params, graph, runs),))
