"""Networks and data that come with Zeroskip; a preset of the same name compresses each."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from zeroskip.base.errors import InputError, ParameterError
from zeroskip.compiler.compress.images import (
    Distort,
    load_digits,
    load_mnist,
    loader,
    loader_in_order,
)
from zeroskip.compiler.compress.task import Task

__all__ = ["TASKS", "digits_cnn", "lenet5", "lenet_300_100", "task_of"]


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


_MODELS: dict[str, Callable[[], nn.Module]] = {
    "digits": lambda: lenet_300_100(64),
    "digits_cnn": digits_cnn,
    "lenet300": lenet_300_100,
    "lenet5": lenet5,
}

_DISTORT = {
    "lenet300": Distort(),
    # A small network of convolutions, trained for fewer epochs, learns less from strong distortion.
    "lenet5": Distort(turn=0.15, shear=0.15, scale=0.1, shift=0.1, wave=0.05),
}

TASKS = tuple(_MODELS)
"""Names of tasks. The digits come with scikit-learn; the others need a folder with MNIST."""


def task_of(name: str, data: Path | str | None = None) -> Task:
    """Return a task by name, one of :data:`TASKS`.

    Raises
    ------
    InputError
        If there is no such task, or its data are missing or damaged.
    """
    if name not in TASKS:
        raise ParameterError.of_names("task", name, TASKS)
    digits = name.startswith("digits")
    if digits and data is not None:
        raise InputError("the digits come with scikit-learn; they take no data folder")
    if not digits and data is None:
        raise ParameterError(
            "data", data, "the folder with MNIST's four files", f"task {name} trains on them"
        )
    images = load_digits() if data is None else load_mnist(data)
    return Task(
        name,
        _MODELS[name],
        lambda: loader(
            images.train_x, images.train_y, batch=64 if digits else 128, distort=_DISTORT.get(name)
        ),
        lambda: loader_in_order(images.test_x, images.test_y),
    )


def _named(**parts: nn.Module) -> nn.Sequential:
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    return module
