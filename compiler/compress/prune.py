"""Prune: keep the weights of largest magnitude (Han et al., ICLR 2016, section 2)."""

from collections.abc import Sequence

import torch

from compiler.compress.finetune import WeightLayer
from compiler.errors import InputError

__all__ = ["densities_of", "magnitude_mask", "prune"]


def densities_of(density: float | Sequence[float], num_layers: int) -> list[float]:
    """Return one density per layer.

    Raises
    ------
    InputError
        If a density is not above 0 and at most 1, or there are not as many as layers.
    """
    given = [density] * num_layers if isinstance(density, (int, float)) else list(density)
    if len(given) != num_layers:
        raise InputError(
            f"density must be one number or {num_layers}, one per layer, not {len(given)}"
        )
    for value in given:
        if not 0 < value <= 1:
            raise InputError(f"density must be above 0 and at most 1, not {value!r}")
    return [float(value) for value in given]


def magnitude_mask(weight: torch.Tensor, density: float) -> torch.Tensor:
    """Return which weights to keep: the share ``density`` of all that is largest, at least one.

    Zeros are never kept. Of equal magnitudes the first are kept, so that masks are repeatable.
    """
    count = max(1, round(density * weight.numel()))
    flat = weight.detach().abs().flatten()
    order = torch.argsort(flat, descending=True, stable=True)
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask[order[:count]] = True
    return (mask & (flat > 0)).reshape(weight.shape)


def prune(layers: Sequence[WeightLayer], densities: Sequence[float]) -> list[torch.Tensor]:
    """Set the smallest weights of each layer to 0 and return the masks of the others."""
    masks = [
        magnitude_mask(layer.weight, density)
        for layer, density in zip(layers, densities, strict=True)
    ]
    with torch.no_grad():
        for layer, mask in zip(layers, masks, strict=True):
            layer.weight.mul_(mask)
    return masks
