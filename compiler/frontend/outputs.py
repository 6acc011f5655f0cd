"""Put the outputs of a network side by side: the arrays leave one tensor."""

import math
from collections.abc import Sequence
from dataclasses import replace

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Value

__all__ = ["side_by_side"]


def side_by_side(graph: Graph) -> Graph:
    """Return a graph of one output, in which those of ``graph`` stand one behind the other.

    Planes of one size are put together as channels, be these first or last. Other outputs are
    flattened: heads of 4 and of 2 values become one output of 6. A note says what stands where. A
    graph of one output, and one of whose outputs the shapes are not known, are returned as they
    are.

    Raises
    ------
    CompileError
        If one of several outputs does not depend on the input.
    """
    shapes = [graph.values[name].shape for name in graph.outputs if name in graph.values]
    samples = [tuple(size for size in shape[1:] if size is not None) for shape in shapes if shape]
    if len(graph.outputs) == 1 or len(samples) < len(graph.outputs):
        return graph
    _check_all_depend(graph)
    dim = _channels(samples)
    counts = [math.prod(sizes) if dim is None else sizes[dim - 1] for sizes in samples]
    taken = {*graph.values, *graph.tensors, *(node.name for node in graph.nodes)}
    made = _unused("outputs", taken)
    nodes, values, parts = list(graph.nodes), dict(graph.values), list(graph.outputs)
    if dim is None:
        for number, (name, count) in enumerate(zip(graph.outputs, counts, strict=True)):
            parts[number] = flat = _unused(f"{made}.{number}", taken)
            args = {"self": Ref(name), "start_dim": 1, "end_dim": -1}
            nodes.append(Node(flat, "aten.flatten.using_ints", args, (flat,)))
            values[flat] = Value((shapes[0][0], count), True)
    args = {"tensors": [Ref(part) for part in parts], "dim": dim or 1}
    nodes.append(Node(made, "aten.cat.default", args, (made,)))
    sizes = [sum(counts)] if dim is None else [*samples[0]]
    sizes[0 if dim is None else dim - 1] = sum(counts)
    values[made] = Value((shapes[0][0], *sizes), True)
    note = _note(graph.outputs, counts, "values" if dim is None else "channels")
    return replace(
        graph, outputs=(made,), nodes=tuple(nodes), values=values, notes=(*graph.notes, note)
    )


def _channels(samples: Sequence[tuple[int, ...]]) -> int | None:
    """Return the dimension of channels, if samples are planes that differ in nothing else."""
    ranks = {len(sizes) for sizes in samples}
    if len(ranks) > 1 or min(ranks) < 2:
        return None
    if len({sizes[1:] for sizes in samples}) == 1:
        return 1
    return max(ranks) if len({sizes[:-1] for sizes in samples}) == 1 else None


def _check_all_depend(graph: Graph) -> None:
    """Raise if an output is the same whatever is given."""
    reached = set(graph.inputs)
    for node in graph.nodes:
        if reached.intersection(node.refs()):
            reached.update(node.outputs)
    for name in graph.outputs:
        if name not in reached:
            raise CompileError(
                f"the network's output {name!r} is the same whatever is given: let the network "
                "return the others only"
            )


def _unused(name: str, taken: set[str]) -> str:
    """Return a name like ``name`` that nothing in a graph has."""
    while name in taken:
        name += "_"
    return name


def _note(names: Sequence[str], counts: Sequence[int], what: str) -> str:
    """Return the sentence that says where each output stands."""
    starts = [sum(counts[:number]) for number in range(len(counts))]
    places = ", ".join(
        f"{name!r} is {what} {start} to {start + count - 1}"
        for name, start, count in zip(names, starts, counts, strict=True)
    )
    return f"the network's {len(names)} outputs stand side by side in one: {places}"
