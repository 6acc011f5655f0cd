"""Scalings and ReLUs of a graph under construction, and how other nodes take them in."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.frontend.sharing import values_before
from zeroskip.compiler.ir.graph import FloatAdd, FloatConcat, FloatConv, FloatNode, FloatPool

__all__ = ["Affine", "Draft", "Folding", "Relu"]


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = scale * x + shift``, (C,) each, until it is part of a convolution.

    If it ``stays``, not of one after it.
    """

    name: str
    inputs: tuple[str]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    stays: bool = False

    @property
    def folded(self) -> tuple[str, ...]:
        """Its name, unless it is a bare shift, which leaves weights as they are."""
        return (self.name,) if np.any(self.scale != 1.0) else ()


@dataclass(frozen=True)
class Relu:
    """``y = max(x, 0)``, until it is part of what made x."""

    name: str
    inputs: tuple[str]


Draft = FloatNode | Affine | Relu


class Folding:
    """Nodes whose scalings and ReLUs become part of other nodes.

    Parameters
    ----------
    nodes : by their names, in order.
    planes : rows and columns of each tensor.
    """

    def __init__(self, nodes: dict[str, Draft], planes: dict[str, tuple[int, int]]) -> None:
        self._nodes = nodes
        self._planes = planes

    def run(self, output: str) -> tuple[tuple[FloatNode, ...], str]:
        """Return the nodes that make the tensor ``output``, and its name, which may be another."""
        self._drop_unread(output)
        for make_part in (self._fold_back, self._fold_forward, self._clip):
            for name in list(self._nodes):
                if name in self._nodes:
                    output = make_part(self._nodes[name], output)
        nodes = tuple(n for n in self._nodes.values() if not isinstance(n, (Affine, Relu)))
        return nodes, output

    def _drop_unread(self, output: str) -> None:
        """Drop what ``output`` does not depend on."""
        needed = {output}
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        self._nodes = {name: node for name, node in self._nodes.items() if name in needed}

    def _fold_back(self, node: Draft, output: str) -> str:
        """Make a scaling part of the convolution, or the scaling, before it."""
        if not isinstance(node, Affine):
            return output
        before = self._nodes.get(node.inputs[0])
        if before is None or self._readers(before.name, output) != [node.name]:
            return output
        if isinstance(before, Affine):
            scale, shift = before.scale * node.scale, before.shift * node.scale + node.shift
            self._nodes[before.name] = dataclasses.replace(before, scale=scale, shift=shift)
        elif isinstance(before, FloatConv) and not before.relu:
            weight = before.weight
            self._nodes[before.name] = dataclasses.replace(
                before,
                weight=weight * node.scale[:, None, None, None] if node.folded else weight,
                bias=before.bias * node.scale + node.shift,
                folded=(*before.folded, *node.folded),
                values=values_before(before),
            )
        elif isinstance(before, FloatPool) and (divisor := _divided(before, node)) is not None:
            self._nodes[before.name] = dataclasses.replace(before, divisor=divisor)
        else:
            return output
        return self._bypass(node, output)

    def _fold_forward(self, node: Draft, output: str) -> str:
        """Make a scaling part of the convolutions after it, or a convolution of its own."""
        if not isinstance(node, Affine):
            return output
        channels = node.scale.size
        after = [self._nodes.get(name) for name in self._readers(node.name, output)]
        convs = [n for n in after if isinstance(n, FloatConv)]
        # What is around the plane is 0 after the scaling, too: no shift there.
        safe = [n for n in convs if not node.shift.any() or not n.padded]
        if after and len(safe) == len(after) and not node.stays:
            for conv in safe:
                depth, fan, *_ = conv.weight.shape
                by_group = (conv.groups, 1, fan, 1, 1)
                taps = conv.weight.reshape(
                    conv.groups, depth // conv.groups, *conv.weight.shape[1:]
                )
                moved = (taps * node.shift.reshape(by_group)).sum(axis=(2, 3, 4)).reshape(depth)
                scaled = (taps * node.scale.reshape(by_group)).reshape(conv.weight.shape)
                self._nodes[conv.name] = dataclasses.replace(
                    conv,
                    weight=scaled if node.folded else conv.weight,
                    bias=conv.bias + moved,
                    folded=(*node.folded, *conv.folded),
                    values=values_before(conv),
                )
            return self._bypass(node, output)
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

    def _clip(self, node: Draft, output: str) -> str:
        """Make a ReLU part of what made its input, or a maximum of its own."""
        if not isinstance(node, Relu):
            return output
        source = node.inputs[0]
        if self._clippable(source, node.name, output):
            self._set_relu(source, output)
            return self._bypass(node, output)
        height, width = self._planes[source]
        self._nodes[node.name] = FloatPool(
            name=node.name,
            inputs=node.inputs,
            kind="max",
            kernel=(1, 1),
            stride=(1, 1),
            padding=(0, 0),
            out_size=(height, width),
            relu=True,
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
        return isinstance(node, (FloatConv, FloatAdd)) and node.relu

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
            if isinstance(before, (FloatConv, FloatAdd, FloatPool)) and self._readers(
                before.name, output
            ) == [tensor]:
                self._set_relu(before.name, output)
            else:
                self._nodes[tensor] = dataclasses.replace(node, relu=True)
        elif isinstance(node, (FloatConv, FloatAdd, FloatPool)):
            self._nodes[tensor] = dataclasses.replace(node, relu=True)

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


def _divided(pool: FloatPool, node: Affine) -> int | None:
    """Return the divisor with which a sum of windows does a scaling, too, if there is one."""
    scale = node.scale[0]
    if pool.divisor is None or pool.relu or node.shift.any() or np.any(node.scale != scale):
        return None
    divisor = pool.divisor / scale if scale else 0.0
    whole = round(divisor) if abs(divisor) < 1 << 31 else 0
    return whole if whole and pool.divisor / whole == scale else None
