"""Leave out what a network does at its end and the arrays cannot: a softmax, or a sigmoid."""

from dataclasses import replace

from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.moves import MOVES
from zeroskip.compiler.frontend.program import Graph, Node, Ref

__all__ = ["without_last"]

_LARGEST = "it does not change which output is the largest"
_HALF = "it is above 0.5 where its argument, the output now, is above 0"
_LAST = {
    "softmax": ("Softmax", _LARGEST),
    "logsoftmax": ("LogSoftmax", _LARGEST),
    "sigmoid": ("Sigmoid", _HALF),
}
"""Operators that are left out at the end: PyTorch's name in small letters, ONNX's name, and why
leaving it out changes no decision."""


def without_last(graph: Graph) -> Graph:
    """Return a graph whose outputs are those before a softmax or a sigmoid, with notes of these.

    What only moves elements may stand behind them.
    """
    makers = {name: node for node in graph.nodes for name in node.outputs}
    # Notes by the node's output, since names of nodes need not be unique.
    left_out: dict[str, str] = {}
    refused = dict(graph.refused)
    for output in graph.outputs:
        name = output
        while (node := makers.get(name)) is not None and node.refs():
            kind = _kind(node)
            if kind in _LAST:
                what, why = _LAST[kind]
                refused.pop(node.name, None)
                left_out[node.outputs[0]] = f"{what} {node.name!r} at the end is left out: {why}"
            elif node.base not in ops.SAME | MOVES:
                break
            name = node.refs()[0]
    return replace(
        graph,
        nodes=tuple(
            _same(node) if left_out.keys() & {*node.outputs} else node for node in graph.nodes
        ),
        notes=(*left_out.values(), *graph.notes),
        refused=refused,
    )


def _kind(node: Node) -> str:
    """Return a key of :data:`_LAST`: torch has log_softmax, _log_softmax and sigmoid_."""
    return node.base.lower().replace("_", "")


def _same(node: Node) -> Node:
    """Return a node that gives its input as it is."""
    source = Ref(node.refs()[0])
    return Node(node.name, "aten.clone.default", {"self": source}, node.outputs[:1], node.module)
