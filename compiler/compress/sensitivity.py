"""How much each layer can be pruned alone, without retraining (Han et al., NIPS 2015, 3.4)."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from zeroskip.compiler.compress.config import Analyze, Granularity
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.masks import make_mask
from zeroskip.compiler.compress.task import Score, Task, evaluate

__all__ = ["Sensitivity", "analyze", "scale_densities"]


@dataclass(frozen=True)
class Sensitivity:
    """One layer.

    Parameters
    ----------
    name : of the layer.
    weights : how many.
    std : standard deviation of the weights, which thresholds are measured in.
    densities, losses, accuracies : what was tried, and what the network then did.
    density : the lowest that costs at most the tolerance, read between the tried ones.
    threshold : magnitude below which weights go at that density.
    """

    name: str
    weights: int
    std: float
    densities: tuple[float, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    density: float
    threshold: float

    @property
    def quality(self) -> float:
        """The paper's quality parameter: threshold over standard deviation."""
        return self.threshold / self.std if self.std else 0.0


def analyze(
    module: nn.Module,
    task: Task,
    config: Analyze,
    *,
    seed: int = 0,
    granularity: Granularity = "fine",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Score, list[Sensitivity]]:
    """Prune each layer alone to each density and measure on training data.

    ``module`` is left as it was. Test data are not touched: what is chosen here must not be
    chosen for them.
    """
    torch.manual_seed(seed)
    batches = list(itertools.islice(task.training(), config.batches))
    if not batches:
        task.training().first()
    base = evaluate(module, task, batches)
    densities = tuple(sorted({1.0, *config.densities}, reverse=True))
    layers = layers_of(module)
    found: list[Sensitivity] = []
    for number, (name, layer) in enumerate(layers.items()):
        kept = layer.weight.detach().clone()
        scores: list[Score] = []
        try:
            for index, density in enumerate(densities):
                with torch.no_grad():
                    layer.weight.copy_(kept * make_mask(kept, density, granularity))
                scores.append(evaluate(module, task, batches) if density < 1 else base)
                if progress is not None:
                    done = number * len(densities) + index + 1
                    progress(done, len(layers) * len(densities))
        finally:
            with torch.no_grad():
                layer.weight.copy_(kept)
        density = _lowest(densities, scores, base, config.tolerance)
        ordered = kept.abs().flatten().sort(descending=True).values
        last = max(0, min(len(ordered), round(density * len(ordered))) - 1)
        found.append(
            Sensitivity(
                name=name,
                weights=kept.numel(),
                std=float(kept.std(correction=0)),
                densities=densities,
                losses=tuple(score.loss for score in scores),
                accuracies=tuple(score.accuracy for score in scores),
                density=density,
                threshold=float(ordered[last]),
            )
        )
    return base, found


def scale_densities(found: Sequence[Sensitivity], mean: float) -> dict[str, float]:
    """Return densities in proportion to those found, at most 1, that keep ``mean`` of all weights.

    A layer that bears much is pruned more than one that bears little.
    """
    total = sum(layer.weights for layer in found)
    # What bears everything is still scaled.
    bears = {layer.name: max(layer.density, 1e-6) for layer in found}

    def kept(scale: float) -> float:
        shares = (min(1.0, scale * bears[layer.name]) * layer.weights for layer in found)
        return sum(shares) / total

    low, high = 0.0, 1.0 / min(bears.values())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) < mean else (low, middle)
    return {name: min(1.0, high * density) for name, density in bears.items()}


def _lowest(
    densities: Sequence[float], scores: Sequence[Score], base: Score, tolerance: float
) -> float:
    """Return where the network first gets worse than allowed, going down."""

    def cost(score: Score) -> float:
        if base.accuracy is None or score.accuracy is None:
            return score.loss / max(base.loss, 1e-12) - 1
        return base.accuracy - score.accuracy

    for (above, a), (below, b) in itertools.pairwise(zip(densities, scores, strict=True)):
        if cost(b) > tolerance:
            share = (tolerance - cost(a)) / max(cost(b) - cost(a), 1e-12)
            # Densities are spaced evenly in their logarithms, roughly; 0 has none.
            low = max(below, above / 100)
            return math.exp(math.log(above) + share * (math.log(low) - math.log(above)))
    return densities[-1]
