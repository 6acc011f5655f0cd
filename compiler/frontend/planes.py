"""A graph of feature maps under construction, which takes in scalings and ReLUs."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.folding import Affine, Draft, Folding, Relu
from zeroskip.compiler.frontend.moves import Places
from zeroskip.compiler.frontend.select import selections
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatGraph, FloatNode, FloatPool

__all__ = ["Planes"]

Shape = tuple[int, int, int]


class Planes:
    """Nodes in the order in which they were added; tensors have the names of their nodes.

    Parameters
    ----------
    shape : (C, H, W) of the tensor :data:`.INPUT`.
    """

    def __init__(self, shape: Shape) -> None:
        self._input_shape = shape
        self._shapes = {INPUT: shape}
        self._nodes: dict[str, Draft] = {}

    def shape(self, tensor: str) -> Shape:
        """Return the shape (C, H, W) of a tensor."""
        return self._shapes[tensor]

    def add(self, node: FloatNode, shape: Shape) -> str:
        """Append ``node``, which makes a tensor of ``shape``, and return the tensor's name.

        Raises
        ------
        CompileError
            If a weight or bias is not finite.
        """
        if isinstance(node, FloatConv):
            bad_weights, bad_biases = (
                int(array.size - np.count_nonzero(np.isfinite(array)))
                for array in (node.weight, node.bias)
            )
            if bad_weights or bad_biases:
                raise CompileError(
                    f"layer {node.name!r} has {bad_weights} weights and {bad_biases} biases that "
                    "are NaN or infinite; was the network trained to the end?"
                )
        return self._append(node, shape)

    def affine(
        self,
        name: str,
        source: str,
        scale: NDArray[np.float64],
        shift: NDArray[np.float64],
        *,
        stays: bool = False,
    ) -> str:
        """Append ``y = scale * x + shift``, (C,) each, and return the tensor's name.

        If it ``stays``, what comes after it reads its zeros, instead of taking it in.
        """
        return self._append(Affine(name, (source,), scale, shift, stays), self._shapes[source])

    def relu(self, name: str, source: str) -> str:
        """Append a ReLU and return the tensor's name."""
        return self._append(Relu(name, (source,)), self._shapes[source])

    def select(self, name: str, source: str, places: Places) -> str | None:
        """Append what makes ``places`` (C, H, W) of ``source``; None if no convolution can."""
        made = selections(name, source, self._shapes[source], places)
        if made is None:
            return None
        for one in made:
            source = self._append(
                dataclasses.replace(one, inputs=(source,)),
                (len(one.weight), *one.places(self._shapes[source][1:])),
            )
        return source

    def spread(self, name: str, source: str, weight: NDArray[np.float64]) -> str:
        """Append a convolution over whole planes, (K, 1, H, W), K a multiple of the channels."""
        channels = self._shapes[source][0]
        node = FloatConv(
            name=name,
            inputs=(source,),
            weight=weight,
            bias=np.zeros(len(weight)),
            stride=(1, 1),
            padding=(0, 0),
            groups=channels,
            relu=False,
        )
        return self._append(node, (len(weight), 1, 1))

    def reshape_input(self, shape: Shape) -> bool:
        """Give the input another shape, of as many elements, if nothing has read it yet."""
        if any(INPUT in node.inputs for node in self._nodes.values()):
            return False
        self._input_shape = self._shapes[INPUT] = shape
        return True

    def never_negative(self, tensor: str) -> bool:
        """Say whether no element of a tensor can be negative, whatever the input."""
        node = self._nodes.get(tensor)
        if isinstance(node, Relu) or getattr(node, "relu", False):
            return True
        if isinstance(node, FloatPool) and (node.divisor or 1) < 0:
            return False
        if isinstance(node, FloatConv) and (min(node.weight.min(), node.bias.min()) < 0):
            return False
        if node is None or isinstance(node, Affine):
            return False
        return all(map(self.never_negative, node.inputs))

    def finish(self, output: str) -> FloatGraph:
        """Return what makes the tensor ``output``, with scalings and ReLUs in other nodes.

        Raises
        ------
        CompileError
            If nothing is left that computes.
        """
        planes = {name: shape[1:] for name, shape in self._shapes.items()}
        nodes, output = Folding(dict(self._nodes), planes).run(output)
        if not nodes:
            raise CompileError("the network has no layer: nothing in it computes")
        return FloatGraph(self._input_shape, nodes, output)

    def _append(self, node: Draft, shape: Shape) -> str:
        unique, count = node.name, 1
        while unique in self._shapes:
            count += 1
            unique = f"{node.name}#{count}"
        self._nodes[unique] = dataclasses.replace(node, name=unique)
        self._shapes[unique] = shape
        return unique
