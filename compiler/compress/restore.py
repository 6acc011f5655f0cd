"""Give a network the state it was saved with, held weights included."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.layers import Masked, Shared, bake, hold, layers_of
from zeroskip.compiler.compress.ttq import Ternary

__all__ = ["misfit", "restore", "without_wrapper"]


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
    both = [name for name in own if name in state]
    shapes = [name for name in both if state[name].shape != own[name].shape]
    kinds = [
        name
        for name in both
        if own[name].is_floating_point() and not state[name].is_floating_point()
    ]
    if missing:
        reasons.append(f"it has no {_some(missing)}")
    if unknown:
        reasons.append(f"model() has no {_some(unknown)}")
    if shapes:
        name = shapes[0]
        reasons.append(
            f"{name!r} is {tuple(state[name].shape)}, but {tuple(own[name].shape)} in model()"
        )
    if kinds:
        name = kinds[0]
        kind = str(state[name].dtype).removeprefix("torch.")
        reasons.append(
            f"{name!r} is of type {kind}, where model() has floats: save what it stands for"
        )
    return "; ".join(reasons) or None


def without_wrapper(
    module: nn.Module, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return ``state`` without the name of a module around ``module``, such as Lightning's.

    That is what all names begin with, up to their first dot, if ``module`` has no part of it.
    """
    first, *others = {name.partition(".")[0] for name in state}
    if others or first in dict(module.named_children()):
        return dict(state)
    return {name.partition(".")[2] or name: tensor for name, tensor in state.items()}


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
