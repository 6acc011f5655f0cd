"""A compiled network as a torch module, so that whatever measures a float one measures it."""

import torch
from torch import nn

from zeroskip.compiler.image.image import Image
from zeroskip.sim.run import run

__all__ = ["FixedPoint"]


class FixedPoint(nn.Module):
    """Compute in fixed point what the arrays compute, by the integer models; nothing is trained.

    Parameters
    ----------
    image : of the network.
    """

    def __init__(self, image: Image) -> None:
        super().__init__()
        self._image = image

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = run(self._image, x.numpy()).outputs
        return torch.from_numpy(outputs).float()
