"""Cut a network into parts, each for one array, in the order in which they run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zeroskip.compiler.engine import engine
from zeroskip.compiler.ir.graph import INPUT, QuantGraph, QuantLayer

__all__ = ["cut", "sub_graph"]


@dataclass
class _Draft:
    """A part under construction."""

    engine: str
    layers: list[QuantLayer] = field(default_factory=list)


def cut(
    graph: QuantGraph[QuantLayer], engine_of: Mapping[str, str] | Callable[[str], str]
) -> list[tuple[str, QuantGraph[Any]]]:
    """Cut a network into parts: names of engines, and what each computes.

    A layer goes to the last part of its engine, if all that it reads is made there or before and
    the engine can have both in one part; else it begins a part.

    Parameters
    ----------
    graph : the network.
    engine_of : by layer, its engine.
    """
    find = engine_of if callable(engine_of) else engine_of.__getitem__
    drafts: list[_Draft] = []
    made: dict[str, int] = {}
    for layer in graph.layers:
        name = find(layer.name)
        ready = max((made.get(tensor, -1) for tensor in layer.inputs), default=-1)
        place = next((at for at in reversed(range(len(drafts))) if drafts[at].engine == name), -1)
        joined = place >= max(ready, 0) and engine(name).joins(
            graph, drafts[place].layers[-1], layer
        )
        if not joined:
            place = len(drafts)
            drafts.append(_Draft(name))
        drafts[place].layers.append(layer)
        made[layer.name] = place
    return [(one.engine, sub_graph(graph, [layer.name for layer in one.layers])) for one in drafts]


def sub_graph(graph: QuantGraph[QuantLayer], names: list[str]) -> QuantGraph[Any]:
    """Return the part of a network that some layers are.

    Its sources are tensors of other layers that it reads; its outputs, tensors that others read or
    that leave the network, in the network's order where they leave together.
    """
    own = set(names)
    layers = tuple(layer for layer in graph.layers if layer.name in own)
    read = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in own)
    others = [layer.inputs for layer in graph.layers if layer.name not in own]
    leaving = [name for inputs in [*others, graph.outputs] for name in inputs if name in own]
    sources = tuple((name, graph.shape(name)) for name in read if name != INPUT)
    return QuantGraph(
        graph.input_shape, layers, tuple(dict.fromkeys(leaving)), graph.sample_shape, sources
    )
