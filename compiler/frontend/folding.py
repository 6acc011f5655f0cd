"""Scalings and ReLUs of a graph under construction, and how other nodes take them in."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zeroskip.base.errors import CompileError
from zeroskip.compiler.frontend.moves import ZERO, Places
from zeroskip.compiler.frontend.sharing import MOST_VALUES, values_before
from zeroskip.compiler.ir.graph import (
    FloatAdd,
    FloatConcat,
    FloatConv,
    FloatLinear,
    FloatNode,
    FloatPool,
)
from zeroskip.compiler.passes.share import distinct_values

__all__ = ["Affine", "Draft", "Folding", "Relu", "arrangement", "gathered"]

Shape = tuple[int, int, int]

_LARGEST_OWN = 8192
"""Most inputs of a Linear layer made for a step alone; its matrix is dense in memory."""


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = scale * x + shift``, (C,) each, until it is part of a layer.

    Parameters
    ----------
    name, inputs, scale, shift : of the first step, and of all that it took in.
    flat : part of Linear layers, and else of convolutions.
    folded : names of the steps that change weights.
    stays : it is not part of a layer after it.
    """

    name: str
    inputs: tuple[str]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    flat: bool
    folded: tuple[str, ...]
    stays: bool = False


@dataclass(frozen=True)
class Relu:
    """``y = max(x, 0)``, until it is part of what made x."""

    name: str
    inputs: tuple[str]
    flat: bool


Draft = FloatNode | Affine | Relu


