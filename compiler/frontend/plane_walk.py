"""Turn the part of a traced graph that works on feature maps into nodes of a graph."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend import ops as ops
from zeroskip.compiler.frontend import plane_ops as cnn_ops
from zeroskip.compiler.frontend.hints import hint
from zeroskip.compiler.frontend.layers import Layers
from zeroskip.compiler.frontend.moves import MOVES, Places, in_order, moved
from zeroskip.compiler.frontend.program import Node, Ref
from zeroskip.compiler.frontend.traced import Reader
from zeroskip.compiler.frontend.values import Held, Shape
from zeroskip.compiler.ir.graph import FloatGraph

__all__ = ["CnnLowering", "Leaving", "has_feature_maps"]


@dataclass(frozen=True, eq=False)
class Leaving:
    """What the Linear layers after the feature maps read.

    Parameters
    ----------
    names : values that have its elements, and which.
    shape : (C, H, W) of the tensor.
    last : name of the node that made it.
    tensor : its name.
    """

    names: dict[str, Places]
    shape: Shape
    last: str
    tensor: str


def has_feature_maps(reader: Reader, nodes: Sequence[Node]) -> bool:
    """Say whether ``nodes`` have convolutions or pooling of feature maps in them."""
    for node in nodes:
        base = ops.base_name(node.op)
        source = node.args.get("self")
        if base in cnn_ops.CONVS or base in cnn_ops.POOLS or base in cnn_ops.ADAPTIVE:
            return True
        if base in ops.REDUCTIONS and isinstance(source, Ref):
            value = reader.graph.values.get(source.name)
            if value is not None and len(value.shape) in (3, 4):
                return True
    return False


class CnnLowering(Layers):
    """The state of one walk over a graph; see :class:`.Values`."""

    def __init__(self, reader: Reader, shape: tuple[int, ...]) -> None:
        super().__init__(reader, shape)
        self._last = reader.graph.inputs[0]

    def run(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Walk until a node that works on a vector, such as a Linear; return it and the rest."""
        for at, node in enumerate(nodes):
            if not node.outputs:
                continue  # A check that export left in, or arithmetic on the batch size.
            acts = self._reader.activations(node)
            if not acts:
                self._reader.fold(node)
                continue
            if self._begins_chain(node, acts):
                return nodes[at:]
            if changed := sorted(acts - set(self._values)):
                raise ops.node_error(
                    node,
                    f"it reads {changed[0]}, which an operation in place may have changed, or "
                    "which is no result that the array has",
                )
            self._apply(node)
            self._last = node.name
        output = self._reader.graph.outputs[0]
        if output not in self._values:
            raise CompileError(
                f"the output {output} is not a result of the network; supported is {ops.SUPPORTED}"
            )
        held = self._values[output]
        whole = in_order(self._planes.shape(held.tensor)).ravel()
        if not np.array_equal(held.places.ravel(), whole):
            node = held.mover or nodes[-1]
            held = Held(self._tensor(node, output)[0], held.places)
        self._output = held.tensor
        return ()

    def leaving(self, node: Node) -> Leaving:
        """Take what ``node`` reads for the output."""
        acts = sorted(self._reader.activations(node))
        if len(acts) > 1 or acts[0] not in self._values:
            raise ops.node_error(
                node,
                f"it reads {' and '.join(acts)}, but each step after the convolutions may use only "
                "the result before it",
            )
        held = self._values[acts[0]]
        if np.unique(held.places).size < held.places.size:
            held = self._copied(held)
            self._values[acts[0]] = held
        self._output = held.tensor
        names = {
            name: one.places for name, one in self._values.items() if one.tensor == held.tensor
        }
        return Leaving(names, self._planes.shape(held.tensor), self._last, held.tensor)

    def made_of(self, tensor: str) -> tuple[str, NDArray[np.float64]] | None:
        """Return what a tensor whose elements are copies or averages is made of.

        Returns
        -------
        Name of the other tensor, and the weights (K, 1, H, W) of its channels by themselves;
        None for a tensor of another kind.
        """
        return self._made_of.get(tensor)

    def finish(self, output: str | None = None) -> FloatGraph:
        """Return the nodes that make ``output``; unless given, of what leaves.

        See :meth:`.Planes.finish`.
        """
        made = self._planes.finish(self._output if output is None else output)
        same = self._sample_shape == made.input_shape
        return made if same else dataclasses.replace(made, sample_shape=self._sample_shape)

    def _begins_chain(self, node: Node, acts: set[str]) -> bool:
        """Say whether ``node`` is to be part of the chain of Linear layers."""
        base = ops.base_name(node.op)
        if base in ops.PRODUCTS:
            return True
        # BatchNorm1d and the like, after Flatten, become part of the Linear layer that follows.
        flat = any(len(self._reader.graph.values[name].shape) == 2 for name in acts)
        return flat and len(acts) == 1 and base in ops.NORMS | set(ops.SCALINGS)

    def _apply(self, node: Node) -> None:
        """Add what ``node`` does, and note what its results are made of."""
        base, source = ops.base_name(node.op), self._first(node)
        number, name, held = self._reader.number, node.module or node.name, self._values[source]
        if base in ops.SAME:
            ops.check_eval(node, "train")
            made = [held]
        elif base in MOVES:
            shapes = [self._reader.sample_shape(one, node) for one in node.outputs]
            made = [
                Held(held.tensor, places, node)
                for places in moved(node, base, held.places, shapes, number)
            ]
        elif base in ops.RELUS:
            made = [self._clamp(node, name, held)]
        elif base in ops.NORMS:
            numbers = ops.batch_norm(node, number, held.places.shape)
            made = [self._affine(node, source, numbers)]
        elif base in ops.SCALINGS:
            made = [self._scaling(node, base)]
        elif base in cnn_ops.CONVS:
            made = [self._convolution(node, source)]
        elif base in cnn_ops.POOLS:
            made = [self._pool(node, name, source)]
        elif base in cnn_ops.ADAPTIVE:
            made = [self._adaptive(node, base, name, source)]
        elif base in ops.REDUCTIONS:
            made = [self._reduction(node, base, name, source)]
        elif base in cnn_ops.CONCATS:
            made = [self._concat(node, name)]
        else:
            raise ops.node_error(node, hint(base))
        self._check_result(node, made[0])
        for output, one in zip(node.outputs, made, strict=False):
            self._remember(node, base, source, output, one)
