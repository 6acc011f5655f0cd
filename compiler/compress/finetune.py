"""Fine-tune a network while its zeros stay zeros and its shared weights stay shared."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from zeroskip.compiler.passes.share import cluster

__all__ = ["Objective", "SharedWeight", "WeightLayer", "finetune", "share"]

WeightLayer = nn.Linear | nn.Conv2d
"""A layer whose weights are pruned and shared."""

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Objective:
    """What a network is to compute.

    Parameters
    ----------
    inputs : (samples, *input_shape).
    targets : (samples,) int64 classes, or (samples, outputs) what the original computes.
    """

    inputs: torch.Tensor
    targets: torch.Tensor

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return cross entropy, or the mean square error in units of the targets' variance."""
        if not self.targets.is_floating_point():
            return functional.cross_entropy(outputs.flatten(1), targets)
        scale = self.targets.square().mean().clamp_min(torch.finfo(torch.float32).tiny)
        return functional.mse_loss(outputs.flatten(1), targets) / scale

    @torch.no_grad()
    def measure(self, module: nn.Module) -> tuple[float, float | None]:
        """Return loss, and accuracy (0 to 1) if the targets are classes, over all samples."""
        outputs = torch.cat([module(x) for x in self.inputs.split(1024)])
        loss = float(self.loss(outputs, self.targets))
        if self.targets.is_floating_point():
            return loss, None
        return loss, float((outputs.flatten(1).argmax(1) == self.targets).float().mean())


class SharedWeight:
    """A tensor of few values, which are trained instead of its elements.

    Parameters
    ----------
    weight : the tensor, which is overwritten with shared values; zeros stay.
    num_values : most values.
    """

    def __init__(self, weight: torch.Tensor, num_values: int) -> None:
        self._weight = weight
        self._place = weight.detach().flatten().nonzero().flatten()
        elements = weight.detach().flatten()[self._place]
        values = torch.from_numpy(cluster(elements.double().numpy(), num_values)).float()
        self.values = nn.Parameter(values)
        middles = (values[1:] + values[:-1]) / 2
        self._codes = torch.bucketize(elements, middles)
        self.write()

    @torch.no_grad()
    def write(self) -> None:
        """Write the values into the tensor."""
        self._weight.view(-1)[self._place] = self.values[self._codes]

    @torch.no_grad()
    def collect(self) -> None:
        """Give each value the sum of its elements' gradients (section 3.3 of the paper)."""
        if self._weight.grad is not None:
            elements = self._weight.grad.flatten()[self._place]
            self.values.grad = torch.bincount(self._codes, elements, len(self.values))


def share(layers: Sequence[WeightLayer], num_values: Sequence[int]) -> list[SharedWeight]:
    """Cluster the non-zero weights of each layer to at most its number of values."""
    return [
        SharedWeight(layer.weight, count) for layer, count in zip(layers, num_values, strict=True)
    ]


def finetune(
    module: nn.Module,
    layers: Sequence[WeightLayer],
    objective: Objective,
    *,
    masks: Sequence[torch.Tensor] = (),
    shared: Sequence[SharedWeight] = (),
    epochs: int,
    learning_rate: float,
    seed: int,
    noise: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Train ``module`` in place, with Adam and a learning rate that falls to 0.

    Parameters
    ----------
    module, layers : the network and its layers with weights.
    objective : data.
    masks : per layer, which weights may differ from 0; all, if empty.
    shared : per layer, the values that stand for its weights; biases are trained as they are.
    epochs : passes over the data.
    learning_rate : at the start.
    seed : of the order of samples, and of the noise.
    noise : standard deviation of normal noise added to inputs, which helps small data sets.
    progress : called with the finished share, 0 to 1, after each epoch.
    """
    weights = [layer.weight for layer in layers]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    trained = [part.values for part in shared] if shared else weights
    optimizer = torch.optim.Adam([*trained, *biases], lr=learning_rate)
    source = torch.Generator().manual_seed(seed)
    count = len(objective.inputs)
    steps = max(1, epochs * math.ceil(count / _BATCH))
    step = 0
    for epoch in range(epochs):
        for batch in torch.randperm(count, generator=source).split(_BATCH):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            x = objective.inputs[batch]
            if noise:
                x = x + noise * torch.randn(x.shape, generator=source)
            module.zero_grad()
            loss = objective.loss(module(x), objective.targets[batch])
            loss.backward()
            for part in shared:
                part.collect()
            optimizer.step()
            with torch.no_grad():
                for weight, mask in zip(weights, masks, strict=False):
                    weight.mul_(mask)
            for part in shared:
                part.write()
            step += 1
        if progress is not None:
            progress((epoch + 1) / epochs)
    module.zero_grad()
