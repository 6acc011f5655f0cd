"""Read what is supported of a network that is not supported as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zeroskip.base.errors import CompileError, NodeError
from zeroskip.compiler.frontend.lower import lower
from zeroskip.compiler.frontend.program import Graph, Node, Ref
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["Pieces", "lower_pieces"]

_MOST = 100
"""Nodes that are left out; more would be no network that anybody could use."""


@dataclass(frozen=True)
class Pieces:
    """What is supported of a network.

    Parameters
    ----------
    graphs : a network, or parts of it that follow each other.
    refused : sentences on nodes that are of no supported kind, and on what was done about them;
        one for all of the same operator that are refused for the same reason.
    """

    graphs: tuple[FloatGraph, ...]
    refused: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the front end says of the network, once."""
        return tuple(dict.fromkeys(note for graph in self.graphs for note in graph.notes))


def lower_pieces(graph: Graph) -> Pieces:
    """Return what :func:`.lower` can read of a graph.

    A node that it refuses is left out where its result has the shape of what it reads; elsewhere
    the network is cut there.

    Raises
    ------
    CompileError
        If nothing is left, or the reason is no node's.
    """
    graphs: list[FloatGraph] = []
    refused: list[str] = []
    alike: dict[tuple[str, ...], list[str]] = {}
    first: NodeError | None = None
    todo = [graph]
    while todo:
        part = todo.pop(0)
        try:
            graphs.append(lower(part))
        except CompileError as error:
            if not isinstance(error, NodeError):
                if first is None:
                    raise
                refused.append(f"{error}; a part of the network is not explored")
                continue
            first = first or error
            if sum(map(len, alike.values())) == _MOST:
                raise
            rest, done = _without(part, error.node)
            why, _, _ = str(error).partition("; supported is")
            node = next((node for node in part.nodes if node.name == error.node), None)
            reason = why.partition(" is not supported")[2]
            kind = (error.node if node is None else node.op, reason, done)
            alike.setdefault(kind, []).append(f"{why}; {done}")
            todo = [*rest, *todo]
    if not graphs and first is not None:
        raise first
    return Pieces(tuple(graphs), (*map(_sentence, alike.values()), *refused))


def _sentence(of_nodes: Sequence[str]) -> str:
    """Return one sentence for nodes that are refused for the same reason."""
    first, count = of_nodes[0], len(of_nodes) - 1
    return f"{first}; so {'is' if count == 1 else 'are'} {count} more like it" if count else first


def _without(graph: Graph, name: str) -> tuple[list[Graph], str]:
    """Return what is left of a graph without a node, and what was done to it."""
    place = next((n for n, node in enumerate(graph.nodes) if node.name == name), None)
    if place is None:
        return [], "nothing behind it is explored"
    node = graph.nodes[place]
    refused = {key: why for key, why in graph.refused.items() if key != name}
    known = graph.values
    sources = [
        ref for ref in dict.fromkeys(node.refs()) if ref in known and ref not in graph.tensors
    ]
    made = node.outputs[0] if node.outputs else ""
    alike = [ref for ref in sources if made in known and known[ref].shape == known[made].shape]
    if alike and node.op != "aten.clone.default":
        through = Node(name, "aten.clone.default", {"self": Ref(alike[0])}, (made,), node.module)
        nodes = (*graph.nodes[:place], through, *graph.nodes[place + 1 :])
        return [replace(graph, nodes=nodes, refused=refused)], "explored as if it were not there"
    ahead, after = graph.nodes[:place], graph.nodes[place + 1 :]
    before = [
        replace(graph, nodes=ahead, outputs=(source,), refused=_of(refused, ahead))
        for source in sources[:1]
        if source not in graph.inputs
    ]
    others = _others(graph, after, made)
    if made not in known or made in graph.outputs or others:
        why = f", as it reads {others[0]!r} too" if others else ""
        return before, f"explored up to there, and not behind it{why}"
    behind = replace(graph, nodes=after, inputs=(made,), refused=_of(refused, after))
    return [*before, behind], "explored up to there and behind it, each by itself"


def _of(refused: dict[str, str], nodes: Sequence[Node]) -> dict[str, str]:
    names = {node.name for node in nodes}
    return {name: why for name, why in refused.items() if name in names}


def _others(graph: Graph, nodes: Sequence[Node], made: str) -> list[str]:
    """Return the activations, other than ``made``, that nodes read and none of them makes."""
    known = {made, *graph.tensors, *(name for node in nodes for name in node.outputs)}
    live = {name for node in graph.nodes for name in node.outputs} | set(graph.inputs)
    return [ref for node in nodes for ref in node.refs() if ref in live and ref not in known]