class Folding:
    """Nodes whose scalings and ReLUs become part of other nodes.

    Parameters
    ----------
    nodes : by their names, in order.
    shapes : (C, H, W) of each tensor.
    spread : names of convolutions that copy elements, or average some, and Linear layers take in.
    names : of the layers that nodes are in the end, which are not unique.
    """

    def __init__(
        self,
        nodes: dict[str, Draft],
        shapes: dict[str, Shape],
        spread: set[str],
        names: dict[str, str],
    ) -> None:
        self._nodes = dict(nodes)
        self._shapes = shapes
        self._spread = spread
        self._names = names

    def run(self, output: str) -> tuple[dict[str, FloatNode], str]:
        """Return the nodes that make the tensor ``output``, and its name, which may be another."""
        self._drop_unread(output)
        for make_part in (self._fold, self._stand_alone, self._clip, self._merge):
            for name in list(self._nodes):
                if name in self._nodes:
                    output = make_part(self._nodes[name], output)
        nodes = {k: n for k, n in self._nodes.items() if not isinstance(n, (Affine, Relu))}
        return nodes, output

    def _drop_unread(self, output: str) -> None:
        """Drop what ``output`` does not depend on."""
        needed = {output}
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        self._nodes = {name: node for name, node in self._nodes.items() if name in needed}

    def _fold(self, node: Draft, output: str) -> str:
        """Make a scaling part of the layer, or the scaling, before it, or of the layers after."""
        if not isinstance(node, Affine):
            return output
        before = self._nodes.get(node.inputs[0])
        if before is not None and self._readers(before.name, output) == [node.name]:
            scaled = _scaled(before, node)
            if scaled is not None:
                self._nodes[before.name] = scaled
                output = self._bypass(node, output)
                return self._fold_forward(scaled, output)
        return self._fold_forward(node, output)

    def _fold_forward(self, node: Draft, output: str) -> str:
        """Make a scaling part of the layers after it, if all that read it can take it in."""
        if not isinstance(node, Affine) or node.stays:
            return output
        readers = [self._nodes.get(name) for name in self._readers(node.name, output)]
        taken = [None if one is None else self._taken_in(one, node) for one in readers]
        made = [one for one in taken if one is not None]
        if not made or len(made) < len(readers):
            return output
        self._nodes |= {one.name: one for one in made}
        return self._bypass(node, output)

    def _taken_in(self, layer: Draft, node: Affine) -> FloatLinear | FloatConv | None:
        """Return a layer of what ``node`` scales in place of what it makes, if that is possible."""
        if isinstance(layer, FloatLinear) and node.flat:
            moved = layer.weight @ node.shift
            weight = layer.weight * node.scale if node.folded else layer.weight
        elif isinstance(layer, FloatConv):
            # What is around the plane is 0 after the scaling, too: no shift there.
            whole = self._shapes[node.inputs[0]] != self._shapes[node.name]
            if whole or (node.shift.any() and layer.padded):
                return None
            depth, fan, *_ = layer.weight.shape
            by_group = (layer.groups, 1, fan, 1, 1)
            taps = layer.weight.reshape(
                layer.groups, depth // layer.groups, *layer.weight.shape[1:]
            )
            moved = (taps * node.shift.reshape(by_group)).sum(axis=(2, 3, 4)).reshape(depth)
            scaled = (taps * node.scale.reshape(by_group)).reshape(layer.weight.shape)
            weight = scaled if node.folded else layer.weight
        else:
            return None
        return dataclasses.replace(
            layer,
            weight=weight,
            bias=layer.bias + moved,
            folded=(*node.folded, *layer.folded),
            values=values_before(layer),
        )

    def _stand_alone(self, node: Draft, output: str) -> str:
        """Make a layer of its own of a scaling that no other took in."""
        if isinstance(node, Affine) and node.flat:
            self._nodes[node.name] = self._diagonal(node, node.scale, node.shift, node.folded)
        elif isinstance(node, Affine):
            channels = node.scale.size
            self._nodes[node.name] = FloatConv(
                name=node.name,
                inputs=node.inputs,
                weight=node.scale.reshape(channels, 1, 1, 1),
                bias=node.shift,
                stride=(1, 1),
                padding=(0, 0),
                groups=channels,
                relu=False,
                folded=node.folded,
            )
        return output

    def _diagonal(
        self,
        node: Affine | Relu,
        scale: NDArray[np.float64],
        shift: NDArray[np.float64],
        folded: tuple[str, ...] = (),
    ) -> FloatLinear:
        """Return the Linear layer that does a scaling alone."""
        _check_own(self._names[node.name], "acts on", scale.size)
        return FloatLinear(
            node.name, node.inputs, np.diag(scale), shift, isinstance(node, Relu), folded
        )

    def _clip(self, node: Draft, output: str) -> str:
        """Make a ReLU part of what made its input, or a layer of its own."""
        if not isinstance(node, Relu):
            return output
        source = node.inputs[0]
        if self._clippable(source, node.name, output):
            self._set_relu(source, output)
            return self._bypass(node, output)
        channels, height, width = self._shapes[node.name]
        self._nodes[node.name] = (
            self._diagonal(node, np.ones(channels), np.zeros(channels))
            if node.flat
            else FloatPool(
                name=node.name,
                inputs=node.inputs,
                kind="max",
                kernel=(1, 1),
                stride=(1, 1),
                padding=(0, 0),
                out_size=(height, width),
                relu=True,
            )
        )
        return output

    def _clippable(self, tensor: str, reader: str, output: str) -> bool:
        """Say whether no one but ``reader`` would notice if ``tensor`` were clipped."""
        node = self._nodes.get(tensor)
        if self._clipped(tensor):
            return True
        if node is None or set(self._readers(tensor, output)) != {reader}:
            return False
        if isinstance(node, FloatConcat):
            return all(self._clippable(part, tensor, output) for part in node.inputs)
        return True

    def _clipped(self, tensor: str) -> bool:
        """Say whether nothing in ``tensor`` is negative."""
        node = self._nodes.get(tensor)
        if isinstance(node, FloatPool) and (node.divisor or 1) < 0:
            return node.relu
        if isinstance(node, (FloatPool, FloatConcat)):
            return getattr(node, "relu", False) or all(map(self._clipped, node.inputs))
        return isinstance(node, (FloatConv, FloatLinear, FloatAdd)) and node.relu

    def _set_relu(self, tensor: str, output: str) -> None:
        """Clip ``tensor``, or what it is the maximum of: that is the same, and done earlier."""
        node = self._nodes.get(tensor)
        if node is None or self._clipped(tensor):
            return
        if isinstance(node, FloatConcat):
            for part in node.inputs:
                self._set_relu(part, output)
        elif isinstance(node, FloatPool) and node.kind == "max":
            before = self._nodes.get(node.inputs[0])
            if isinstance(before, _CLIPS) and self._readers(before.name, output) == [tensor]:
                self._set_relu(before.name, output)
            else:
                self._nodes[tensor] = dataclasses.replace(node, relu=True)
        elif isinstance(node, _CLIPS):
            self._nodes[tensor] = dataclasses.replace(node, relu=True)

    def _merge(self, node: Draft, output: str) -> str:
        """Make a convolution that copies or averages elements part of the Linear layers after it.

        Not where that would take a layer's sharing of weights away.
        """
        if node.name not in self._spread or not isinstance(node, FloatConv) or node.relu:
            return output
        channels, *plane = self._shapes[node.inputs[0]]
        # Each channel's outputs, and what each of them takes of the channel's plane.
        taps = node.weight.reshape(channels, -1, plane[0] * plane[1])
        made: list[FloatLinear] = []
        readers = [self._nodes.get(name) for name in self._readers(node.name, output)]
        for layer in readers:
            if not isinstance(layer, FloatLinear):
                return output
            rows, values = len(layer.weight), distinct_values(layer.weight, MOST_VALUES)
            parts = layer.weight.reshape(rows, channels, -1).transpose(1, 0, 2)
            weight = (parts @ taps).transpose(1, 0, 2).reshape(rows, -1)
            if values <= MOST_VALUES and distinct_values(weight, values) > values:
                return output
            folded = (self._names[node.name], *node.folded, *layer.folded)
            bias = layer.bias + layer.weight @ node.bias
            made.append(dataclasses.replace(layer, weight=weight, bias=bias, folded=folded))
        self._nodes |= {one.name: one for one in made}
        return self._bypass(node, output)

    def _readers(self, tensor: str, output: str) -> list[str]:
        """Return the names of the nodes that read a tensor; "" is whoever takes the output."""
        names = [n.name for n in self._nodes.values() for name in n.inputs if name == tensor]
        return [*names, ""] if tensor == output else names

    def _bypass(self, node: Draft, output: str) -> str:
        """Drop ``node``: its readers read its input; return the name of the output."""
        source = node.inputs[0]
        del self._nodes[node.name]
        for name, reader in self._nodes.items():
            if node.name in reader.inputs:
                inputs = tuple(source if one == node.name else one for one in reader.inputs)
                self._nodes[name] = dataclasses.replace(reader, inputs=inputs)
        return source if output == node.name else output


