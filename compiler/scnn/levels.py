"""Group consecutive layers whose tensors stay on the array, without the host in between."""

from collections.abc import Iterator
from dataclasses import dataclass

from zeroskip.compiler.ir.graph import QuantGraph

__all__ = ["Level", "levels_from"]


@dataclass(frozen=True)
class Level:
    """Layers that read the same activation RAM, and together fill the other.

    Parameters
    ----------
    layers : their numbers, in order.
    source : tensors that are there, in the order of the directory.
    """

    layers: tuple[int, ...]
    source: tuple[str, ...]


def levels_from(graph: QuantGraph, first: int) -> Iterator[tuple[Level, ...]]:
    """Give ever longer sequences of levels that begin with layer ``first``.

    In a sequence, each level reads what the level before has made, and nothing else does: what
    others need as well must go to the host, which sees only what the last level makes.
    """
    layers = graph.layers
    readers: dict[str, list[int]] = {}
    for number, layer in enumerate(layers):
        for name in layer.inputs:
            readers.setdefault(name, []).append(number)
    levels: list[Level] = []
    source = tuple(dict.fromkeys(layers[first].inputs))
    number = first
    while True:
        here: list[int] = []
        while (
            number < len(layers)
            and set(layers[number].inputs) <= set(source)
            and layers[number].stride == layers[first if not here else here[0]].stride
        ):
            here.append(number)
            number += 1
        if not here or (levels and {n for name in source for n in readers[name]} != set(here)):
            return
        levels.append(Level(tuple(here), source))
        yield tuple(levels)
        source = tuple(layers[n].name for n in here)
        if any(name in graph.outputs or name not in readers for name in source):
            return
        first = number
