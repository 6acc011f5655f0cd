"""Whole networks of the evaluation: how their convolutions and poolings read each other."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import INPUT, Pair, QuantConv, QuantGraph, Shape
from zeroskip.sim.scnn.benchmark.layers import ConvLayer

__all__ = ["MAX_ACT", "DrawnNetwork", "conv_layer", "wire"]

_SHIFT = 9
MAX_ACT = 255


@dataclass(frozen=True, eq=False)
class DrawnNetwork:
    """A network with drawn weights, and the density of every tensor.

    Parameters
    ----------
    graph : of convolutions and poolings.
    densities : by tensor, share of its values that are not 0.
    """

    graph: QuantGraph[QuantConv]
    densities: dict[str, float]

    def draw(self) -> dict[str, NDArray[np.int64]]:
        """Draw every tensor, (C, H, W), with its density; the same each time.

        Drawn weights do not make outputs of published densities, so no layer computes another's
        input here: cycles depend only on where zeros are.
        """
        shapes = self.graph.given | {layer.name: layer.out_shape for layer in self.graph.layers}
        found: dict[str, NDArray[np.int64]] = {}
        for name, shape in shapes.items():
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            there = rng.random(shape) < self.densities[name]
            found[name] = there * rng.integers(1, MAX_ACT + 1, shape)
        return found


def conv_layer(
    layer: ConvLayer, name: str, inputs: tuple[str, ...], bias: NDArray[np.int64] | None = None
) -> QuantConv:
    """Make a convolution with the layer's drawn weights; its bias is 0 unless given."""
    _, weights = layer.draw()
    return QuantConv(
        name=name,
        kind="conv",
        inputs=inputs,
        in_shape=layer.in_shape,
        out_shape=layer.out_shape,
        weight=weights,
        codebook=np.concatenate([[0], np.unique(weights[weights != 0])]),
        bias=np.zeros(layer.out_channels, np.int64) if bias is None else bias,
        stride=(layer.stride, layer.stride),
        padding=(layer.padding, layer.padding),
        groups=layer.groups,
        relu=True,
        op="add",
        signed_input=False,
        in_frac=0,
        weight_frac=_SHIFT,
        out_frac=0,
    )


def wire(layers: Sequence[ConvLayer]) -> DrawnNetwork:
    """Wire the convolutions of a network, and the poolings between them.

    A module's layers are called ``module/branch``: branches follow from the names, see ``_module``.
    All else is a chain. Where the plane of the next layer is smaller than the last, a maximum is in
    between.
    """
    made = _Wiring(layers[0])
    modules: dict[str, list[ConvLayer]] = {}
    for layer in layers:
        modules.setdefault(layer.name.partition("/")[0], []).append(layer)
    for name, members in modules.items():
        made.pool_to(members[0].in_shape[1:])
        if len(members) == 1:
            made.last = (made.conv(members[0], made.last),)
        else:
            _module(made, name, {layer.name.partition("/")[2]: layer for layer in members})
    return made.network()


def _module(made: "_Wiring", name: str, branches: dict[str, ConvLayer]) -> None:
    """Add an inception (Szegedy et al., 2015) or a fire module (Iandola et al., 2016)."""
    source = made.last
    if "squeeze" in branches:
        source = (made.conv(branches.pop("squeeze"), source),)
    leave: list[str] = []
    for branch, layer in branches.items():
        before = source
        if f"{branch}_reduce" in branches:
            before = (f"{name}/{branch}_reduce",)
        elif branch == "pool_proj":
            before = (made.pool(f"{name}/pool", source, 3, 1, layer.in_shape[1:], padding=1),)
        layer_name = made.conv(layer, before)
        if not branch.endswith("_reduce"):
            leave.append(layer_name)
    made.last = tuple(leave)


class _Wiring:
    """Layers so far; ``last`` are the tensors that the next one reads."""

    def __init__(self, first: ConvLayer) -> None:
        self._shapes: dict[str, Shape] = {INPUT: first.in_shape}
        self._layers: list[QuantConv] = []
        # Of what convolutions read.
        self._densities: dict[str, float] = {}
        self.last: tuple[str, ...] = (INPUT,)

    def conv(self, layer: ConvLayer, inputs: tuple[str, ...]) -> str:
        """Add a convolution."""
        for name in inputs:
            self._densities.setdefault(name, layer.act_density)
        return self._add(conv_layer(layer, layer.name, inputs))

    def pool_to(self, plane: Pair) -> None:
        """Add a maximum of half the rows and columns, unless planes are small enough."""
        rows = self._shapes[self.last[0]][1]
        if rows != plane[0]:
            # Windows overlap, or do not, as they do in the published network.
            kernel = 2 if rows == 2 * plane[0] and self._even else 3
            name = f"pool_{self.last[0].replace('/', '_')}"
            self.last = (self.pool(name, self.last, kernel, 2, plane),)

    @property
    def _even(self) -> bool:
        """Whether the network pools by 2 x 2: VGG, whose kernels are all 3 x 3."""
        return all(layer.kernel == (3, 3) for layer in self._layers if layer.kind == "conv")

    def pool(
        self,
        name: str,
        inputs: tuple[str, ...],
        kernel: int,
        stride: int,
        plane: Pair,
        padding: int = 0,
    ) -> str:
        """Add a maximum."""
        channels = sum(self._shapes[one][0] for one in inputs)
        return self._add(
            QuantConv(
                name=name,
                kind="max",
                inputs=inputs,
                in_shape=(channels, *self._shapes[inputs[0]][1:]),
                out_shape=(channels, *plane),
                weight=np.ones((channels, 1, kernel, kernel), np.int64),
                codebook=np.array([0, 1]),
                bias=np.zeros(channels, np.int64),
                stride=(stride, stride),
                padding=(padding, padding),
                groups=channels,
                relu=False,
                op="max",
                signed_input=False,
                in_frac=0,
                weight_frac=0,
                out_frac=0,
            )
        )

    def _add(self, layer: QuantConv) -> str:
        self._layers.append(layer)
        self._shapes[layer.name] = layer.out_shape
        return layer.name

    def network(self) -> DrawnNetwork:
        """Return the network, with densities of what only poolings read, or nobody."""
        known = self._densities
        for layer in reversed(self._layers):
            # Of what is read by nobody: as what its own layer reads, which is known or follows.
            known.setdefault(layer.name, known.get(layer.inputs[0], 0.5))
            if layer.kind == "max":
                places = layer.kernel[0] * layer.kernel[1]
                density = 1 - (1 - known[layer.name]) ** (1 / places)
                for name in layer.inputs:
                    known.setdefault(name, density)
        graph = QuantGraph(self._shapes[INPUT], tuple(self._layers), self.last)
        return DrawnNetwork(graph, {name: known[name] for name in self._shapes})
