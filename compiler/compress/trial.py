"""Try a batch of a user's data on a network, before anything that takes long."""

import copy

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.task import Task, computing, loss_of

__all__ = ["try_task"]


def try_task(module: nn.Module, task: Task, *, train: bool) -> list[str]:
    """Compute the first batch: outputs and loss, and if ``train`` gradients in training mode.

    Parameters
    ----------
    module : left as it was.
    task : whose data are tried.
    train : the run will train, so that there must be a batch for that, too.

    Returns
    -------
    What a user should know, each a sentence.

    Raises
    ------
    InputError
        If there is no batch, or it cannot be computed.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    # A copy, since training mode changes what norms have seen.
    tried = copy.deepcopy(module)
    warnings: list[str] = []
    inputs, targets = (part.to(device) for part in task.testing().first())
    tried.eval()
    with computing(task, inputs, targets), torch.no_grad():
        outputs = tried(inputs)
        _check_loss(task, loss_of(task, outputs, targets), outputs)
        if task.loss is None and not targets.is_floating_point() and _probabilities(outputs):
            warnings.append(
                f"{task.name}: the outputs of model() look like probabilities, but the loss is "
                "cross entropy, which takes them before the softmax: leave the softmax out"
            )
    if train:
        inputs, targets = (part.to(device) for part in task.training().first())
        tried.train().requires_grad_(requires_grad=True)
        with computing(task, inputs, targets):
            outputs = tried(inputs)
            loss = loss_of(task, outputs, targets)
            _check_loss(task, loss, outputs)
            if not loss.requires_grad:
                raise InputError(
                    f"{task.name}: the loss does not depend on the network's parameters: does "
                    "something in it detach the outputs?"
                )
            loss.backward()
    return warnings


def _check_loss(task: Task, loss: torch.Tensor, outputs: torch.Tensor) -> None:
    # Logits may be infinite on purpose, to rule classes out.
    for name, bad in (("outputs of model() are", outputs.isnan()), ("loss is", ~loss.isfinite())):
        if bool(bad.any()):
            raise InputError(
                f"{task.name}: the {name} NaN or infinite on the first batch, before anything was "
                "trained"
            )


def _probabilities(outputs: torch.Tensor) -> bool:
    if outputs.dim() != 2 or outputs.shape[1] < 2 or not bool((outputs >= 0).all()):
        return False
    return torch.allclose(outputs.sum(1), outputs.new_ones(len(outputs)), atol=1e-4)
