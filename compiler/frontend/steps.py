"""Steps of a graph under construction that are no layers in the end: scalings and ReLUs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.graph import FloatNode

__all__ = ["Affine", "Draft", "Relu", "layer_name"]


@dataclass(frozen=True, eq=False)
class Affine:
    """``y = scale * x + shift``, (C,) each, until it is part of a layer.

    Parameters
    ----------
    name, inputs, scale, shift : of the first step, and of all that it took in.
    folded : names of the steps that change weights.
    stays : it is not part of a layer after it.
    """

    name: str
    inputs: tuple[str]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    folded: tuple[str, ...]
    stays: bool = False


@dataclass(frozen=True)
class Relu:
    """``y = max(x, 0)``, until it is part of what made x."""

    name: str
    inputs: tuple[str]


Draft = FloatNode | Affine | Relu
"""What a graph under construction has for nodes."""


def layer_name(node: Draft) -> str:
    """Return the name of the layer that a node of a graph under construction becomes."""
    return node.name.rpartition("#")[0]
