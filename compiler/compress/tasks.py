"""Networks and data that come with Zeroskip, each with the configuration that compresses it."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import Config
from zeroskip.compiler.compress.config_file import parse_config
from zeroskip.compiler.compress.digits import load_digits
from zeroskip.compiler.compress.mnist import Distort, load_mnist, loader, loader_in_order
from zeroskip.compiler.compress.task import Task

__all__ = ["TASKS", "lenet5", "lenet_300_100", "task_config", "task_of"]

TASKS = ("digits", "lenet300", "lenet5")
"""``digits`` needs no data; the others need a folder with MNIST."""


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


def task_of(name: str, data: Path | str | None = None) -> Task:
    """Return a task by name, one of :data:`TASKS`.

    Raises
    ------
    InputError
        If there is no such task, or its data are missing or damaged.
    """
    if name == "digits":
        if data is not None:
            raise InputError("the digits come with scikit-learn; they take no data folder")
        digits = load_digits()
        x, y = torch.from_numpy(digits.train_x), torch.from_numpy(digits.train_y)
        test = torch.from_numpy(digits.test_x), torch.from_numpy(digits.test_y)
        gentle = Distort(turn=0.15, shear=0.1, scale=0.1, shift=0.1, wave=0.03)
        return _task(name, lambda: lenet_300_100(64), (x, y), test, 64, gentle)
    if name not in TASKS:
        raise InputError(f"task must be one of {', '.join(TASKS)}, not {name!r}")
    if data is None:
        raise InputError(f"task {name} needs the folder with MNIST's four files: --data DIR")
    mnist = load_mnist(data)
    train, test = (mnist.train_x, mnist.train_y), (mnist.test_x, mnist.test_y)
    if name == "lenet300":
        return _task(name, lenet_300_100, train, test, 128, Distort())
    # A small network of convolutions, trained for fewer epochs, learns less from strong distortion.
    gentle = Distort(turn=0.15, shear=0.15, scale=0.1, shift=0.1, wave=0.05)
    return _task(name, lenet5, train, test, 128, gentle)


def task_config(name: str) -> Config:
    """Return the configuration of a task."""
    text = (resources.files("zeroskip.compiler.compress") / "presets" / f"{name}.toml").read_text()
    return parse_config(text, f"of {name}")


def _task(
    name: str,
    model: Callable[[], nn.Module],
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    batch: int,
    distort: Distort,
) -> Task:
    return Task(
        name,
        model,
        lambda: loader(*train, batch=batch, distort=distort),
        lambda: loader_in_order(*test),
    )


def _named(**parts: nn.Module) -> nn.Sequential:
    module = nn.Sequential()
    for name, part in parts.items():
        module.add_module(name, part)
    return module
