"""Turn a traced graph into the graph of a network."""

import difflib
from dataclasses import replace

from zeroskip.base.errors import CompileError, InputError, NodeError
from zeroskip.compiler.frontend.ends import without_last
from zeroskip.compiler.frontend.outputs import side_by_side
from zeroskip.compiler.frontend.over_steps import batch_before_steps
from zeroskip.compiler.frontend.program import Graph
from zeroskip.compiler.frontend.recurrent import has_cells, lower_recurrent
from zeroskip.compiler.frontend.relu_sums import as_relu_sums
from zeroskip.compiler.frontend.traced import Reader, live_nodes
from zeroskip.compiler.frontend.unrolled import with_cells
from zeroskip.compiler.frontend.walk import Walk
from zeroskip.compiler.ir.graph import FloatGraph
from zeroskip.compiler.ir.verify import verify_graph

__all__ = ["lower", "with_output"]

_CHOOSE = (
    "of a file, choose one with --output-name (output_name of zs.compile_file and zs.explore); or "
    "let the network return one; only without LSTM and GRU, and of tensors whose first dimension "
    "is the batch, may there be more"
)
_JOIN = (
    "join them to one that the network splits (x[:, :n] and x[:, n:] in PyTorch, Split in ONNX), "
    "or make all but one constants"
)


def with_output(graph: Graph, name: str) -> Graph:
    """Return what of a graph makes one of its tensors, an output or any before.

    Raises
    ------
    InputError
        If no node makes a tensor of that name.
    """
    made = [output for node in graph.nodes for output in node.outputs if output]
    if name not in made:
        near = difflib.get_close_matches(name, made, n=1)
        raise InputError(
            f"no node of the network makes {name!r}, which was named as its output: its outputs "
            f"are {', '.join(graph.outputs)}{f'; did you mean {near[0]}' if near else ''}"
        )
    cut = replace(graph, outputs=(name,))
    nodes = live_nodes(cut)
    read = {ref for node in nodes for ref in node.refs()}
    kept = {node.name for node in nodes}
    return replace(
        cut,
        inputs=tuple(one for one in graph.inputs if one in read),
        nodes=tuple(nodes),
        refused={key: why for key, why in graph.refused.items() if key in kept},
    )


def lower(graph: Graph) -> FloatGraph:
    """Return what ``graph`` computes, in eval mode.

    Raises
    ------
    CompileError
        If it is not made of supported operations; names the node, its operator and what is
        supported.
    """
    graph = without_last(with_cells(graph))
    given = graph.outputs
    if not has_cells(live_nodes(graph)):
        graph = side_by_side(graph)
    try:
        return _lowered(graph)
    except NodeError as error:
        if graph.outputs == given:
            raise
        raise NodeError(
            error.node, f"{error}; of a file, --output-name takes one of its outputs alone"
        ) from error


def _lowered(graph: Graph) -> FloatGraph:
    """Return what a graph computes that has no softmax at its end, and one output."""
    for what, names, way in (("inputs", graph.inputs, _JOIN), ("outputs", graph.outputs, _CHOOSE)):
        if len(names) != 1:
            raise CompileError(
                f"the network has {len(names)} {what} ({', '.join(names)}), and supported is one: "
                f"{way}"
            )
    for node, why in graph.refused.items():
        raise NodeError(node, why)
    if graph.inputs[0] not in graph.values:
        raise CompileError(f"the input {graph.inputs[0]} is not a tensor")
    if graph.mutated:
        raise CompileError(
            f"the network changes {graph.mutated[0]!r} when it runs, as in training mode; "
            "call .eval() before torch.export.export"
        )
    nodes = live_nodes(graph)
    if graph.outputs == graph.inputs:
        raise CompileError(
            f"the network returns its input {graph.inputs[0]!r} as it is: nothing in it computes"
        )
    if not any(graph.inputs[0] in node.refs() for node in nodes):
        raise CompileError(
            f"the network does not use its input {graph.inputs[0]!r}: its output "
            f"{graph.outputs[0]!r} is the same whatever is given"
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
