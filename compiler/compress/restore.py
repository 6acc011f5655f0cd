"""Give a network the state it was saved with, held weights included."""

from typing import Any

import torch
from torch import nn

from compiler.compress.layers import Masked, Shared, bake, hold, layers_of
from compiler.compress.ttq import Ternary
from compiler.errors import InputError

__all__ = ["restore"]


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


def _held(prefix: str, state: dict[str, torch.Tensor]) -> nn.Module | None:
    if f"{prefix}0.mask" in state:
        return Masked(state[f"{prefix}0.mask"])
    if f"{prefix}0.codes" in state:
        return Shared(state[f"{prefix}0.codes"], state[f"{prefix}original"])
    if f"{prefix}0.positive" in state:
        return Ternary(0.0, state[f"{prefix}0.positive"], state[f"{prefix}0.negative"])
    return None
