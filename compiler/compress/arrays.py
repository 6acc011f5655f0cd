"""A task of a model and data that are there: samples, with classes or without, or batches."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.images import loader, loader_in_order
from zeroskip.compiler.compress.module import Model, read_model
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.users_code import running
from zeroskip.compiler.passes.fixed_point import check_input

__all__ = ["array_task"]

_BATCH = 64
_AT_ONCE = 1024
"""Samples that a network is given at a time where its own outputs are the targets."""


def array_task(model: Model, data: Any, labels: Any = None, test: Any = None) -> Task:
    """Return the task of compressing ``model`` by what it does on ``data``.

    Parameters
    ----------
    model : see :data:`.Model`.
    data, labels, test : see :func:`.compress`.

    Raises
    ------
    InputError
        If the model cannot be read, or the arrays do not fit it or each other.
    CompileError
        If a file's network is not of the supported kind.
    """
    make, shape, file = read_model(model)
    name = type(model).__name__ if isinstance(model, nn.Module) else str(model)[:80]
    if isinstance(data, DataLoader):
        if labels is not None or not isinstance(test, DataLoader | None):
            raise InputError(
                "a DataLoader as data gives the targets, too: labels must be left out, and test "
                "must be a DataLoader"
            )
        return Task(name, make, lambda: data, lambda: test or data, file=file)
    pairs: list[Any] = [("data", data, labels)]
    if test is not None:
        if not isinstance(test, (tuple, list)) or len(test) != 2:
            raise InputError(f"test must be a pair, samples and labels or None, not {test!r:.80}")
        pairs.append(("test data", *test))
    samples = [
        torch.from_numpy(check_input(x, shape, what).astype(np.float32)) for what, x, _ in pairs
    ]
    original = Task(name, make, list, list, file=file).network().float().cpu().eval()
    with running(f"{name} with samples of shape {tuple(samples[0].shape[1:])}", file):
        targets = [
            _outputs(original, x) if y is None else _classes(original, x, y)
            for x, (_, _, y) in zip(samples, pairs, strict=True)
        ]
    train, measured = (samples[0], targets[0]), (samples[-1], targets[-1])
    scale = targets[0].float().square().mean().clamp_min(torch.finfo(torch.float32).tiny)

    def relative(outputs: torch.Tensor, aim: torch.Tensor) -> torch.Tensor:
        """Return the mean square error over the mean square of what ``model`` computes."""
        if aim.is_floating_point():
            return functional.mse_loss(outputs, aim) / scale
        return functional.cross_entropy(outputs, aim)

    return Task(
        name,
        make,
        # Norms cannot be trained on one sample.
        lambda: loader(*train, batch=_BATCH, drop_last=len(train[0]) % _BATCH == 1),
        lambda: loader_in_order(*measured),
        None if labels is not None else relative,
        file,
    )


def _outputs(module: nn.Module, samples: torch.Tensor) -> torch.Tensor:
    """Return what ``module`` computes of all samples."""
    with torch.no_grad():
        return torch.cat([module(batch) for batch in samples.split(_AT_ONCE)])


def _classes(module: nn.Module, samples: torch.Tensor, labels: Any) -> torch.Tensor:
    """Return labels as int64, once they are checked to be classes of ``module``'s outputs."""
    try:
        given = labels.detach().cpu().numpy() if isinstance(labels, torch.Tensor) else labels
        classes = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be one array of whole numbers, {error}") from error
    if classes.dtype.kind not in "iu" or classes.shape != (len(samples),):
        raise InputError(
            f"labels must be ({len(samples)},) whole numbers, one per sample, not {classes.dtype} "
            f"of shape {classes.shape}"
        )
    outputs = _outputs(module, samples[:1]).numel()
    if classes.min() < 0 or classes.max() >= outputs:
        raise InputError(
            f"labels must be from 0 to {outputs - 1}, as the network has {outputs} outputs, not "
            f"{classes.min()} to {classes.max()}"
        )
    return torch.from_numpy(classes.astype(np.int64))
