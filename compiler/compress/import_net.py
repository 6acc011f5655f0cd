"""Read ``.net`` files, in which the authors of Deep Compression released their networks.

Counts of entries of all layers as u32; then per layer 2^bits float32 of codebook, the biases as
float32, the codes (4 bits: two a byte, low half first), and 4-bit runs of zeros over the flattened
weights, two a byte. Codes are of 8 bits in convolutions and of 4 elsewhere.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.runs import from_entries

__all__ = ["KNOWN_NETS", "NetLayer", "parse_layers", "read_net"]

_CONV_BITS, _FC_BITS = 8, 4


@dataclass(frozen=True)
class NetLayer:
    """A layer of a ``.net`` file, which itself has neither names nor shapes.

    Parameters
    ----------
    name : of the layer.
    shape : of its weights, outputs first.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def code_bits(self) -> int:
        """Width of a code: 8 for convolutions, else 4."""
        return _CONV_BITS if len(self.shape) > 2 else _FC_BITS


def _squeezenet() -> list[NetLayer]:
    """Return the layers by the names of the prototxt that was released with the file."""
    layers = [NetLayer("conv1", (96, 3, 7, 7))]
    cin = 96
    for number, (squeeze, expand) in enumerate(
        [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)], 2
    ):
        fire = f"fire{number}"
        layers += [
            NetLayer(f"{fire}/conv1x1_1", (squeeze, cin, 1, 1)),
            NetLayer(f"{fire}/conv1x1_2", (expand, squeeze, 1, 1)),
            NetLayer(f"{fire}/conv3x3_2", (expand, squeeze, 3, 3)),
        ]
        cin = 2 * expand
    return [*layers, NetLayer("conv_final", (1000, cin, 1, 1))]


KNOWN_NETS = {
    "alexnet": [
        NetLayer("conv1", (96, 3, 11, 11)),
        NetLayer("conv2", (256, 48, 5, 5)),
        NetLayer("conv3", (384, 256, 3, 3)),
        NetLayer("conv4", (384, 192, 3, 3)),
        NetLayer("conv5", (256, 192, 3, 3)),
        NetLayer("fc6", (4096, 9216)),
        NetLayer("fc7", (4096, 4096)),
        NetLayer("fc8", (1000, 4096)),
    ],
    "squeezenet": _squeezenet(),
}
"""Layers of the networks that were released as ``.net`` files."""


def parse_layers(text: str) -> list[NetLayer]:
    """Return the layers of a known network, or those that text like ``fc1:300x784,fc2:10x300`` has.

    Raises
    ------
    InputError
        If it is neither.
    """
    if text in KNOWN_NETS:
        return KNOWN_NETS[text]
    layers: list[NetLayer] = []
    for part in text.split(","):
        match = re.fullmatch(r"([^:]+):(\d+(?:x\d+)+)", part.strip())
        if match is None:
            raise InputError(
                f"layers must be one of {', '.join(KNOWN_NETS)}, or like "
                f"conv1:20x1x5x5,fc1:10x500, not {part!r}"
            )
        shape = tuple(int(size) for size in match[2].split("x"))
        layers.append(NetLayer(match[1], shape))
    return layers


def read_net(path: Path | str, layers: Sequence[NetLayer]) -> dict[str, NDArray[np.float32]]:
    """Return the state dict in a ``.net`` file: ``<layer>.weight`` and ``<layer>.bias``.

    Raises
    ------
    InputError
        If the file cannot be read, or is not of these layers.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    counts = _take(data, 0, 4 * len(layers), path, "counts").view("<u4").tolist()
    position = 4 * len(layers)
    state: dict[str, NDArray[np.float32]] = {}
    for layer, count in zip(layers, counts, strict=True):

        def take(size: int, what: str, name: str = layer.name) -> NDArray[np.uint8]:
            nonlocal position
            part = _take(data, position, size, path, f"{what} of {name}")
            position += size
            return part

        codebook = take(4 << layer.code_bits, "codebook").view("<f4")
        state[f"{layer.name}.bias"] = take(4 * layer.shape[0], "biases").view("<f4").copy()
        packed = take(-(-count * layer.code_bits // 8), "codes")
        codes = packed if layer.code_bits == _CONV_BITS else _halves(packed)[:count]
        runs = _halves(take(-(-count // 2), "runs"))[:count]
        try:
            flat = from_entries(codes, runs, math.prod(layer.shape))
        except InputError as error:
            raise InputError(f"{path}, layer {layer.name!r}: {error}; are shapes right?") from error
        # Code 0 is 0 by where it stands: weights that no entry names have it.
        state[f"{layer.name}.weight"] = codebook[flat].reshape(layer.shape)
    if position != len(data):
        raise InputError(
            f"{path} has {len(data)} bytes, but these {len(layers)} layers take {position}"
        )
    return state


def _take(data: bytes, start: int, size: int, path: Path | str, what: str) -> NDArray[np.uint8]:
    if start + size > len(data):
        raise InputError(
            f"{path} is truncated, or not of these layers: it ends at byte {len(data)}, in {what}"
        )
    return np.frombuffer(data, np.uint8, size, start)


def _halves(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return half bytes, the low one first."""
    return np.stack([packed & 15, packed >> 4], 1).ravel().astype(np.uint8)
