"""Prune: keep the weights of largest magnitude (Han et al., ICLR 2016, section 2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.finetune import WeightLayer
from zeroskip.compiler.compress.masks import make_mask

__all__ = ["densities_of", "prune"]


def densities_of(density: float | Sequence[float], num_layers: int) -> list[float]:
    """Return one density per layer.

    Raises
    ------
    InputError
        If a density is not above 0 and at most 1, or there are not as many as layers.
    """
    given: list[Any]
    if isinstance(density, Sequence) and not isinstance(density, str):
        given = list(density)
    else:
        given = [density] * num_layers
    if len(given) != num_layers:
        raise InputError(
            f"density must be one number or {num_layers}, one per layer, not {len(given)}"
        )
    for value in given:
        real = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not real or not 0 < value <= 1:
            raise InputError(f"density must be above 0 and at most 1, not {value!r}")
    return [float(value) for value in given]


def prune(layers: Sequence[WeightLayer], densities: Sequence[float]) -> list[torch.Tensor]:
    """Set the smallest weights of each layer to 0 and return the masks of the others."""
    masks = [
        make_mask(layer.weight, density) for layer, density in zip(layers, densities, strict=True)
    ]
    with torch.no_grad():
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.mul_(mask)
    return masks
