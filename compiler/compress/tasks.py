"""Networks and data that come with Zeroskip; a preset of the same name compresses each."""

from collections.abc import Callable
from dataclasses import replace
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
from zeroskip.compiler.compress.task import Task

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
    """An LSTM with initial weights, and a Linear of its outputs.

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


_MODELS: dict[str, Callable[[], nn.Module]] = {
    "digits": lambda: lenet_300_100(64),
    "digits_cnn": digits_cnn,
    "digits_rows": lambda: Tagger(8, 64, 10, every_step=False),
    "lenet300": lenet_300_100,
    "lenet5": lenet5,
    "topics": lambda: Tagger(CHARACTERS, 256, CHARACTERS, every_step=True),
    "vowels": lambda: Tagger(12, 128, SPEAKERS, every_step=False),
}

_DISTORT = {
    "lenet300": Distort(),
    # A small network of convolutions, trained for fewer epochs, learns less from strong distortion.
    "lenet5": Distort(turn=0.15, shear=0.15, scale=0.1, shift=0.1, wave=0.05),
}

TASKS = tuple(_MODELS)
"""Names of tasks. The digits come with scikit-learn, the topics with Python, the vowels with aeon;
the others need a folder with MNIST."""

_BATCHES = {"digits": 64, "digits_cnn": 64, "digits_rows": 64, "topics": 16, "vowels": 32}


def task_of(name: str, data: Path | str | None = None) -> Task:
    """Return a task by name, one of :data:`TASKS`.

    Raises
    ------
    InputError
        If there is no such task, or its data are missing or damaged.
    """
    if name not in TASKS:
        raise ParameterError.of_names("task", name, TASKS)
    samples = samples_of(name, data)
    return Task(
        name,
        _MODELS[name],
        lambda: loader(
            samples.train_x,
            samples.train_y,
            batch=_BATCHES.get(name, 128),
            distort=_DISTORT.get(name),
        ),
        lambda: loader_in_order(samples.test_x, samples.test_y),
        _loss_of_steps if name == "topics" else None,
    )


def samples_of(name: str, data: Path | str | None = None) -> Samples:
    """Return what a task trains and tests with.

    Raises
    ------
    InputError
        If its data are missing or damaged.
    """
    if name == "vowels":
        return load_vowels(data)
    comes = {"topics": (load_topics, "topics come with Python")}
    digits = "digits come with scikit-learn"
    comes |= dict.fromkeys(("digits", "digits_cnn"), (load_digits, digits))
    comes["digits_rows"] = _load_rows, digits
    if name in comes:
        load, where = comes[name]
        if data is not None:
            raise InputError(f"the {where}; they take no data folder")
        return load()
    if data is None:
        raise ParameterError(
            "data", data, "the folder with MNIST's four files", f"task {name} trains on them"
        )
    return load_mnist(data)


def _load_rows() -> Samples:
    """Return digits as sequences of their rows."""
    images = load_digits()
    return replace(images, train_x=images.train_x[:, 0], test_x=images.test_x[:, 0])


def _loss_of_steps(outputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of (batch, steps, classes), a mean over all steps."""
    return nn.functional.cross_entropy(outputs.flatten(0, 1), classes.flatten())


def _named(**parts: nn.Module) -> nn.Sequential:
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    return module
