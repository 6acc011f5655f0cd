"""Weight sharing by k-means in one dimension, from three starts (Han et al., section 3.2)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.compiler.compress.config import Init, Share
from zeroskip.compiler.compress.layers import Shared, by_layer, hold, layers_of
from zeroskip.compiler.passes.share import cluster

__all__ = ["share_layers", "share_weights", "start_centroids"]


def start_centroids(
    weights: NDArray[np.float64], count: int, init: Init, seed: int = 0
) -> NDArray[np.float64]:
    """Return where k-means starts, ascending; fewer than ``count`` if weights repeat.

    Parameters
    ----------
    weights : (n,) at least one.
    count : of centroids.
    init : ``linear`` spaces them evenly from smallest to largest weight, which keeps the few large
        weights; ``density`` puts equally many weights between neighbours; ``forgy`` draws weights.
    seed : of the drawing.
    """
    if init == "forgy":
        distinct = np.unique(weights)
        drawn = np.random.default_rng(seed).choice(
            distinct, min(count, distinct.size), replace=False
        )
        return np.sort(drawn)
    if init == "density":
        return np.unique(np.quantile(weights, (np.arange(count) + 0.5) / count))
    return np.unique(np.linspace(weights.min(), weights.max(), count))


def share_weights(weight: torch.Tensor, count: int, init: Init = "linear", seed: int = 0) -> Shared:
    """Return ``weight`` as at most ``count`` values; its zeros stay zeros, with code 0."""
    flat = weight.detach().cpu().double().numpy().ravel()
    nonzero = flat[flat != 0]
    codes = np.zeros(flat.size, np.uint8)
    values = np.zeros(0)
    if nonzero.size:
        start = start_centroids(nonzero, count, init, seed)
        values = np.unique(cluster(nonzero, count, start))
        codes[flat != 0] = np.searchsorted((values[1:] + values[:-1]) / 2, nonzero) + 1
    shaped = torch.from_numpy(codes.reshape(weight.shape)).to(weight.device)
    return Shared(shaped, torch.from_numpy(values).to(weight))


def share_layers(module: nn.Module, share: Share, seed: int = 0) -> None:
    """Share the weights of each layer of ``module``, which trains its values from now on.

    Raises
    ------
    InputError
        If ``share`` is not of the layers that ``module`` has.
    """
    layers = layers_of(module)
    counts = by_layer(module, "share.layers", share.layers, dict.fromkeys(layers, share.codes))
    for name, layer in layers.items():
        with torch.no_grad():
            hold(layer, share_weights(layer.weight, counts[name], share.init, seed))
