"""What is compressed and on which data: a network, batches to train and to test with."""

import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from compiler.errors import InputError

__all__ = ["Batches", "Loss", "Score", "Task", "evaluate", "load_hooks", "split_batch", "task_loss"]

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]
"""Pairs of inputs and targets, batch first; a ``DataLoader`` is one, and so is a list."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_REQUIRED = ("model", "train_loader", "test_loader")


@dataclass(frozen=True, eq=False)
class Task:
    """A network and its data.

    Parameters
    ----------
    name : for messages.
    model : returns the network; a trained one, unless the configuration trains it.
    train_loader, test_loader : return batches.
    loss : of outputs and targets; cross entropy of classes or mean square error, if None.
    """

    name: str
    model: Callable[[], nn.Module]
    train_loader: Callable[[], Batches]
    test_loader: Callable[[], Batches]
    loss: Loss | None = None

    def example(self) -> torch.Tensor:
        """Return one input, batch first."""
        for inputs, _ in self.test_loader():
            return inputs[:1]
        raise InputError(f"{self.name}: test_loader() has no batch")


@dataclass(frozen=True)
class Score:
    """How well a network does on data.

    Parameters
    ----------
    loss : mean over samples.
    accuracy : share classified right, 0 to 1; None if targets are no classes.
    samples : measured on.
    """

    loss: float
    accuracy: float | None
    samples: int

    @property
    def error(self) -> float:
        """Percent classified wrong; without classes the loss."""
        return self.loss if self.accuracy is None else 100.0 * (1.0 - self.accuracy)


def load_hooks(path: Path | str) -> Task:
    """Read a Python file with ``model()``, ``train_loader()``, ``test_loader()``.

    It may also have ``loss(outputs, targets)``. The file is run: it is the user's own program.

    Raises
    ------
    InputError
        If the file cannot be run, or lacks a function.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"hook file {path} does not exist")
    spec = importlib.util.spec_from_file_location(f"zeroskip_hooks_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"hook file {path} must be Python and end in .py")
    module = importlib.util.module_from_spec(spec)
    # Data loaders that start processes look their classes up by module.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(
            f"hook file {path} cannot be run: {type(error).__name__}: {error}"
        ) from error
    missing = [name for name in _REQUIRED if not callable(getattr(module, name, None))]
    if missing:
        raise InputError(
            f"hook file {path} has no {' and no '.join(f'{name}()' for name in missing)}; it needs "
            f"{', '.join(f'{name}()' for name in _REQUIRED)}"
        )
    given: Any = module
    return Task(
        path.stem,
        given.model,
        given.train_loader,
        given.test_loader,
        getattr(module, "loss", None),
    )


def task_loss(task: Task) -> Loss:
    """Return the loss of ``task``."""
    return task.loss or _loss


@torch.no_grad()
def evaluate(module: nn.Module, task: Task, batches: Batches | None = None) -> Score:
    """Measure ``module`` in eval mode, on the test batches unless others are given.

    Raises
    ------
    InputError
        If there is no batch, or batches are no pairs.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    training = module.training
    module.eval()
    loss, right, samples, classes = 0.0, 0, 0, True
    try:
        for batch in task.test_loader() if batches is None else batches:
            inputs, targets = split_batch(batch, task, device)
            outputs = module(inputs)
            loss += float(task_loss(task)(outputs, targets)) * len(inputs)
            samples += len(inputs)
            classes = classes and not targets.is_floating_point()
            if classes:
                right += int((outputs.argmax(1) == targets).sum())
    finally:
        module.train(training)
    if not samples:
        raise InputError(f"{task.name}: there is no batch to measure with")
    return Score(loss / samples, right / samples if classes else None, samples)


def split_batch(batch: Any, task: Task, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets of a batch on ``device``."""
    if (
        not isinstance(batch, (tuple, list))
        or len(batch) != 2
        or not all(isinstance(part, torch.Tensor) for part in batch)
    ):
        raise InputError(f"{task.name}: batches must be pairs of tensors: inputs, targets")
    return batch[0].to(device), batch[1].to(device)


def _loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if targets.is_floating_point():
        return functional.mse_loss(outputs, targets)
    return functional.cross_entropy(outputs, targets)