_CLIPS = (FloatConv, FloatLinear, FloatAdd, FloatPool)
"""Nodes that can have a ReLU."""


def arrangement(name: str, source: str, places: Places, size: int) -> FloatLinear:
    """Return the Linear layer that gives what stands at ``places`` of a tensor of ``size``."""
    count = places.size
    _check_own(name, "moves", max(size, count))
    weight = gathered(np.eye(count), places.ravel(), size)
    return FloatLinear(name, (source,), weight, np.zeros(count), relu=False)


def gathered(weight: NDArray[np.float64], places: Places, size: int) -> NDArray[np.float64]:
    """Return weights with a column for each of ``size`` elements: the sum of its columns."""
    there = np.flatnonzero(places != ZERO)
    ones = np.ones(there.size)
    moves = csr_array((ones, (there, places[there])), shape=(places.size, size))
    return np.ascontiguousarray((moves.T @ weight.T).T)


def _check_own(name: str, does: str, count: int) -> None:
    """Refuse a Linear layer that is made for a step alone and too large."""
    if count > _LARGEST_OWN:
        raise CompileError(
            f"{name!r} {does} {count} values with no Linear to be part of; such a layer of its own "
            f"can have at most {_LARGEST_OWN}"
        )


def _scaled(before: Draft, node: Affine) -> Draft | None:
    """Return ``before`` with its output scaled; None if it cannot do that, too."""
    folded = (*getattr(before, "folded", ()), *node.folded)
    if isinstance(before, Affine) and before.flat == node.flat:
        scale, shift = before.scale * node.scale, before.shift * node.scale + node.shift
        return dataclasses.replace(before, scale=scale, shift=shift, folded=folded)
    if isinstance(before, FloatPool) and (divisor := _divided(before, node)) is not None:
        return dataclasses.replace(before, divisor=divisor)
    if isinstance(before, FloatLinear) or (isinstance(before, FloatConv) and not node.flat):
        column = node.scale.reshape(-1, *(1 for _ in before.weight.shape[1:]))
        return dataclasses.replace(
            before,
            weight=before.weight * column if node.folded else before.weight,
            bias=before.bias * node.scale + node.shift,
            folded=folded,
            values=values_before(before),
        )
    return None


def _divided(pool: FloatPool, node: Affine) -> int | None:
    """Return the divisor with which a sum of windows does a scaling, too, if there is one."""
    scale = node.scale[0]
    one = not node.flat and not node.shift.any() and np.all(node.scale == scale)
    if pool.divisor is None or pool.relu or not one:
        return None
    divisor = pool.divisor / scale if scale else 0.0
    whole = round(divisor) if abs(divisor) < 1 << 31 else 0
    return whole if whole and pool.divisor / whole == scale else None
