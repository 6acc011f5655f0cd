"""The training loop that all stages share: seeded by epoch, resumable, stopped by a NaN."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zeroskip.base.errors import InputError, ZeroskipError
from zeroskip.compiler.compress.config import Phase
from zeroskip.compiler.compress.layers import Layer, density_of, layers_of
from zeroskip.compiler.compress.task import Score, Task, computing, evaluate, loss_of

__all__ = ["Progress", "Step", "Trainer", "TrainingError", "frozen_copy"]

_REPORT_STEPS = 20


class TrainingError(ZeroskipError):
    """Training went wrong at a step."""


@dataclass(frozen=True)
class Step:
    """What a progress bar shows.

    Parameters
    ----------
    stage : that trains.
    done, total : steps.
    epoch, epochs : begun, and all.
    loss : mean of late, of training.
    density : share of weights that are not 0.
    score : on the test data after the last epoch; None before.
    """

    stage: str
    done: int
    total: int
    epoch: int
    epochs: int
    loss: float
    density: float
    score: Score | None


Progress = Callable[[Step], None]


@dataclass(eq=False)
class Trainer:
    """Trains one stage.

    Parameters
    ----------
    stage : its name.
    module : trained in place.
    task : data and loss.
    phase : how.
    seed : of the run; each epoch of each stage has one of its own from it, so that a resumed run
        draws the same numbers as one that was never stopped.
    teacher : the network whose outputs ``phase.distill`` refers to.
    before_step : called with the number of steps done and of all, before each.
    progress : see :class:`Step`.
    save : called after each epoch with what :meth:`run` can start from.
    last_good : where that is, for the message when the loss is no number.
    """

    stage: str
    module: nn.Module
    task: Task
    phase: Phase
    seed: int
    teacher: nn.Module | None = None
    before_step: Callable[[int, int], None] | None = None
    progress: Progress | None = None
    save: Callable[[dict[str, Any]], None] | None = None
    last_good: str = ""

    def run(self, start: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Train, from the beginning or from what ``save`` was given; return one record an epoch.

        Raises
        ------
        TrainingError
            If the loss becomes NaN or infinite.
        InputError
            If there is no batch, or one cannot be computed.
        """
        phase, loader = self.phase, self.task.training()
        steps = len(loader)
        total = phase.epochs * steps
        optimizer = _optimizer(self.module, phase)
        scheduler = _scheduler(optimizer, phase, max(1, total))
        history: list[dict[str, Any]] = []
        if start is not None:
            optimizer.load_state_dict(start["optimizer"])
            scheduler.load_state_dict(start["scheduler"])
            history = list(start["history"])
        device = next(p.device for p in self.module.parameters())
        layers = list(layers_of(self.module).values())
        score: Score | None = None
        density = density_of(layers)
        for epoch in range(len(history), phase.epochs):
            torch.manual_seed(_seed(self.seed, self.stage, epoch))
            self.module.train()
            recent = 0.0
            number = -1
            # A loader may give fewer batches than its len() says.
            for number, batch in zip(range(steps), loader, strict=False):
                done = epoch * steps + number
                if self.before_step is not None:
                    self.before_step(done, total)
                inputs, targets = batch[0].to(device), batch[1].to(device)
                if phase.noise and inputs.is_floating_point():
                    inputs = inputs + phase.noise * torch.randn_like(inputs)
                with computing(self.task, inputs, targets):
                    loss = self._step(inputs, targets, layers)
                self._check(loss, done, epoch)
                optimizer.step()
                scheduler.step()
                recent = loss if not number else 0.98 * recent + 0.02 * loss
                if self.progress is not None and number % _REPORT_STEPS == 0:
                    density = density_of(layers) if not number else density
                    self.progress(
                        Step(self.stage, done, total, epoch, phase.epochs, recent, density, score)
                    )
            if number < 0:
                raise InputError(
                    f"{self.task.name}: train_loader() has no batch in epoch {epoch + 1}: it is "
                    "empty, or can be gone through only once"
                )
            score = evaluate(self.module, self.task)
            density = density_of(layers)
            history.append({
                "stage": self.stage, "epoch": epoch + 1, "loss": recent, "test_loss": score.loss,
                "accuracy": score.accuracy, "density": density,
            })  # fmt: skip
            if self.save is not None:
                self.save({
                    "optimizer": optimizer.state_dict(),
                    "scheduler": scheduler.state_dict(),
                    "history": history,
                })
            if self.progress is not None:
                done = (epoch + 1) * steps
                self.progress(
                    Step(self.stage, done, total, epoch + 1, phase.epochs, recent, density, score)
                )
        return history

    def _step(self, inputs: torch.Tensor, targets: torch.Tensor, layers: list[Layer]) -> float:
        """Compute the gradients of a batch; return its loss."""
        self.module.zero_grad()
        outputs = self.module(inputs)
        loss = loss_of(self.task, outputs, targets)
        if self.teacher is not None and self.phase.distill:
            with torch.no_grad():
                aim = self.teacher(inputs)
            far = _distance(self.task, outputs, aim, targets, self.phase.temperature)
            loss = (1 - self.phase.distill) * loss + self.phase.distill * far
        if self.phase.l1:
            for layer in layers:
                loss = loss + self.phase.l1 * layer.weight.abs().sum()
        loss.backward()
        return float(loss.detach())

    def _check(self, loss: float, step: int, epoch: int) -> None:
        if loss - loss == 0.0:
            return
        kept = f"; the last good checkpoint is {self.last_good}" if self.last_good else ""
        raise TrainingError(
            f"{self.stage}: the loss is {loss} at step {step} (epoch {epoch + 1}){kept}; lower "
            f"{self.stage}.learning_rate, which is {self.phase.learning_rate}"
        )


def frozen_copy(module: nn.Module) -> nn.Module:
    """Return a copy in eval mode that is not trained."""
    return copy.deepcopy(module).eval().requires_grad_(requires_grad=False)


def _optimizer(module: nn.Module, phase: Phase) -> torch.optim.Optimizer:
    trained = [p for p in module.parameters() if p.requires_grad]
    if phase.optimizer == "sgd":
        return torch.optim.SGD(
            trained, phase.learning_rate, momentum=0.9, weight_decay=phase.weight_decay
        )
    return torch.optim.Adam(trained, phase.learning_rate, weight_decay=phase.weight_decay)


def _scheduler(
    optimizer: torch.optim.Optimizer, phase: Phase, total: int
) -> torch.optim.lr_scheduler.LRScheduler:
    warm = round(phase.warmup * total)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, total - warm))
    if not warm:
        return fall
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, 1.0, warm)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [warm])


def _distance(
    task: Task,
    outputs: torch.Tensor,
    aim: torch.Tensor,
    targets: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Return how far outputs are from a teacher's (Hinton et al., 2015, for classes)."""
    if targets.is_floating_point() or outputs.dim() < 2:
        return loss_of(task, outputs, aim)
    student = (outputs / temperature).log_softmax(1)
    teacher = (aim / temperature).softmax(1)
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean")


def _seed(seed: int, stage: str, epoch: int) -> int:
    text = f"{seed} {stage} {epoch}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1
