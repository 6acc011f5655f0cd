"""Walk over a traced graph, and add what each of its nodes does to a graph under construction."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops, plane_ops
from zeroskip.compiler.frontend.finish import finish
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.layers import Layers
from zeroskip.compiler.frontend.moves import MOVES, ZERO, Places, in_order, moved
from zeroskip.compiler.frontend.program import Node, Ref
from zeroskip.compiler.frontend.traced import Reader
from zeroskip.compiler.frontend.values import View, axes_of, planes_of
from zeroskip.compiler.ir.graph import INPUT, FloatGraph

__all__ = ["Walk"]

_OF_PLANES = {*plane_ops.CONVS, *plane_ops.POOLS, *plane_ops.ADAPTIVE}
_OF_ELEMENTS = {*ops.SAME, *ops.RELUS, *ops.NORMS, *ops.SCALINGS, ops.NEGATION}


class Walk(Layers):
    """The state of one walk over a graph; see :class:`.Values`.

    Parameters
    ----------
    reader : of the graph.
    nodes : that the output depends on, in order.
    """

    def __init__(self, reader: Reader, nodes: Sequence[Node]) -> None:
        super().__init__(reader, flat=not any(_needs_planes(reader, node) for node in nodes))
        self._nodes = nodes

    def run(self) -> FloatGraph:
        """Return what the graph computes.

        Raises
        ------
        CompileError
            If a node is not supported; names it.
        """
        view = self._walked()
        shape = self._draft.shapes[view.tensor]
        node = view.mover or self._nodes[-1]
        if view.tensor not in self._draft.flat and axes_of(shape, view.places.ravel()) is None:
            output = self._reader.graph.outputs[0]
            self._tensor(node, output)
            view = self._values[output]
        return self._finished(view.tensor, view.places, node)

    def run_steps(self) -> tuple[FloatGraph, bool]:
        """Return what the graph computes, whose output is of (batch, steps, values).

        Returns
        -------
        A network that makes planes of which rows are steps, see :func:`.rows_as_steps`; and
        whether columns are instead.

        Raises
        ------
        CompileError
            If a node is not supported, or neither can be; names it.
        """
        view, output = self._walked(), self._reader.graph.outputs[0]
        node, columns = view.mover or self._nodes[-1], False
        if not self._are_steps(view, (1, 0, 2)):
            columns = self._are_steps(view, (2, 0, 1))
            if not columns:
                # Each value of a step as a channel.
                self._values[output] = View(view.tensor, view.places.T[:, :, None], node)
                self._tensor(node, output)
                view = self._values[output]
        whole = in_order(self._draft.shapes[view.tensor])
        found = self._finished(view.tensor, whole, node)
        return replace(found, result_shape=None), columns

    def _finished(self, tensor: str, places: Places, node: Node) -> FloatGraph:
        """Return the network whose output is ``places`` of a tensor, that ``node`` made."""
        found = finish(self._draft, tensor, places, node.layer, self._sample_shape)
        if self._sample_axes is None:
            return found
        return replace(found, sample_shape=self._sample_shape, sample_axes=self._sample_axes)

    def _are_steps(self, view: View, axes: tuple[int, int, int]) -> bool:
        """Say whether a view has steps of planes whose axes are in this order."""
        steps = in_order(self._draft.shapes[view.tensor]).transpose(axes)
        return np.array_equal(view.places, steps.reshape(len(steps), -1))

    def _walked(self) -> View:
        """Add what all nodes do; return the output."""
        self._refuse_attention()
        if any(_needs_planes(self._reader, node) for node in self._nodes):
            self._give_input_as_planes()
        for node in self._nodes:
            if not node.outputs:
                continue  # A check that export left in, or arithmetic on the batch size.
            acts = self._reader.activations(node)
            if not acts:
                self._reader.fold(node)
                continue
            if changed := sorted(acts - set(self._values)):
                raise ops.node_error(
                    node,
                    f"it reads {changed[0]}, which an operation in place may have changed, or "
                    "which is no result that the array has",
                )
            self._apply(node)
        output = self._reader.graph.outputs[0]
        if output not in self._values:
            raise CompileError(
                f"the output {output} is not a result of the network; supported is {ops.SUPPORTED}"
            )
        return self._values[output]

    def _give_input_as_planes(self) -> None:
        """Give the input the dimensions in which the first convolution or pooling reads it.

        What is done to each element before, and zeros around it, change nothing of these: of a
        network of TensorFlow, whose channels are last, ``(x / 255).permute(0, 3, 1, 2)``.
        """
        number, found = self._reader.number, dict(self._values)
        for node in self._nodes:
            read = [ref for ref in node.refs() if ref in found]
            if len(read) != 1 or not node.outputs:
                continue
            base, places = node.base, found[read[0]].places
            if base in _OF_PLANES:
                shape = planes_of(places.shape)
                there = np.argwhere(places != ZERO)
                if shape is None or not len(there):
                    return
                inner = tuple(map(slice, there.min(axis=0), there.max(axis=0) + 1))
                self._as_planes(INPUT, places[inner].reshape(planes_of(places[inner].shape)))
                return
            if base in _OF_ELEMENTS:
                made = [places]
            elif base in MOVES:
                try:
                    shapes = [self._reader.sample_shape(name, node) for name in node.outputs]
                    made = moved(node, places, shapes, number)
                except CompileError:
                    return  # The walk says why.
            else:
                continue
            found |= {
                name: View(INPUT, result) for name, result in zip(node.outputs, made, strict=False)
            }

    def _refuse_attention(self) -> None:
        """Refuse products of two activations, rather than what turns and cuts these before."""
        reached = set(self._reader.graph.inputs)
        for node in self._nodes:
            factors = reached.intersection(node.refs())
            if len(factors) > 1 and node.base in ops.ATTENTION:
                raise ops.node_error(node, hint("scaled_dot_product_attention"))
            if factors:
                reached.update(node.outputs)

    def _apply(self, node: Node) -> None:
        """Add what ``node`` does, and note what its results are made of."""
        base, source = node.base, self._first(node)
        number, view = self._reader.number, self._values[source]
        if base in ops.SAME:
            ops.check_eval(node, "train")
            made = [view]
        elif base in MOVES:
            shapes = [self._reader.sample_shape(output, node) for output in node.outputs]
            made = [
                View(view.tensor, places, node)
                for places in moved(node, view.places, shapes, number)
            ]
        elif base in ops.RELUS:
            made = [self._clamp(node, source)]
        elif base in ops.NORMS:
            numbers = ops.batch_norm(node, number, view.places.shape)
            made = [self._affine(node, source, numbers)]
        elif base in ops.SCALINGS or base == ops.NEGATION:
            made = [self._scaling(node)]
        elif base in ops.PRODUCTS:
            made = [self._product(node, source)]
        elif base in plane_ops.CONVS:
            made = [self._convolution(node, source)]
        elif base in plane_ops.POOLS:
            made = [self._pool(node, source)]
        elif base in plane_ops.ADAPTIVE:
            made = [self._adaptive(node, source)]
        elif base in ops.REDUCTIONS:
            made = [self._reduction(node, source)]
        elif base in plane_ops.CONCATS:
            made = [self._concat(node)]
        else:
            raise ops.node_error(node, hint(base))
        self._check_result(node, made[0])
        for output, result in zip(node.outputs, made, strict=False):
            self._remember(node, source, output, result)


def _needs_planes(reader: Reader, node: Node) -> bool:
    """Say whether ``node`` is a convolution or pooling of feature maps."""
    base, source = node.base, node.args.get("self")
    if base in ops.REDUCTIONS and isinstance(source, Ref):
        value = reader.graph.values.get(source.name)
        return value is not None and len(value.shape) in (3, 4)
    return base in plane_ops.CONVS or base in plane_ops.POOLS or base in plane_ops.ADAPTIVE
