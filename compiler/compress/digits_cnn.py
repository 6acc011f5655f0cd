"""The digits again, with a CNN of LeNet-5's shape: two convolutions, pooling, two Linears."""

from collections.abc import Callable

import torch
from torch import nn

from zeroskip.compiler.compress.digits import Digits, load_digits
from zeroskip.compiler.compress.finetune import Objective, WeightLayer, finetune
from zeroskip.compiler.compress.pipeline import CompressReport, Step, compress_module, layers_of

__all__ = ["CNN_CODES", "CNN_DENSITIES", "compress_digits_cnn"]

CNN_DENSITIES = (0.66, 0.12, 0.08, 0.19)
"""Weights kept in each layer: those of LeNet-5 in Han et al., ICLR 2016, table 3."""

CNN_CODES = (255, 255, 15, 15)
"""Shared values of each layer: 8 bits for convolutions, 4 for Linears, as there."""

_TRAIN_EPOCHS = 30
_TUNE_EPOCHS = 45
_NOISE = 0.2
_TRAIN_SHARE = 0.3
"""Part of the whole time that the first training takes."""


def compress_digits_cnn(
    *,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> tuple[nn.Sequential, Digits, CompressReport]:
    """Train a CNN on the digits and compress it; takes seconds.

    Parameters
    ----------
    seed : of the split, the initial weights and the order of samples.
    progress : called with the running step and how much of all is done, 0 to 1.
    on_step : called with each step's result.

    Returns
    -------
    The compressed network in eval mode, the data, and loss and accuracy on the test split after
    each step.
    """
    data = load_digits(seed)
    module = _lenet(seed)
    named = [
        (name, part) for name, part in module.named_children() if isinstance(part, WeightLayer)
    ]
    layers = [part for _, part in named]
    training = Objective(torch.from_numpy(data.train_x), torch.from_numpy(data.train_y))

    def at(start: float, share: float) -> Callable[[str, float], None]:
        return lambda name, done: progress(name, start + share * done) if progress else None

    train = at(0.0, _TRAIN_SHARE)
    finetune(
        module,
        layers,
        training,
        epochs=_TRAIN_EPOCHS,
        learning_rate=2e-3,
        seed=seed,
        noise=_NOISE,
        progress=lambda done: train("float", done),
    )
    steps = compress_module(
        module.eval(),
        layers,
        training,
        Objective(torch.from_numpy(data.test_x), torch.from_numpy(data.test_y)),
        densities=CNN_DENSITIES,
        codes=CNN_CODES,
        epochs=_TUNE_EPOCHS,
        rounds=3,
        seed=seed,
        learning_rate=2e-3,
        noise=_NOISE,
        progress=at(_TRAIN_SHARE, 1.0 - _TRAIN_SHARE),
        on_step=on_step,
    )
    return module, data, CompressReport(steps, layers_of([name for name, _ in named], layers))


def _lenet(seed: int) -> nn.Sequential:
    """Return the network with initial weights of ``seed``."""
    # Layers draw their weights from torch's global generator, which is the caller's to seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential()
        module.add_module("conv1", nn.Conv2d(1, 20, 3, padding=1))
        module.add_module("relu1", nn.ReLU())
        module.add_module("pool1", nn.MaxPool2d(2))
        module.add_module("conv2", nn.Conv2d(20, 50, 3, padding=1))
        module.add_module("relu2", nn.ReLU())
        module.add_module("pool2", nn.MaxPool2d(2))
        module.add_module("flatten", nn.Flatten())
        module.add_module("fc1", nn.Linear(200, 500))
        module.add_module("relu3", nn.ReLU())
        module.add_module("fc2", nn.Linear(500, 10))
    return module
