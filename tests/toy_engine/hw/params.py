"""Sizes of the dense array, and what RTL, compiler and models share of its formats."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from zeroskip.hw.common.params import ArrayParams

__all__ = ["DenseParams", "Space", "StallClass"]


class Space(enum.IntEnum):
    """Memory that the host writes."""

    WEIGHTS = 0
    BIASES = 1
    ACTS = 2


class StallClass(enum.IntEnum):
    """What the multiplier does in a cycle."""

    USEFUL = 0
    """Multiplies two numbers that are not 0."""
    ZERO = 1
    """Multiplies by 0."""
    OVERHEAD = 2
    """Waits for a row's first weight, or for its output to be written."""


@dataclass(frozen=True, kw_only=True)
class DenseParams(ArrayParams):
    """Sizes of a dense array of one multiplier.

    Parameters
    ----------
    weight_bits : width of a weight, signed.
    act_bits : width of an activation, signed.
    acc_bits : width of the accumulator, two's complement that wraps.
    num_weights : weights of a layer.
    num_acts : inputs of a layer.
    num_biases : outputs of a layer.
    """

    weight_bits: int = 16
    act_bits: int = 16
    acc_bits: int = 32
    num_weights: int = 4096
    num_acts: int = 256
    num_biases: int = 64

    ranges: ClassVar[Mapping[str, tuple[int, int]]] = {
        "weight_bits": (2, 32),
        "act_bits": (2, 32),
        "acc_bits": (8, 64),
        "num_weights": (2, 1 << 20),
        "num_acts": (2, 1 << 15),
        "num_biases": (2, 1 << 15),
    }
