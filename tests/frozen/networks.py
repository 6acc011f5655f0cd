"""Networks whose compiled images and cycles are frozen, in shapes of all that users bring.

Nothing depends on the machine: weights and inputs come from NumPy's generators, and what is summed
in float only chooses formats, which an order of additions does not change.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.unit.compiler.cnn_networks import (
    Dense,
    GoogLeNet,
    LeNet,
    PreActivation,
    ResNet,
    SqueezeNet,
    depthwise,
)
from zeroskip import EieParams, compile
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.eie.presets import PRESETS as EIE
from zeroskip.compiler.image.image import Image
from zeroskip.hw.scnn.params import PRESETS as SCNN
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["NETWORKS", "Frozen"]

# Enough memory for what does not fit `tiny`, one PE with the default's multipliers.
_TILE = SCNN["tile"]
_WIDE = ScnnParams(pes_x=4, pes_y=2, num_streams=2, mult_f=4, mult_i=2, scatter_depth=4)


@dataclass(frozen=True)
class Frozen:
    """A network, the arrays it is compiled for, and inputs.

    Parameters
    ----------
    make : gives the module; its weights are drawn afterwards.
    shape : of an input, without batch.
    density : share of weights that are not 0.
    values : distinct values of a layer's weights that are not 0.
    eie, scnn : arrays.
    placement : of Linear layers.
    inputs : how many are run.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    density: float
    values: int
    eie: EieParams
    scnn: ScnnParams = _TILE
    placement: Strategy = "schedule"
    inputs: int = 2

    def compile(self, name: str) -> tuple[Image, NDArray[np.float64]]:
        """Draw weights and inputs, and compile; return the image and (n, *shape) inputs."""
        rng = np.random.default_rng([len(name), *name.encode()])
        module = self.make().eval()
        _draw_weights(module, rng, self.density, self.values)
        x = rng.integers(-64, 65, (8, *self.shape)) / 64.0
        x *= rng.random(x.shape) < 0.7
        sample = torch.from_numpy(x[:1].astype(np.float32))
        image = compile(
            module,
            sample,
            x,
            [self.eie, self.scnn],
            options={"placement": self.placement},
            name=name,
        )
        return image, x[: self.inputs]


def _draw_weights(module: nn.Module, rng: np.random.Generator, density: float, values: int) -> None:
    """Prune weights at random and share them, in place; biases and batch norms are drawn, too."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            shape = tuple(tensor.shape)
            if tensor.dim() > 1:
                book = np.sort(rng.choice(np.arange(-160, 161), values + 1, replace=False)) / 128.0
                book = book[book != 0][:values]
                drawn = book[rng.integers(len(book), size=shape)]
                drawn *= (rng.random(shape) < density) * 2.0 ** -round(
                    np.log2(max(1.0, tensor[0].numel() * density)) / 2
                )
            elif name.endswith("running_var"):
                drawn = rng.integers(32, 96, shape) / 64.0
            elif name.endswith("weight"):
                drawn = rng.integers(48, 80, shape) / 64.0
            else:
                drawn = rng.integers(-16, 17, shape) / 64.0
            tensor.copy_(torch.from_numpy(np.asarray(drawn, np.float32)))


def _mlp(*sizes: int, relu: bool = True) -> Callable[[], nn.Module]:
    """Make a chain of Linear layers, with ReLU between them or without."""

    def make() -> nn.Module:
        parts: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            parts += [nn.Linear(inputs, outputs), *([nn.ReLU()] if relu else [])]
        return nn.Sequential(*(parts[:-1] if relu else parts))

    return make


def _seq(*parts: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*(part() for part in parts))


def _digits_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    )


_SMALL = EieParams(num_pes=4)

NETWORKS = {
    # EIE alone.
    "digits": Frozen(_mlp(64, 300, 100, 10), (64,), 0.09, 15, EIE["small"].params, inputs=4),
    "digits_balance": Frozen(
        _mlp(64, 300, 100, 10), (64,), 0.09, 15, EIE["small"].params, placement="balance"
    ),
    "lenet_300_100_paper": Frozen(
        _mlp(784, 300, 100, 10), (784,), 0.08, 15, EIE["paper"].params, placement="interleave"
    ),
    "lenet_300_100_best": Frozen(_mlp(784, 300, 100, 10), (784,), 0.08, 15, EIE["best"].params),
    "signed_chain": Frozen(
        _mlp(40, 61, 33, 7, relu=False),
        (40,),
        0.3,
        31,
        EieParams(num_pes=3, code_bits=5, run_bits=2, acc_bits=40, word_bits=32),
    ),
    "segments": Frozen(
        _mlp(90, 120, 20),
        (90,),
        0.5,
        15,
        EieParams(num_pes=2, spmat_words=128, num_pointers=64, num_accs=16, num_acts=64),
        placement="balance",
    ),
    # SCNN, or both.
    "lenet5": Frozen(LeNet, (1, 28, 28), 0.4, 15, _SMALL),
    "lenet5_tiny": Frozen(LeNet, (1, 28, 28), 0.4, 7, _SMALL, SCNN["tiny"], inputs=1),
    "digits_cnn": Frozen(_digits_cnn, (1, 8, 8), 0.2, 15, EIE["small"].params),
    "squeezenet_1_0": Frozen(lambda: SqueezeNet("1.0"), (3, 47, 47), 0.5, 31, _SMALL, inputs=1),
    "squeezenet_1_1": Frozen(
        lambda: SqueezeNet("1.1"), (3, 47, 47), 0.5, 255, _SMALL, _WIDE, inputs=1
    ),
    "googlenet": Frozen(GoogLeNet, (3, 33, 33), 0.5, 15, _SMALL, _WIDE, inputs=1),
    "resnet": Frozen(ResNet, (3, 33, 33), 0.5, 15, _SMALL, inputs=1),
    "pre_activation": Frozen(
        _seq(lambda: nn.Conv2d(2, 4, 3, 2), lambda: PreActivation(4)), (2, 11, 9), 0.6, 15, _SMALL
    ),
    "dense_average": Frozen(
        _seq(
            lambda: Dense(3, 2),
            lambda: Dense(5, 2),
            lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            nn.Flatten,
            lambda: nn.Linear(7 * 6 * 6, 6),
        ),
        (3, 10, 10),
        0.5,
        15,
        _SMALL,
    ),
    "depthwise": Frozen(
        _seq(lambda: depthwise(3, 6, 1), lambda: depthwise(6, 8, 2)), (3, 12, 12), 0.7, 15, _SMALL
    ),
    "alexnet_conv1": Frozen(
        _seq(lambda: nn.Conv2d(3, 8, 11, 4), nn.ReLU, lambda: nn.MaxPool2d(3, 2)),
        (3, 43, 43),
        0.84,
        15,
        _SMALL,
        _WIDE,
        inputs=1,
    ),
}
