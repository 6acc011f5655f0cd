"""Cut a network into parts, each for one array, in the order in which they run."""

from collections.abc import Callable
from typing import Any

from zeroskip.compiler.engine import engine
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLayer
from zeroskip.compiler.ir.sequences import row_shape

__all__ = ["cut", "sub_graph"]


def cut(
    graph: QuantGraph[QuantLayer], engine_of: Callable[[QuantLayer], str]
) -> list[tuple[str, QuantGraph[Any]]]:
    """Cut a network into parts: names of engines, and what each computes.

    A layer goes to the last part of its engine, if all that it reads is made there or before and
    the engine can have both in one part; else it begins a part.

    Parameters
    ----------
    graph : the network.
    engine_of : returns a layer's engine.
    """
    drafts: list[tuple[str, list[QuantLayer]]] = []
    made: dict[str, int] = {}
    for layer in graph.layers:
        name = engine_of(layer)
        ready = max((made.get(tensor, -1) for tensor in layer.inputs), default=-1)
        place = max((n for n, (owner, _) in enumerate(drafts) if owner == name), default=-1)
        joined = place >= max(ready, 0) and engine(name).joins(graph, drafts[place][1][-1], layer)
        if not joined:
            place = len(drafts)
            drafts.append((name, []))
        drafts[place][1].append(layer)
        made[layer.name] = place
    return [(name, sub_graph(graph, [layer.name for layer in part])) for name, part in drafts]


def sub_graph(graph: QuantGraph[QuantLayer], names: list[str]) -> QuantGraph[Any]:
    """Return the part of a network that some layers are.

    Its sources are tensors of other layers that it reads; its outputs, tensors that others read or
    that leave the network, in the network's order where they leave together. Of a recurrent
    network, others read those of every step; what computes whole sequences is a part of no steps.
    """
    own = set(names)
    layers = tuple(layer for layer in graph.layers if layer.name in own)
    read = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in own)
    others = [layer.inputs for layer in graph.layers if layer.name not in own]
    passed = [name for inputs in others for name in inputs if name in own]
    leaving = [*passed, *(name for name in graph.outputs if name in own)]
    whole = not graph.of_sequences.isdisjoint(own)
    shapes = {name: graph.shape(name) for name in read}
    if not whole:
        shapes |= {name: row_shape(shapes[name]) for name in graph.of_sequences.intersection(read)}
    return QuantGraph(
        graph.input_shape,
        layers,
        tuple(dict.fromkeys(leaving)),
        graph.sample_shape,
        tuple((name, shape) for name, shape in shapes.items() if name != INPUT),
        None if whole else graph.steps,
        not whole and (graph.every_step or bool(passed)),
        graph.lengths,
        whole=whole,
    )
