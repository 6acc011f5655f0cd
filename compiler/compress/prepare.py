"""A user's network made ready to compress: plain parameters in float32, each with a value."""

import copy

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.importers import plain_module
from zeroskip.compiler.compress.layers import layers_of
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.users_code import running

__all__ = ["ready_module"]


def ready_module(task: Task, device: str | torch.device = "cpu") -> tuple[nn.Module, list[str]]:
    """Return the network of ``task`` on ``device``, and what a user should know about it.

    Lazy modules get their shapes from a batch; ``torch.nn.utils.prune``, weight norm, spectral norm
    and other parametrizations become plain weights; half and double floats become float32.

    Raises
    ------
    InputError
        If a parameter has no value, or there is no layer to compress.
    """
    module = task.network()
    if any(is_lazy(tensor) for tensor in _tensors(module).values()):
        example = task.example()
        training = module.training
        with running(f"{task.name}: model() on a batch, for its lazy modules,", task.file):
            module.eval()
            with torch.no_grad():
                module(example)
            module.train(training)
    _check_tensors(task, module)
    others = {t.dtype for t in _tensors(module).values() if t.is_floating_point()}
    notes = [
        f"{task.name}: model() has parameters in {str(dtype).removeprefix('torch.')}, which are "
        "compressed in float32"
        for dtype in sorted(others - {torch.float32}, key=str)
    ]
    with running(f"{task.name}: model()'s parametrizations", task.file):
        module = plain_module(module).float().to(device)
    with running(f"{task.name}: a copy of what model() returns", task.file):
        copy.deepcopy(module)
    for name, layer in layers_of(module).items():
        if not layer.weight.numel():
            raise InputError(
                f"{task.name}: layer {name!r} of model() has no weights: its shape is "
                f"{tuple(layer.weight.shape)}"
            )
    return module, notes


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _check_tensors(task: Task, module: nn.Module) -> None:
    for name, tensor in _tensors(module).items():
        why = ""
        if is_lazy(tensor):
            why = "has no shape yet: a batch does not reach its lazy module"
        elif tensor.is_meta:
            why = "is on the device 'meta', without values; load the trained ones"
        elif tensor.is_complex():
            why = "is complex, which cannot be compressed"
        elif tensor.is_floating_point():
            bad = int(tensor.numel() - tensor.float().isfinite().sum())
            if bad and name in dict(module.named_parameters()):
                why = f"has {bad} elements that are NaN or infinite; was it trained to the end?"
        if why:
            raise InputError(f"{task.name}: {name!r} of model() {why}")
