"""What is compressed and on which data: a network, batches to train and to test with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.batches import Loader
from zeroskip.compiler.compress.users_code import running

__all__ = ["Batches", "Loss", "Score", "Task", "computing", "evaluate", "loss_of"]

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]
"""Pairs of inputs and targets, batch first; a ``DataLoader`` is one, and so is a list."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_IGNORED = -100
"""Target that cross entropy leaves out."""


@dataclass(frozen=True, eq=False)
class Task:
    """A network and its data.

    Parameters
    ----------
    name : for messages.
    model : returns the network; a trained one, unless the configuration trains it.
    train_loader, test_loader : return batches.
    loss : of outputs and targets; cross entropy of classes or mean square error, if None.
    file : that these come from, a user's.
    """

    name: str
    model: Callable[[], nn.Module]
    train_loader: Callable[[], Batches]
    test_loader: Callable[[], Batches]
    loss: Loss | None = None
    file: Path | None = None

    def network(self) -> nn.Module:
        """Return the network as ``model`` makes it.

        Raises
        ------
        InputError
            If it cannot be made, or is no module.
        """
        with running(f"{self.name}: model()", self.file):
            module: Any = self.model()
        if not isinstance(module, nn.Module):
            what = f"the class {module.__name__}" if isinstance(module, type) else None
            raise InputError(
                f"{self.name}: model() must return a torch.nn.Module, not "
                f"{what or type(module).__name__}"
            )
        return module

    def training(self) -> Loader:
        """Return the batches to train with."""
        return Loader(self.train_loader, f"{self.name}: train_loader()", self.file)

    def testing(self) -> Loader:
        """Return the batches to test with."""
        return Loader(self.test_loader, f"{self.name}: test_loader()", self.file)

    def example(self) -> torch.Tensor:
        """Return one input, batch first."""
        return self.testing().first()[0][:1]


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


def loss_of(task: Task, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
    """Return the loss of a batch.

    Raises
    ------
    InputError
        If outputs are no tensor, or targets do not fit them.
    """
    if not isinstance(outputs, torch.Tensor):
        raise InputError(
            f"{task.name}: model() must give one tensor, not {type(outputs).__name__}; wrap it in "
            "a module whose forward returns the tensor alone"
        )
    if task.loss is None:
        return _loss(task.name, outputs, targets)
    loss: Any = task.loss(outputs, targets)
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        what = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise InputError(f"{task.name}: loss() must return a tensor of one float, not {what}")
    return loss


def computing(task: Task, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
    """Return the context in which ``task``'s network and loss run on a batch."""
    kinds = [
        f"{str(part.dtype).removeprefix('torch.')} of shape {tuple(part.shape)}"
        for part in (inputs, targets)
    ]
    hint = "" if inputs.is_floating_point() else " (pictures must be floats: x.float() / 255)"
    what = f"inputs, {kinds[0]}{hint}, and targets, {kinds[1]}"
    return running(f"{task.name}: model() and loss with {what},", task.file)


@torch.no_grad()
def evaluate(module: nn.Module, task: Task, batches: Batches | None = None) -> Score:
    """Measure ``module`` in eval mode, on the test batches unless others are given.

    Raises
    ------
    InputError
        If there is no batch, or the network or the loss cannot take one.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    training = module.training
    module.eval()
    loss, right, samples, classified = 0.0, 0, 0, 0
    try:
        for given in task.testing() if batches is None else batches:
            inputs, targets = given[0].to(device), given[1].to(device)
            with computing(task, inputs, targets):
                outputs = module(inputs)
                loss += float(loss_of(task, outputs, targets)) * len(inputs)
            samples += len(inputs)
            guess = _classes(outputs, targets)
            if guess is not None:
                right += int((guess == targets).sum())
                classified += targets.numel()
    finally:
        module.train(training)
    if not samples:
        raise InputError(f"{task.name}: test_loader() has no batch to measure with")
    return Score(loss / samples, right / classified if classified else None, samples)


def _classes(outputs: Any, targets: torch.Tensor) -> torch.Tensor | None:
    """Return the classes that ``outputs`` say, or None if they are not of classes."""
    if targets.is_floating_point() or outputs.dim() < 2 or outputs.shape[1] < 2:
        return None
    guess = outputs.argmax(1)
    return guess if guess.shape == targets.shape else None


def _loss(name: str, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if targets.is_floating_point():
        if outputs.shape != targets.shape:
            # Torch would spread one over the other.
            raise InputError(
                f"{name}: floating-point targets must have the shape of the outputs, "
                f"{tuple(outputs.shape)}, not {tuple(targets.shape)}; classes must be whole "
                "numbers, one per sample"
            )
        return functional.mse_loss(outputs, targets)
    shape = (len(outputs), *outputs.shape[2:])
    if outputs.dim() < 2 or targets.shape != shape:
        raise InputError(
            f"{name}: targets of shape {tuple(targets.shape)} do not fit outputs of shape "
            f"{tuple(outputs.shape)}: classes must be whole numbers of shape {shape}, and what is "
            "no class must be floats of the outputs' shape"
        )
    used = targets[targets != _IGNORED]
    low, high = (int(used.min()), int(used.max())) if used.numel() else (0, 0)
    if low < 0 or high >= outputs.shape[1]:
        raise InputError(
            f"{name}: targets must be classes from 0 to {outputs.shape[1] - 1}, as the network has "
            f"{outputs.shape[1]} outputs, not {low} to {high}"
        )
    return functional.cross_entropy(outputs, targets)
