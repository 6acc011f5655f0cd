"""Convolutions of SCNN's evaluation (Parashar et al., ISCA 2017): AlexNet, GoogLeNet, VGG-16."""

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MERGED",
    "NETWORKS",
    "NETWORK_NAMES",
    "PAPER_SPEEDUP",
    "RTL_LAYERS",
    "SQUEEZENET",
    "WHOLE_NETWORKS",
    "ConvLayer",
    "scnn_layers",
]

PAPER_SPEEDUP = {"alexnet": 2.37, "googlenet": 2.19, "vgg16": 3.52}
"""The paper's speed-up over its dense machine of as many multipliers."""

_MAX_WEIGHT = 127
_MAX_ACT = 255


@dataclass(frozen=True)
class ConvLayer:
    """A convolution with the densities of its operands.

    Parameters
    ----------
    network, name : where it is from; both together are unique.
    in_shape : (C, H, W) of the input.
    out_channels : K.
    kernel, stride, padding : the same down and across; padding on all four sides.
    groups : input channel c reaches output channels of group ``c // (C // groups)`` only.
    act_density, weight_density : share of inputs and of weights that are not 0.
    assumed : where the densities come from, if no source gives them for this layer; else empty.
    merged : full names of the layers that it stands for, if it is several.
    """

    network: str
    name: str
    in_shape: tuple[int, int, int]
    out_channels: int
    kernel: int
    stride: int
    padding: int
    groups: int
    act_density: float
    weight_density: float
    assumed: str = ""
    merged: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """Network and name."""
        return f"{self.network}/{self.name}"

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """Shape (K, P, Q) of the output."""
        _, height, width = self.in_shape
        p, q = ((n + 2 * self.padding - self.kernel) // self.stride + 1 for n in (height, width))
        return self.out_channels, p, q

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape (K, C // groups, R, S) of the weights."""
        return (
            self.out_channels,
            self.in_shape[0] // self.groups,
            self.kernel,
            self.kernel,
        )

    @property
    def macs(self) -> int:
        """Multiplications of a dense convolution, those with padding included."""
        return int(np.prod(self.out_shape) * np.prod(self.weight_shape[1:]))

    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw an input and weights with exactly these densities; the same each time.

        Places are uniformly random: the pruned networks of the paper are not published. Weights
        are signed 8-bit numbers, activations positive as after a ReLU.

        Returns
        -------
        (C, H, W) and (K, C // groups, R, S) int64.
        """
        rng = np.random.default_rng(zlib.crc32(self.full_name.encode()))
        acts = _scatter(rng, self.in_shape, self.act_density)
        weights = _scatter(rng, self.weight_shape, self.weight_density)
        acts *= rng.integers(1, _MAX_ACT + 1, self.in_shape)
        weights *= rng.integers(1, _MAX_WEIGHT + 1, self.weight_shape)
        weights *= 2 * rng.integers(0, 2, self.weight_shape) - 1
        return acts, weights


def _scatter(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> NDArray[np.int64]:
    """Give ones at ``density`` of the places, to the nearest whole number, zeros elsewhere."""
    size = int(np.prod(shape))
    ones = np.zeros(size, np.int64)
    ones[rng.choice(size, round(density * size), replace=False, shuffle=False)] = 1
    return ones.reshape(shape)


def _alexnet() -> tuple[ConvLayer, ...]:
    """Give AlexNet as published: 227 x 227 inputs, two groups in conv2, conv4 and conv5.

    Densities: Stellar's run of SCNN (hngenc/stellar, ``gen_headers.py``).
    """
    rows = (
        ("conv1", (3, 227, 227), 96, 11, 4, 0, 1, 1.00, 0.84),
        ("conv2", (96, 27, 27), 256, 5, 1, 2, 2, 0.865, 0.225),
        ("conv3", (256, 13, 13), 384, 3, 1, 1, 1, 0.53, 0.34),
        ("conv4", (384, 13, 13), 384, 3, 1, 1, 2, 0.39, 0.37),
        ("conv5", (384, 13, 13), 256, 3, 1, 1, 2, 0.43, 0.37),
    )
    return tuple(ConvLayer("alexnet", *row) for row in rows)


def _vgg16() -> tuple[ConvLayer, ...]:
    """Give VGG-16's 13 layers.

    Densities: the simulators of the Rhu lab; weights within 0.02 of Han et al., NIPS 2015, table 5.
    """
    rows = (
        ("conv1_1", 3, 224, 64, 1.00, 0.57),
        ("conv1_2", 64, 224, 64, 0.50, 0.21),
        ("conv2_1", 64, 112, 128, 0.89, 0.33),
        ("conv2_2", 128, 112, 128, 0.79, 0.35),
        ("conv3_1", 128, 56, 256, 0.81, 0.53),
        ("conv3_2", 256, 56, 256, 0.63, 0.22),
        ("conv3_3", 256, 56, 256, 0.69, 0.41),
        ("conv4_1", 256, 28, 512, 0.71, 0.32),
        ("conv4_2", 512, 28, 512, 0.50, 0.26),
        ("conv4_3", 512, 28, 512, 0.45, 0.34),
        ("conv5_1", 512, 14, 512, 0.39, 0.35),
        ("conv5_2", 512, 14, 512, 0.33, 0.29),
        ("conv5_3", 512, 14, 512, 0.32, 0.36),
    )
    return tuple(
        ConvLayer("vgg16", name, (c, side, side), k, 3, 1, 1, 1, act, weight)
        for name, c, side, k, act, weight in rows
    )


# Of each module: input channels, side of the plane, output channels of the six convolutions.
_INCEPTION = {
    "3a": (192, 28, (64, 96, 128, 16, 32, 32)),
    "3b": (256, 28, (128, 128, 192, 32, 96, 64)),
    "4a": (480, 14, (192, 96, 208, 16, 48, 64)),
    "4b": (512, 14, (160, 112, 224, 24, 64, 64)),
    "4c": (512, 14, (128, 128, 256, 24, 64, 64)),
    "4d": (512, 14, (112, 144, 288, 32, 64, 64)),
    "4e": (528, 14, (256, 160, 320, 32, 128, 128)),
    "5a": (832, 7, (256, 160, 320, 32, 128, 128)),
    "5b": (832, 7, (384, 192, 384, 48, 128, 128)),
}
# Name, kernel, and density of inputs and weights in 3a and in 5b (simulators of the Rhu lab).
_BRANCHES = (
    ("1x1", 1, (0.71, 0.38), (0.31, 0.32)),
    ("3x3_reduce", 1, (0.71, 0.42), (0.31, 0.33)),
    ("3x3", 3, (0.67, 0.45), (0.30, 0.37)),
    ("5x5_reduce", 1, (0.71, 0.36), (0.31, 0.33)),
    ("5x5", 5, (0.77, 0.35), (0.46, 0.36)),
    ("pool_proj", 1, (0.96, 0.43), (0.57, 0.32)),
)
_PUBLISHED = ("3a", "5b")


def _googlenet() -> tuple[ConvLayer, ...]:
    """Give GoogLeNet's 57 layers: the stem and nine inception modules.

    Densities are published for 3a and 5b; between them they are taken on a straight line, module by
    module, and the stem's from layers of its kind, which ``assumed`` says.
    """
    first, second = "AlexNet conv1", "VGG conv2_1 (after pooling) and inception 3a"
    layers = [
        ConvLayer("googlenet", "conv1", (3, 224, 224), 64, 7, 2, 3, 1, 1.0, 0.84, first),
        ConvLayer("googlenet", "conv2_reduce", (64, 56, 56), 64, 1, 1, 0, 1, 0.89, 0.42, second),
        ConvLayer("googlenet", "conv2", (64, 56, 56), 192, 3, 1, 1, 1, 0.67, 0.45, "inception 3a"),
    ]
    for number, (module, (channels, side, outs)) in enumerate(_INCEPTION.items()):
        share = number / (len(_INCEPTION) - 1)
        assumed = "" if module in _PUBLISHED else "straight line from 3a to 5b"
        for branch, (name, kernel, begin, end) in enumerate(_BRANCHES):
            act, weight = (a + share * (b - a) for a, b in zip(begin, end, strict=True))
            reads = outs[branch - 1] if kernel > 1 else channels
            shape = (reads, side, side)
            layers.append(
                ConvLayer(
                    "googlenet", f"{module}/{name}", shape, outs[branch], kernel, 1, kernel // 2, 1,
                    act, weight, assumed,
                )
            )  # fmt: skip
    return tuple(layers)


def _squeezenet() -> tuple[ConvLayer, ...]:
    """Give SqueezeNet 1.0's 26 layers (Iandola et al., 2016): 33 % of weights, 227 x 227 inputs.

    Its paper gives the weights' density only, over all layers.
    """
    assumed = "no source: six of ten"
    layers = [
        ConvLayer("squeezenet", "conv1", (3, 227, 227), 96, 7, 2, 0, 1, 1.0, _PRUNED, assumed)
    ]
    channels = 96
    for number, (side, squeeze) in enumerate(_FIRES, 2):
        for name, reads, makes, kernel in (
            ("squeeze", channels, squeeze, 1),
            ("expand1x1", squeeze, 4 * squeeze, 1),
            ("expand3x3", squeeze, 4 * squeeze, 3),
        ):
            layers.append(
                ConvLayer(
                    "squeezenet", f"fire{number}/{name}", (reads, side, side), makes, kernel, 1,
                    kernel // 2, 1, 0.6, _PRUNED, assumed,
                )
            )  # fmt: skip
        channels = 8 * squeeze
    shape = (channels, 13, 13)
    layers.append(ConvLayer("squeezenet", "conv10", shape, 1000, 1, 1, 0, 1, 0.6, _PRUNED, assumed))
    return tuple(layers)


# Side of the plane, and output channels of the squeeze layer, of fire2 to fire9.
_FIRES = ((55, 16), (55, 16), (55, 32), (27, 32), (27, 48), (27, 48), (27, 64), (13, 64))
_PRUNED = 0.33

NETWORKS: dict[str, tuple[ConvLayer, ...]] = {
    "alexnet": _alexnet(),
    "googlenet": _googlenet(),
    "vgg16": _vgg16(),
}
"""Layers of each network, in order."""


SQUEEZENET = _squeezenet()
"""SqueezeNet's layers, which the evaluation counts from memory to memory only."""

WHOLE_NETWORKS = {**NETWORKS, "squeezenet": SQUEEZENET}
"""All networks that are counted from memory to memory."""


def _merged() -> tuple[ConvLayer, ...]:
    """Give the 1 x 1 layers of 3a and 5b that read the same tensor as one layer each."""
    found = []
    for module in _PUBLISHED:
        branches = [layer for layer in NETWORKS["googlenet"] if layer.name.startswith(f"{module}/")]
        same = [layer for layer in branches if layer.in_shape == branches[0].in_shape][:3]
        weights = [int(np.prod(layer.weight_shape)) for layer in same]
        found.append(
            replace(
                same[0],
                name=f"{module}/1x1 and both reduces",
                out_channels=sum(layer.out_channels for layer in same),
                merged=tuple(layer.full_name for layer in same),
                weight_density=sum(
                    size * layer.weight_density for size, layer in zip(weights, same, strict=True)
                )
                / sum(weights),
            )
        )
    return tuple(found)


MERGED = _merged()
"""1 x 1 layers of GoogLeNet that read the same tensor, as one layer: a compiler may do this."""

RTL_LAYERS = ("googlenet/3a/5x5_reduce", "googlenet/5b/5x5", "alexnet/conv3", "vgg16/conv5_2")
"""One layer of each kind, for runs on the RTL."""

NETWORK_NAMES = {
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "vgg16": "VGG-16",
    "squeezenet": "SqueezeNet 1.0",
}
"""As tables print them."""


def scnn_layers() -> dict[str, ConvLayer]:
    """Give all layers by their full name."""
    return {layer.full_name: layer for layers in NETWORKS.values() for layer in layers}
