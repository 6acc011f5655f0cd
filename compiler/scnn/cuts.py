"""Cut a network into runs so that all of them, and what memory keeps in between, take least."""

from collections.abc import Callable, Sequence

from zeroskip.compiler.ir.graph import QuantGraph

__all__ = ["best_cuts", "joints"]


def joints(graph: QuantGraph) -> list[int]:
    """List the layers before which no tensors are needed but those that the layer reads.

    There a run may end without more than one layer's inputs going through memory.
    """
    layers = graph.layers
    found = [0]
    for number in range(1, len(layers)):
        made = {layer.name for layer in layers[:number]} | set(graph.given)
        needed = {name for layer in layers[number:] for name in layer.inputs} & made
        if needed <= set(layers[number].inputs):
            found.append(number)
    return [*found, len(layers)]


def best_cuts(
    points: Sequence[int], cost: Callable[[int, int], float | None]
) -> list[tuple[int, int]]:
    """Choose where to cut, of points in ascending order, so that the sum of costs is least.

    Parameters
    ----------
    points : the first must, and the last does, end something.
    cost : of what lies between two points; None: that is not possible, and nor is more than it.
    """
    best: list[tuple[float, int]] = [(0.0, 0)] + [(float("inf"), 0)] * (len(points) - 1)
    for first in range(len(points) - 1):
        for last in range(first + 1, len(points)):
            there = cost(points[first], points[last])
            if there is None:
                break
            best[last] = min(best[last], (best[first][0] + there, first))
    found: list[tuple[int, int]] = []
    last = len(points) - 1
    while last:
        found.insert(0, (points[best[last][1]], points[last]))
        last = best[last][1]
    return found
