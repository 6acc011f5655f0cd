"""Networks and data that come with Zeroskip; a preset of the same name compresses each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.compiler.compress.images import (
    Distort,
    Samples,
    load_digits,
    load_mnist,
    loader,
    loader_in_order,
)
from zeroskip.compiler.compress.sequences import CHARACTERS, SPEAKERS, load_topics, load_vowels
from zeroskip.compiler.compress.task import Loss, Task

__all__ = ["TASKS", "Tagger", "digits_cnn", "lenet5", "lenet_300_100", "samples_of", "task_of"]


def lenet_300_100(inputs: int = 784) -> nn.Sequential:
    """Return LeNet-300-100 with initial weights (266,610 parameters)."""
    return _named(
        flatten=nn.Flatten(),
        ip1=nn.Linear(inputs, 300),
        relu1=nn.ReLU(),
        ip2=nn.Linear(300, 100),
        relu2=nn.ReLU(),
        ip3=nn.Linear(100, 10),
    )


def lenet5() -> nn.Sequential:
    """Return LeNet-5 as Caffe has it, with ReLU (431,080 parameters)."""
    module = _named(
        conv1=nn.Conv2d(1, 20, 5),
        pool1=nn.MaxPool2d(2),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(20, 50, 5),
        pool2=nn.MaxPool2d(2),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        ip1=nn.Linear(800, 500),
        relu3=nn.ReLU(),
        ip2=nn.Linear(500, 10),
    )
    for part in module:
        if isinstance(part, nn.Conv2d):
            # Trains about twice as fast on a CPU as with channels first.
            part.weight = nn.Parameter(part.weight.to(memory_format=torch.channels_last))
    return module


def digits_cnn() -> nn.Sequential:
    """Return a CNN of LeNet-5's shape for 8 x 8 digits, with initial weights."""
    return _named(
        conv1=nn.Conv2d(1, 20, 3, padding=1),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(20, 50, 3, padding=1),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        ip1=nn.Linear(200, 500),
        relu3=nn.ReLU(),
        ip2=nn.Linear(500, 10),
    )


class Tagger(nn.Module):
    """A network of an LSTM and a Linear that tells the class of a sequence, or of each step.

    Parameters
    ----------
    inputs, units, classes : values of a step, hidden units, and outputs.
    every_step : give the classes of every step, (batch, steps, classes), not of the last alone.
    """

    def __init__(self, inputs: int, units: int, classes: int, *, every_step: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, units, batch_first=True)
        self.out, self._every_step = nn.Linear(units, classes), every_step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x)
        return self.out(y if self._every_step else y[:, -1])


Load = Callable[[Path | str | None], Samples]


@dataclass(frozen=True)
class _Recipe:
    """How a task is made.

    Parameters
    ----------
    model : makes the network, with initial weights.
    load : gives the samples, from a folder where they need one.
    batch : samples of a step of training.
    distort : how samples are changed while training.
    loss : of outputs and classes; None: cross entropy of one class a sample.
    """

    model: Callable[[], nn.Module]
    load: Load
    batch: int
    distort: Distort | None = None
    loss: Loss | None = None


def _comes(where: str, load: Callable[[], Samples]) -> Load:
    """Return how to load samples that a package has, and that no folder is taken for."""

    def made(data: Path | str | None) -> Samples:
        if data is not None:
            raise InputError(f"the {where}; they take no data folder")
        return load()

    return made


def _load_mnist(name: str, data: Path | str | None) -> Samples:
    if data is None:
        rule = "the folder with MNIST's four files"
        raise ParameterError("data", data, rule, f"task {name} trains on them")
    return load_mnist(data)


def _load_rows() -> Samples:
    """Return digits as sequences of their rows, (samples, 8, 8)."""
    images = load_digits()
    return replace(images, train_x=images.train_x[:, 0], test_x=images.test_x[:, 0])


def _loss_of_steps(outputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of (batch, steps, classes), a mean over all steps."""
    return nn.functional.cross_entropy(outputs.flatten(0, 1), classes.flatten())


_DIGITS, _TOPICS = "digits come with scikit-learn", "topics come with Python"

_RECIPES = {
    "digits": _Recipe(lambda: lenet_300_100(64), _comes(_DIGITS, load_digits), 64),
    "digits_cnn": _Recipe(digits_cnn, _comes(_DIGITS, load_digits), 64),
    "digits_rows": _Recipe(
        lambda: Tagger(8, 64, 10, every_step=False), _comes(_DIGITS, _load_rows), 64
    ),
    "lenet300": _Recipe(lenet_300_100, partial(_load_mnist, "lenet300"), 128, Distort()),
    "lenet5": _Recipe(
        lenet5,
        partial(_load_mnist, "lenet5"),
        128,
        # A small network of convolutions, trained for fewer epochs, learns less from strong
        # distortion.
        Distort(turn=0.15, shear=0.15, scale=0.1, shift=0.1, wave=0.05),
    ),
    "topics": _Recipe(
        lambda: Tagger(CHARACTERS, 256, CHARACTERS, every_step=True),
        _comes(_TOPICS, load_topics),
        16,
        loss=_loss_of_steps,
    ),
    "vowels": _Recipe(lambda: Tagger(12, 128, SPEAKERS, every_step=False), load_vowels, 32),
}

TASKS = tuple(_RECIPES)
"""Names of the tasks that come with Zeroskip.

Samples of digits are scikit-learn's, of topics Python's own, of vowels those of the package aeon;
the other tasks need a folder with MNIST.
"""


def task_of(name: str, data: Path | str | None = None) -> Task:
    """Return a task by name, one of :data:`TASKS`.

    Raises
    ------
    InputError
        If there is no such task, or its data are missing or damaged.
    """
    samples = samples_of(name, data)
    recipe = _RECIPES[name]
    return Task(
        name,
        recipe.model,
        lambda: loader(
            samples.train_x, samples.train_y, batch=recipe.batch, distort=recipe.distort
        ),
        lambda: loader_in_order(samples.test_x, samples.test_y),
        recipe.loss,
    )


def samples_of(name: str, data: Path | str | None = None) -> Samples:
    """Return what a task trains and tests with.

    Raises
    ------
    InputError
        If there is no such task, or its data are missing or damaged.
    """
    if name not in _RECIPES:
        raise ParameterError.of_names("task", name, TASKS)
    return _RECIPES[name].load(data)


def _named(**parts: nn.Module) -> nn.Sequential:
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    return module
