"""A graph under construction, in which scalings and ReLUs are nodes of their own."""

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.moves import ZERO, Places
from zeroskip.compiler.frontend.select import copies, grouped, selections
from zeroskip.compiler.frontend.sharing import values_before
from zeroskip.compiler.frontend.steps import Affine, Draft, Relu
from zeroskip.compiler.ir.compute import shape_of
from zeroskip.compiler.ir.graph import INPUT, FloatConv, FloatLinear, FloatNode, FloatPool, Shape

__all__ = ["DraftGraph", "check_own"]


_LARGEST_OWN = 8192
"""Most inputs of a Linear layer made for a step alone; its matrix is dense in memory."""


class DraftGraph:
    """Nodes in the order in which they were added; tensors have the names of their nodes.

    A tensor is *flat* if Linear layers take in what is done to it: one that a Linear layer made,
    and a vector that was scaled. Others are planes, of which convolutions do.

    Parameters
    ----------
    shape : (C, H, W) of the tensor :data:`.INPUT`.
    flat : the input is flat.

    Attributes
    ----------
    nodes : by their names.
    shapes : (C, H, W) of each tensor.
    flat : names of the flat tensors.
    spread : names of convolutions that copy elements, or average some.
    output : name of the tensor that leaves.
    """

    def __init__(self, shape: Shape, *, flat: bool) -> None:
        self.nodes: dict[str, Draft] = {}
        self.shapes = {INPUT: shape}
        self.flat = {INPUT} if flat else set[str]()
        self.spread: set[str] = set()
        self.output = INPUT

    def add(self, node: FloatNode) -> str:
        """Append ``node`` and return the name of its tensor.

        Raises
        ------
        CompileError
            If a weight or bias is not finite, or the node does not fit what it reads.
        """
        if isinstance(node, (FloatConv, FloatLinear)):
            bad_weights, bad_biases = (
                int(array.size - np.count_nonzero(np.isfinite(array)))
                for array in (node.weight, node.bias)
            )
            if bad_weights or bad_biases:
                raise CompileError(
                    f"layer {node.name!r} has {bad_weights} weights and {bad_biases} biases that "
                    "are NaN or infinite; was the network trained to the end?"
                )
        if isinstance(node, FloatConv) and not _reads(node, self.shapes[node.inputs[0]]):
            # All that its weights would ever meet is padding.
            node = dataclasses.replace(node, weight=np.zeros_like(node.weight))
        planes = isinstance(node, (FloatConv, FloatPool))
        flat = isinstance(node, FloatLinear) or not (planes or {*node.inputs} - self.flat)
        return self._append(node, shape_of(node, [self.shapes[n] for n in node.inputs]), flat=flat)

    def linear(
        self,
        name: str,
        source: str,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
        places: Places,
        mover: str = "",
    ) -> str:
        """Append ``y = weight x + bias`` and return the tensor's name.

        Parameters
        ----------
        name, weight, bias : of the layer.
        source : tensor whose elements it takes.
        places : which of them each column is for.
        mover : what put them there, named if weights of an element with several columns are added.

        Raises
        ------
        CompileError
            If a weight or bias is not finite, or there is none.
        """
        if not weight.size:
            raise CompileError(f"layer {name!r} has a matrix of shape {weight.shape}: empty")
        weight, bias = np.ascontiguousarray(weight, np.float64), np.array(bias, np.float64)
        node = FloatLinear(name, (source,), weight, bias, relu=False)
        size = math.prod(self.shapes[source])
        if not np.array_equal(places, np.arange(size)):
            repeated = bool(mover) and np.unique(places).size < places.size
            there = np.flatnonzero(places != ZERO)
            ones = np.ones(there.size)
            moves = csr_array((ones, (there, places[there])), shape=(places.size, size))
            node = dataclasses.replace(
                node,
                # A column for each element: the sum of those that stand for it.
                weight=np.ascontiguousarray((moves.T @ weight.T).T),
                folded=(mover,) if repeated else (),
                values=values_before(node) if repeated else None,
            )
        return self.add(node)

    def affine(
        self,
        name: str,
        source: str,
        scale: ArrayLike,
        shift: ArrayLike,
        *,
        flat: bool = False,
        stays: bool = False,
    ) -> str:
        """Append ``y = scale * x + shift`` and return the tensor's name.

        Parameters
        ----------
        name, source : of the layer that it may become, and of x.
        scale, shift : one for each channel, of a flat tensor for each element, or one for all.
        flat : the result is, whatever x is.
        stays : what comes after it reads its zeros, instead of taking it in.
        """
        flat = flat or source in self.flat
        shape = self._done_to(source, flat=flat)
        scales, shifts = (np.full(shape[0], value, np.float64) for value in (scale, shift))
        # A bare shift, as of a bias added by hand, leaves weights as they are.
        folded = (name,) if np.any(scales != 1.0) else ()
        return self._append(
            Affine(name, (source,), scales, shifts, folded, stays), shape, flat=flat
        )

    def relu(self, name: str, source: str) -> str:
        """Append a ReLU and return the tensor's name."""
        flat = source in self.flat
        return self._append(Relu(name, (source,)), self._done_to(source, flat=flat), flat=flat)

    def arrange(self, name: str, source: str, places: Places) -> str:
        """Append a Linear layer that gives what stands at ``places`` of ``source``."""
        count = places.size
        check_own(name, "moves", max(count, math.prod(self.shapes[source])))
        return self.linear(name, source, np.eye(count), np.zeros(count), places.ravel())

    def select(self, name: str, source: str, places: Places) -> str | None:
        """Append what makes ``places`` (C, H, W) of ``source``; None if no convolution can."""
        made = selections(name, source, self.shapes[source], places)
        for conv in made or ():
            source = self.add(dataclasses.replace(conv, inputs=(source,)))
        return source if made else None

    def copy(self, name: str, source: str, places: Places) -> str | None:
        """Append what makes a channel of each of ``places``, as :meth:`spread_out` does.

        Returns
        -------
        None if not each channel of ``source``, in order, is copied equally often.
        """
        weight = copies(self.shapes[source], places)
        return None if weight is None else self.spread_out(name, source, weight)

    def spread_out(self, name: str, source: str, weight: NDArray[np.float64]) -> str:
        """Append a convolution over whole planes, (K, 1, H, W), K a multiple of the channels.

        Linear layers that read it take it in, unless that undid the sharing of their weights.
        """
        made = self.add(grouped(name, source, weight, self.shapes[source][0]))
        self.spread.add(made)
        return made

    def reshape_input(self, shape: Shape) -> bool:
        """Give the input another shape, of as many elements, if nothing has read it yet."""
        if any(INPUT in node.inputs for node in self.nodes.values()):
            return False
        self.shapes[INPUT] = shape
        return True

    def never_negative(self, tensor: str) -> bool:
        """Say whether no element of a tensor can be negative, whatever the input."""
        node = self.nodes.get(tensor)
        if isinstance(node, Relu) or getattr(node, "relu", False):
            return True
        if isinstance(node, FloatPool) and (node.divisor or 1) < 0:
            return False
        if isinstance(node, (FloatConv, FloatLinear)) and (
            min(node.weight.min(), node.bias.min()) < 0
        ):
            return False
        if node is None or isinstance(node, Affine):
            return False
        return all(map(self.never_negative, node.inputs))

    def readers(self, tensor: str) -> list[str]:
        """Return the names of the nodes that read a tensor; "" is whoever takes the output."""
        names = [n.name for n in self.nodes.values() for name in n.inputs if name == tensor]
        return [*names, ""] if tensor == self.output else names

    def replace(self, *nodes: Draft) -> None:
        """Put nodes in the place of those with their names."""
        self.nodes |= {node.name: node for node in nodes}

    def bypass(self, node: Draft) -> None:
        """Drop ``node``: its readers read its input."""
        source = node.inputs[0]
        del self.nodes[node.name]
        for key, reader in self.nodes.items():
            if node.name in reader.inputs:
                inputs = tuple(source if name == node.name else name for name in reader.inputs)
                self.nodes[key] = dataclasses.replace(reader, inputs=inputs)
        if self.output == node.name:
            self.output = source

    def _append(self, node: Draft, shape: Shape, *, flat: bool) -> str:
        key = f"{node.name}#{len(self.nodes)}"
        self.nodes[key] = dataclasses.replace(node, name=key)
        self.shapes[key] = shape
        if flat:
            self.flat.add(key)
        return key

    def _done_to(self, tensor: str, *, flat: bool) -> Shape:
        """Return the shape of a scaling of a tensor, or of its ReLU."""
        shape = self.shapes[tensor]
        return (math.prod(shape), 1, 1) if flat else shape


def _reads(node: FloatConv, shape: Shape) -> bool:
    """Say whether any window of a convolution has an element of the plane that it reads."""
    return all(
        any(step * y < before + size and step * y + width > before for y in range(count))
        for count, step, before, width, size in zip(
            node.places((shape[1], shape[2])),
            node.stride,
            node.padding,
            node.weight.shape[2:],
            shape[1:],
            strict=True,
        )
    )


def check_own(name: str, does: str, count: int) -> None:
    """Refuse a Linear layer that is made for a step alone and too large.

    Raises
    ------
    CompileError
        If it has more than 8192 inputs or outputs.
    """
    if count > _LARGEST_OWN:
        raise CompileError(
            f"{name!r} {does} {count} values with no Linear to be part of; such a layer of its own "
            f"can have at most {_LARGEST_OWN}"
        )
