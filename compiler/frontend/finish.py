"""Turn a graph under construction into a network."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.clipping import fold_relus
from zeroskip.compiler.frontend.draft import DraftGraph
from zeroskip.compiler.frontend.folding import fold_scalings, merge_copies
from zeroskip.compiler.frontend.moves import ZERO, Places
from zeroskip.compiler.frontend.select import grouped
from zeroskip.compiler.frontend.steps import Affine, Relu, layer_name
from zeroskip.compiler.frontend.values import axes_of
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatConcat,
    FloatGraph,
    FloatLinear,
    FloatNode,
    Shape,
)

__all__ = ["copy_input", "finish"]


def finish(
    draft: DraftGraph, output: str, places: Places, mover: str, sample_shape: tuple[int, ...]
) -> FloatGraph:
    """Return the nodes that an output depends on, with scalings and ReLUs in other nodes.

    Parameters
    ----------
    draft : is changed.
    output : name of the tensor that leaves.
    places : which of its elements the network gives, in the shape of an output.
    mover : what put them there.
    sample_shape : of the network's input.

    Raises
    ------
    CompileError
        If nothing is left that computes.
    """
    draft.output = output
    needed = {output}
    for node in reversed(draft.nodes.values()):
        if node.name in needed:
            needed.update(node.inputs)
    draft.nodes = {name: node for name, node in draft.nodes.items() if name in needed}
    for fold in (fold_scalings, fold_relus, merge_copies):
        fold(draft)
    axes = axes_of(draft.shapes[draft.output], places.ravel())
    if axes is None:
        _arrange_output(draft, places.ravel(), mover)
    if not draft.nodes:
        raise CompileError("the network has no layer: nothing in it computes")
    names = _numbered(draft)
    nodes = tuple(
        dataclasses.replace(
            node, name=names[node.name], inputs=tuple(names[name] for name in node.inputs)
        )
        for node in draft.nodes.values()
        if not isinstance(node, (Affine, Relu))
    )
    shape = draft.shapes[INPUT]
    given, output = None if sample_shape == shape else sample_shape, names[draft.output]
    nodes = copy_input(nodes, output, shape, flat=INPUT in draft.flat)
    return FloatGraph(
        shape,
        nodes,
        output,
        given,
        result_shape=places.shape,
        result_axes=None if axes in (None, (0, 1, 2)) else axes,
    )


def _arrange_output(draft: DraftGraph, places: Places, mover: str) -> None:
    """Put what stands at ``places`` of the output in order."""
    last = draft.nodes.get(draft.output)
    if not isinstance(last, FloatLinear) or draft.readers(last.name) != [""]:
        draft.output = draft.arrange(mover, draft.output, places)
        return
    # Rows in another order cost nothing.
    there = places != ZERO
    weight, bias = last.weight[places] * there[:, None], last.bias[places] * there
    draft.replace(dataclasses.replace(last, weight=weight, bias=bias))


def copy_input(
    nodes: Sequence[FloatNode], output: str, shape: Shape, *, flat: bool
) -> tuple[FloatNode, ...]:
    """Add a layer of ones that copies the input, where the input itself is among the outputs.

    A host, and a list of commands, read outputs where an array has left them.

    Parameters
    ----------
    nodes : of a network.
    output : name of the tensor that leaves.
    shape : of the input.
    flat : a Linear layer is to make it, else a convolution.
    """
    by_name = {node.name: node for node in nodes}
    members, readers = [output], list[FloatConcat]()
    while members:
        node = by_name.get(members.pop())
        if isinstance(node, FloatConcat):
            members += node.inputs
            readers += [node] if INPUT in node.inputs else []
    if not readers:
        return tuple(nodes)
    made = f"{readers[0].name}.{INPUT}"
    for node in readers:
        inputs = tuple(made if name == INPUT else name for name in node.inputs)
        by_name[node.name] = dataclasses.replace(node, inputs=inputs)
    if flat:
        ones = np.eye(math.prod(shape))
        copy = FloatLinear(made, (INPUT,), ones, np.zeros(len(ones)), relu=False)
    else:
        copy = grouped(made, INPUT, np.ones((shape[0], 1, 1, 1)), shape[0])
    return copy, *by_name.values()


def _numbered(draft: DraftGraph) -> dict[str, str]:
    """Return the names that layers have in the end, by those of the nodes.

    A module that makes several layers has its path in the names of all, with a number.
    """
    names = {INPUT: INPUT}
    for node in draft.nodes.values():
        name, count = layer_name(node), 1
        while name in names.values():
            count += 1
            name = f"{layer_name(node)}#{count}"
        names[node.name] = name
    return names
