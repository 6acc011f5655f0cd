"""A graph under construction, which takes in scalings and ReLUs when it is finished."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.folding import Affine, Draft, Folding, Relu, arrangement, gathered
from zeroskip.compiler.frontend.moves import ZERO, Places
from zeroskip.compiler.frontend.select import selections
from zeroskip.compiler.frontend.sharing import values_before
from zeroskip.compiler.ir.graph import (
    INPUT,
    FloatConv,
    FloatGraph,
    FloatLinear,
    FloatNode,
    FloatPool,
)

__all__ = ["DraftGraph"]

Shape = tuple[int, int, int]


class DraftGraph:
    """Nodes in the order in which they were added, and the tensors that they make.

    A tensor is *flat* if Linear layers take in what is done to it: one that a Linear layer made,
    and a vector that was scaled. Others are planes, of which convolutions do.

    Parameters
    ----------
    shape : (C, H, W) of the tensor :data:`.INPUT`.
    flat : the input is flat.
    """

    def __init__(self, shape: Shape, *, flat: bool) -> None:
        self._shapes = {INPUT: shape}
        self._flat = {INPUT} if flat else set[str]()
        self._nodes: dict[str, Draft] = {}
        self._names: dict[str, str] = {}
        self._spread: set[str] = set()

    def shape(self, tensor: str) -> Shape:
        """Return the shape (C, H, W) of a tensor."""
        return self._shapes[tensor]

    def flat(self, tensor: str) -> bool:
        """Say whether Linear layers take in what is done to a tensor."""
        return tensor in self._flat

    def add(self, node: FloatNode, shape: Shape) -> str:
        """Append ``node``, which makes a tensor of ``shape``, and return the tensor's name.

        Raises
        ------
        CompileError
            If a weight or bias is not finite.
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
        planes = isinstance(node, (FloatConv, FloatPool))
        flat = isinstance(node, FloatLinear) or (not planes and all(map(self.flat, node.inputs)))
        return self._append(node, shape, flat=flat)

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
        made = self.add(node, (len(weight), 1, 1))
        size = math.prod(self._shapes[source])
        if not np.array_equal(places, np.arange(size)):
            added = (mover,) if np.unique(places).size < places.size and mover else ()
            self._nodes[made] = dataclasses.replace(
                node,
                name=made,
                weight=np.ascontiguousarray(gathered(weight, places, size)),
                folded=added,
                values=values_before(node) if added else None,
            )
        return made

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
        flat = flat or self.flat(source)
        shape = self._done_to(source, flat=flat)
        scales, shifts = (np.full(shape[0], one, np.float64) for one in (scale, shift))
        # A bare shift, as of a bias added by hand, leaves weights as they are.
        folded = (name,) if np.any(scales != 1.0) else ()
        node = Affine(name, (source,), scales, shifts, flat, folded, stays)
        return self._append(node, shape, flat=flat)

    def relu(self, name: str, source: str) -> str:
        """Append a ReLU and return the tensor's name."""
        flat = self.flat(source)
        return self._append(
            Relu(name, (source,), flat), self._done_to(source, flat=flat), flat=flat
        )

    def arrange(self, name: str, source: str, places: Places) -> str:
        """Append a Linear layer that gives what stands at ``places`` of ``source``."""
        node = arrangement(name, source, places, math.prod(self._shapes[source]))
        return self.add(node, (places.size, 1, 1))

    def select(self, name: str, source: str, places: Places) -> str | None:
        """Append what makes ``places`` (C, H, W) of ``source``; None if no convolution can."""
        made = selections(name, source, self._shapes[source], places)
        for one in made or ():
            source = self.add(
                dataclasses.replace(one, inputs=(source,)),
                (len(one.weight), *one.places(self._shapes[source][1:])),
            )
        return source if made else None

    def spread(self, name: str, source: str, weight: NDArray[np.float64]) -> str:
        """Append a convolution over whole planes, (K, 1, H, W), K a multiple of the channels.

        Linear layers that read it take it in, unless that undid the sharing of their weights.
        """
        node = FloatConv(
            name=name,
            inputs=(source,),
            weight=weight,
            bias=np.zeros(len(weight)),
            stride=(1, 1),
            padding=(0, 0),
            groups=self._shapes[source][0],
            relu=False,
        )
        made = self.add(node, (len(weight), 1, 1))
        self._spread.add(made)
        return made

    def reshape_input(self, shape: Shape) -> bool:
        """Give the input another shape, of as many elements, if nothing has read it yet."""
        if any(INPUT in node.inputs for node in self._nodes.values()):
            return False
        self._shapes[INPUT] = shape
        return True

    def never_negative(self, tensor: str) -> bool:
        """Say whether no element of a tensor can be negative, whatever the input."""
        node = self._nodes.get(tensor)
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

    def finish(
        self, output: str, places: Places, mover: str, sample_shape: tuple[int, ...]
    ) -> FloatGraph:
        """Return what makes the tensor ``output``, with scalings and ReLUs in other nodes.

        Parameters
        ----------
        output : its name.
        places : which of its elements the network gives, in order.
        mover : what put them there.
        sample_shape : of the network's input.

        Raises
        ------
        CompileError
            If nothing is left that computes.
        """
        nodes, output = Folding(self._nodes, self._shapes, self._spread, self._names).run(output)
        if not np.array_equal(places.ravel(), np.arange(math.prod(self._shapes[output]))):
            output = self._arrange_output(nodes, output, places.ravel(), mover)
        if not nodes:
            raise CompileError("the network has no layer: nothing in it computes")
        names = self._numbered(nodes)
        renamed = (
            dataclasses.replace(
                node, name=names[key], inputs=tuple(names[one] for one in node.inputs)
            )
            for key, node in nodes.items()
        )
        shape = self._shapes[INPUT]
        given = None if sample_shape == shape else sample_shape
        return FloatGraph(shape, tuple(renamed), names[output], given)

    def _arrange_output(
        self, nodes: dict[str, FloatNode], output: str, places: Places, mover: str
    ) -> str:
        """Put what stands at ``places`` of the tensor ``output`` in order; return its name."""
        last = nodes.get(output)
        if isinstance(last, FloatLinear) and all(output not in n.inputs for n in nodes.values()):
            # Rows in another order cost nothing.
            there = places != ZERO
            weight, bias = last.weight[places] * there[:, None], last.bias[places] * there
            nodes[output] = dataclasses.replace(last, weight=weight, bias=bias)
            return output
        made = arrangement(mover, output, places, math.prod(self._shapes[output]))
        name = self._append(made, (places.size, 1, 1), flat=True)
        nodes[name] = dataclasses.replace(made, name=name)
        return name

    def _append(self, node: Draft, shape: Shape, *, flat: bool) -> str:
        key = f"{node.name}#{len(self._nodes)}"
        self._nodes[key] = dataclasses.replace(node, name=key)
        self._names[key], self._shapes[key] = node.name, shape
        if flat:
            self._flat.add(key)
        return key

    def _numbered(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the names that nodes have in the end, by those that they have here.

        A module that makes several layers has its path in the names of all, with a number.
        """
        names = {INPUT: INPUT}
        for key in keys:
            name, count = self._names[key], 1
            while name in names.values():
                count += 1
                name = f"{self._names[key]}#{count}"
            names[key] = name
        return names

    def _done_to(self, tensor: str, *, flat: bool) -> Shape:
        """Return the shape of a scaling of a tensor, or of its ReLU."""
        shape = self._shapes[tensor]
        return (math.prod(shape), 1, 1) if flat else shape
