"""The embedded default: handwritten digits, an MLP of LeNet-300-100 shape, compressed.

The data are scikit-learn's 1,797 real 8 x 8 scans, which it carries along: nothing is downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.finetune import Objective, finetune
from zeroskip.compiler.compress.module import linear_layers
from zeroskip.compiler.compress.pipeline import CompressReport, Step, compress

__all__ = ["DIGITS_DENSITIES", "Digits", "DigitsModel", "compress_digits", "load_digits"]

DIGITS_DENSITIES = (0.08, 0.09, 0.26)
"""Weights kept in each layer: those of LeNet-300-100 in Han et al., ICLR 2016, table 2."""

_TEST = 360
_TRAIN_EPOCHS = 40
_TUNE_EPOCHS = 60
_NOISE = 0.2
_TRAIN_SHARE = 0.3
"""Part of the whole time that the first training takes."""


@dataclass(frozen=True, eq=False)
class Digits:
    """The data, split.

    Parameters
    ----------
    train_x, test_x : (samples, 1, 8, 8) float32, 0 to 1.
    train_y, test_y : (samples,) int64, 0 to 9.
    """

    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DigitsModel:
    """What :func:`compress_digits` made.

    Parameters
    ----------
    model : the compressed network, in eval mode.
    original : the network before.
    data : what both were trained and measured with.
    report : loss and accuracy on the test split after each step.
    """

    model: nn.Module
    original: nn.Sequential
    data: Digits
    report: CompressReport


def load_digits(seed: int = 0) -> Digits:
    """Return the digits, shuffled and split: 1,437 to train and 360 to test.

    Raises
    ------
    InputError
        If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise InputError("the digits come with scikit-learn: pip install scikit-learn") from error
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(pixels))
    x = (pixels[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    y = labels[order].astype(np.int64)
    return Digits(x[_TEST:], y[_TEST:], x[:_TEST], y[:_TEST])


def compress_digits(
    *,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> DigitsModel:
    """Train a 64-300-100-10 MLP on the digits and compress it; takes seconds.

    Parameters
    ----------
    seed : of the split, the initial weights and the order of samples.
    progress : called with the running step and how much of all is done, 0 to 1.
    on_step : called with each step's result.
    """
    data = load_digits(seed)

    def at(start: float, share: float) -> Callable[[str, float], None]:
        return lambda name, done: progress(name, start + share * done) if progress else None

    original = _mlp(seed)
    training = at(0.0, _TRAIN_SHARE)
    finetune(
        original,
        linear_layers(original),
        Objective(torch.from_numpy(data.train_x), torch.from_numpy(data.train_y)),
        epochs=_TRAIN_EPOCHS,
        learning_rate=2e-3,
        seed=seed,
        noise=_NOISE,
        progress=lambda done: training("float", done),
    )
    model, report = compress(
        original.eval(),
        data.train_x,
        data.train_y,
        density=DIGITS_DENSITIES,
        epochs=_TUNE_EPOCHS,
        seed=seed,
        learning_rate=2e-3,
        noise=_NOISE,
        test=(data.test_x, data.test_y),
        progress=at(_TRAIN_SHARE, 1.0 - _TRAIN_SHARE),
        on_step=on_step,
    )
    return DigitsModel(model, original, data, report)


def _mlp(seed: int) -> nn.Sequential:
    """Return the network with initial weights of ``seed``."""
    # Layers draw their weights from torch's global generator, which is the caller's to seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential()
        module.add_module("flatten", nn.Flatten())
        module.add_module("fc1", nn.Linear(64, 300))
        module.add_module("relu1", nn.ReLU())
        module.add_module("fc2", nn.Linear(300, 100))
        module.add_module("relu2", nn.ReLU())
        module.add_module("fc3", nn.Linear(100, 10))
    return module
