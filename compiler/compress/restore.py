"""Give a network the state it was saved with, held weights included."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.layers import Masked, Shared, bake, hold, layers_of
from zeroskip.compiler.compress.ttq import Ternary

__all__ = ["misfit", "restore"]


def restore(module: nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict that was saved while weights were held; ``module`` holds them alike then.

    Raises
    ------
    InputError
        If it is that of another network.
    """
    bake(module)
    try:
        for layer in layers_of(module).values():
            owner = layer.path.removesuffix(layer.key)
            holder = _holder(f"{owner}parametrizations.{layer.key}.", state)
            if holder is not None:
                hold(layer, holder.to(layer.weight.device))
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise InputError(f"a checkpoint is of another network: {' '.join(lines[:2])}") from error


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


def _holder(prefix: str, state: dict[str, torch.Tensor]) -> nn.Module | None:
    if f"{prefix}0.mask" in state:
        return Masked(state[f"{prefix}0.mask"])
    if f"{prefix}0.codes" in state:
        return Shared(state[f"{prefix}0.codes"], state[f"{prefix}original"])
    if f"{prefix}0.positive" in state:
        return Ternary(0.0, state[f"{prefix}0.positive"], state[f"{prefix}0.negative"])
    return None
