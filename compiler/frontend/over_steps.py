"""Convolutions over several steps of a sequence, before the first recurrent layer."""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import plane_ops
from zeroskip.compiler.frontend.frames import Frames
from zeroskip.compiler.frontend.moves import in_order
from zeroskip.compiler.frontend.program import Graph, Node, Ref, Value
from zeroskip.compiler.frontend.traced import Reader, live_nodes
from zeroskip.compiler.frontend.values import axes_of
from zeroskip.compiler.frontend.walk import Walk
from zeroskip.compiler.ir.graph import (
    FloatAdd,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatNode,
    FloatPool,
)

__all__ = ["batch_before_steps", "find_over_steps"]

_PLANES = {*plane_ops.CONVS, *plane_ops.POOLS, *plane_ops.ADAPTIVE}


def batch_before_steps(graph: Graph) -> Graph:
    """Write a permutation that puts steps before the batch, ``(2, 0, 1)``, as two.

    The first leaves the batch where it is, so that what is before it is of whole sequences, and
    the second swaps batch and steps, as ``transpose(0, 1)`` does.
    """
    nodes, values = list[Node](), dict(graph.values)
    for node in graph.nodes:
        if node.base != "permute" or list(node.args["dims"]) != [2, 0, 1]:
            nodes.append(node)
            continue
        name, (output,) = f"{node.name}.batch_first", node.outputs
        steps, batch, rest = values[output].shape
        values[name] = Value((batch, steps, rest), values[output].floating)
        source = next(key for key, arg in node.args.items() if isinstance(arg, Ref))
        inner, outer = {"dims": [0, 2, 1]}, {source: Ref(name), "dims": [1, 0, 2]}
        nodes += [
            dataclasses.replace(node, name=name, args=node.args | inner, outputs=(name,)),
            dataclasses.replace(node, args=node.args | outer),
        ]
    return dataclasses.replace(graph, nodes=tuple(nodes), values=values)


def find_over_steps(
    graph: Graph, nodes: Sequence[Node], cells: Collection[str], matrices: Collection[str]
) -> Frames | None:
    """Find layers between the input and a tensor of (batch, steps, values).

    Parameters
    ----------
    graph, nodes : as for :func:`.lower_recurrent`.
    cells : operators of recurrent layers, of which the first ends what is of whole sequences.
    matrices : operators that take a vector, of which the first that convolutions lead to does, too.

    Returns
    -------
    None if no convolution reads what depends on the input.

    Raises
    ------
    CompileError
        If a layer between both is not supported, or what it makes is not of steps; names it.
    """
    batch = graph.values[graph.inputs[0]].shape[:1]
    reached, convolved = {graph.inputs[0]}, set[str]()
    last: int | None = None
    for number, node in enumerate(nodes):
        if reached.isdisjoint(node.refs()):
            continue
        behind = not convolved.isdisjoint(node.refs())
        if node.base in cells or (behind and node.base in matrices):
            break
        reached.update(node.outputs)
        if behind or node.base in _PLANES:
            convolved.update(node.outputs)
            shape = graph.values[node.outputs[0]].shape
            last = number if len(shape) == 3 and shape[:1] == batch else last
    if last is None:
        return None
    output = nodes[last].outputs[0]
    part = dataclasses.replace(graph, outputs=(output,), nodes=tuple(nodes[: last + 1]))
    live = live_nodes(part)
    network, columns = Walk(Reader(part), live).run_steps()
    # What is made of parameters alone may be read behind, too.
    made = frozenset(name for node in live for name in node.outputs if name in reached)
    whole = [node for node in network.nodes if not isinstance(node, _Planes)]
    if whole:
        raise CompileError(
            f"layer {whole[0].name!r} takes all steps of a sequence at once, before the "
            "recurrent layers, and is no convolution; let it take single steps behind them"
        )
    return Frames(_turned(network) if columns else network, output, made, whole=True)


_Planes = FloatConv | FloatPool | FloatConcat | FloatAdd


def _turned(network: FloatGraph) -> FloatGraph:
    """Return a network whose rows are the columns of another.

    Raises
    ------
    CompileError
        If no order of the dimensions of a sample gives its input.
    """
    channels, height, width = network.input_shape
    sample = network.sample_shape or network.input_shape
    order = in_order(sample).transpose(network.sample_axes or tuple(range(len(sample))))
    order = order.reshape(network.input_shape).swapaxes(1, 2).ravel()
    if (axes := axes_of(sample, order)) is None:
        raise CompileError(
            f"inputs of shape {sample} cannot be planes whose rows are steps: let convolutions "
            "take (batch, channels, steps, values)"
        )
    return dataclasses.replace(
        network,
        input_shape=(channels, width, height),
        nodes=tuple(map(_turned_node, network.nodes)),
        sample_shape=sample,
        sample_axes=None if axes == tuple(range(len(sample))) else axes,
    )


def _turned_node(node: FloatNode) -> FloatNode:
    sizes: dict[str, Any] = {
        name: value[::-1]
        for name in ("kernel", "stride", "padding", "after", "dilation", "out_size")
        if (value := getattr(node, name, None)) is not None
    }
    if isinstance(node, FloatConv):
        return dataclasses.replace(node, weight=node.weight.swapaxes(2, 3), **sizes)
    return dataclasses.replace(node, **sizes)
