"""Turn a traced graph into the graph of a network."""

from dataclasses import replace

from zeroskip.base.errors import CompileError, NodeError
from zeroskip.compiler.frontend import ops
from zeroskip.compiler.frontend.ends import without_last
from zeroskip.compiler.frontend.over_steps import batch_before_steps
from zeroskip.compiler.frontend.program import Graph
from zeroskip.compiler.frontend.recurrent import has_cells, lower_recurrent
from zeroskip.compiler.frontend.relu_sums import as_relu_sums
from zeroskip.compiler.frontend.traced import Reader, live_nodes
from zeroskip.compiler.frontend.unrolled import with_cells
from zeroskip.compiler.frontend.walk import Walk
from zeroskip.compiler.ir.graph import FloatGraph
from zeroskip.compiler.ir.verify import verify_graph

__all__ = ["lower"]


def lower(graph: Graph) -> FloatGraph:
    """Return what ``graph`` computes, in eval mode.

    Raises
    ------
    CompileError
        If it is not made of supported operations; names the node, its operator and what is
        supported.
    """
    graph = without_last(with_cells(graph))
    for node, why in graph.refused.items():
        raise NodeError(node, why)
    for what, names in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(names) != 1:
            raise CompileError(
                f"the network has {len(names)} {what} ({', '.join(names)}), and supported is one: "
                f"let it {'take' if what == 'inputs' else 'return'} one of them"
            )
    if graph.inputs[0] not in graph.values:
        raise CompileError(f"the input {graph.inputs[0]} is not a tensor")
    if graph.mutated:
        raise CompileError(
            f"the network changes {graph.mutated[0]!r} when it runs, as in training mode; "
            "call .eval() before torch.export.export"
        )
    nodes = live_nodes(graph)
    if not any(graph.inputs[0] in node.refs() for node in nodes):
        raise CompileError(
            f"the network does not use its input {graph.inputs[0]!r}; supported is {ops.SUPPORTED}"
        )
    if has_cells(nodes):
        graph = batch_before_steps(graph)
        made = lower_recurrent(graph, live_nodes(graph))
    else:
        graph = as_relu_sums(graph)
        made = Walk(Reader(graph), live_nodes(graph)).run()
    made = replace(made, notes=graph.notes)
    verify_graph(made, "the front end")
    return made
