"""Layers that a recurrent network applies to each step by itself, as convolutions to frames."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from zeroskip.compiler.frontend.program import Graph, Node
from zeroskip.compiler.frontend.traced import Reader, live_nodes
from zeroskip.compiler.frontend.walk import Walk
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["SHAPES", "Frames", "find_frames"]

SHAPES = ("reshape", "view", "_unsafe_view", "flatten", "squeeze")
"""Operators that give a tensor other dimensions, and leave its elements in their order."""


@dataclass(frozen=True)
class Frames:
    """What is computed of each step before the first recurrent layer.

    Parameters
    ----------
    network : of a step.
    output : value of the traced graph that is its outputs, (batch, steps, values).
    made : values that are made for it.
    whole : it is of whole sequences instead, see :attr:`.FloatGraph.whole`.
    """

    network: FloatGraph
    output: str
    made: frozenset[str]
    whole: bool = False


def find_frames(graph: Graph, nodes: Sequence[Node]) -> Frames | None:
    """Find layers between a tensor of (batch * steps, ...) and one of (batch, steps, values).

    Parameters
    ----------
    graph, nodes : as for :func:`.lower_recurrent`.

    Returns
    -------
    None if the input's batch and steps are no single dimension anywhere.

    Raises
    ------
    CompileError
        If a layer between both is not supported; names it.
    """
    source = graph.inputs[0]
    shape = graph.values[source].shape
    first = next(
        (
            number
            for number, node in enumerate(nodes)
            if node.base in SHAPES
            and node.refs()[:1] == [source]
            and len(shape) > 2
            and graph.values[node.outputs[0]].shape[1:] == shape[2:]
        ),
        None,
    )
    if first is None:
        return None
    start = nodes[first].outputs[0]
    reached = {start}
    for number, node in enumerate(nodes[first + 1 :], first + 1):
        if reached.isdisjoint(node.refs()):
            continue
        reached.update(node.outputs)
        after = graph.values[node.outputs[0]].shape
        if node.base in SHAPES and len(after) == 3 and after[:2] == shape[:2]:
            last = node.refs()[0]
            part = dataclasses.replace(
                graph,
                inputs=(start,),
                outputs=(last,),
                nodes=(*nodes[:first], *nodes[first + 1 : number]),
            )
            network = Walk(Reader(part), live_nodes(part)).run()
            return Frames(network, node.outputs[0], frozenset(reached))
    return None
