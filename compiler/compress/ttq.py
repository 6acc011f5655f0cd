"""Trained ternary quantization: weights of two trained values and 0 (Zhu et al., ICLR 2017).

To everything behind it, it is a codebook of two values.
"""

import torch
from torch import nn

from zeroskip.compiler.compress.layers import Layer, hold

__all__ = ["Ternary", "hold_ternary"]


class Ternary(nn.Module):
    """A weight that is ``positive``, 0 or ``-negative`` as a trained float weight says.

    Both values get the sum of their elements' gradients; the float weight gets the gradients of
    its elements, times their values where these are not 0 (equations 7 and 8 of the paper).

    Parameters
    ----------
    threshold : float weights below this share of the largest are 0.
    positive, negative : where training starts.
    """

    def __init__(self, threshold: float, positive: torch.Tensor, negative: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(threshold, device=positive.device))
        self.positive = nn.Parameter(positive.clone())
        self.negative = nn.Parameter(negative.clone())

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        limit = self.get_buffer("threshold") * weight.detach().abs().max()
        above, below = weight.detach() > limit, weight.detach() < -limit
        value = self.positive * above - self.negative * below
        with torch.no_grad():
            scale = torch.where(above, self.positive, torch.where(below, self.negative, 1.0))
        through = weight * scale
        # Adds 0, exactly, and carries the gradient to the float weight.
        return value + (through - through.detach())


def hold_ternary(layer: Layer, threshold: float) -> None:
    """Make the weight of ``layer`` ternary, starting from the means of what each value replaces."""
    weight = layer.weight.detach()
    limit = threshold * weight.abs().max()
    hold(
        layer,
        Ternary(threshold, _mean(weight[weight > limit]), _mean(-weight[weight < -limit])),
    )


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean() if values.numel() else values.new_zeros(())
