"""Give a network the state it was saved with, held weights included."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.fold import apply_folds, find_folds
from zeroskip.compiler.compress.layers import Masked, Shared, bake, hold, layers_of
from zeroskip.compiler.compress.prepare import ready_module
from zeroskip.compiler.compress.task import Task
from zeroskip.compiler.compress.ttq import Ternary

__all__ = ["misfit", "network_with", "restore"]


def restore(module: nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict that was saved while weights were held; ``module`` holds them alike then.

    Raises
    ------
    InputError
        If it is that of another network.
    """
    bake(module)
    try:
        for name, layer in layers_of(module).items():
            prefix = f"{name}.parametrizations.weight." if name else "parametrizations.weight."
            held = _held(prefix, state)
            if held is not None:
                hold(layer, held.to(layer.weight.device))
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise InputError(f"a checkpoint is of another network: {' '.join(lines[:2])}") from error


def network_with(task: Task, state: Mapping[str, torch.Tensor], what: str) -> nn.Module:
    """Return the network of ``task`` with the tensors of a file.

    BatchNorm is folded where the file is of a network in which it was.

    Parameters
    ----------
    task : gives the network.
    state : tensors by name.
    what : has them, for messages.

    Raises
    ------
    InputError
        If they are of another network.
    """
    module, _ = ready_module(task)
    if misfit(module, state) is not None:
        folded, _ = ready_module(task)
        apply_folds(folded, find_folds(folded, task.example()))
        if misfit(folded, state) is None:
            module = folded
    why = misfit(module, state)
    if why is not None:
        raise InputError(f"{what} is of another network than model(): {why}")
    # Without their counts, which old files do not have, norms are the same.
    module.load_state_dict(dict(state), strict=False)
    return module


def misfit(module: nn.Module, state: Mapping[str, torch.Tensor]) -> str | None:
    """Return why ``state`` does not fit ``module``, naming keys, or None if it does."""
    own = module.state_dict()
    reasons: list[str] = []
    missing = [
        name for name in own if name not in state and not name.endswith("num_batches_tracked")
    ]
    unknown = [name for name in state if name not in own]
    shapes = [name for name in own if name in state and state[name].shape != own[name].shape]
    if missing:
        reasons.append(f"it has no {_some(missing)}")
    if unknown:
        reasons.append(f"model() has no {_some(unknown)}")
    if shapes:
        name = shapes[0]
        reasons.append(
            f"{name!r} is {tuple(state[name].shape)}, but {tuple(own[name].shape)} in model()"
        )
    return "; ".join(reasons) or None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _held(prefix: str, state: dict[str, torch.Tensor]) -> nn.Module | None:
    if f"{prefix}0.mask" in state:
        return Masked(state[f"{prefix}0.mask"])
    if f"{prefix}0.codes" in state:
        return Shared(state[f"{prefix}0.codes"], state[f"{prefix}original"])
    if f"{prefix}0.positive" in state:
        return Ternary(0.0, state[f"{prefix}0.positive"], state[f"{prefix}0.negative"])
    return None
