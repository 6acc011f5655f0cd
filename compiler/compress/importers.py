"""Networks that were pruned or clustered elsewhere, as they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from compiler.compress.layers import bake
from compiler.errors import InputError

__all__ = ["plain_module", "plain_state", "read_state"]

_ORIGINAL, _MASK = "_orig", "_mask"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def plain_module(module: nn.Module) -> nn.Module:
    """Make what prunes or makes weights permanent, in place.

    That is ``torch.nn.utils.prune``, weight norm and spectral norm, old and new, and whatever else
    is a parametrization, ours included.
    """
    for part in module.modules():
        for hook in list(part._forward_pre_hooks.values()):
            if isinstance(hook, WeightNorm):
                remove_weight_norm(part, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(part, hook.name)
                _forget_spectral_norm(part)
        for name, _ in list(part.named_buffers(recurse=False)):
            held = name.removesuffix(_MASK)
            if name.endswith(_MASK) and hasattr(part, held + _ORIGINAL):
                prune.remove(part, held)
                with torch.no_grad():
                    # Masks multiply, which leaves -0.0 where a negative weight was.
                    tensor = part.get_parameter(held)
                    tensor[tensor == 0] = 0.0
    return bake(module)


def _forget_spectral_norm(part: nn.Module) -> None:
    """Remove what loads its vectors, which torch 2.13 leaves behind: it wraps the hook."""
    for hooks in (part._load_state_dict_pre_hooks, part._state_dict_hooks):
        for key, hook in list(hooks.items()):
            if type(getattr(hook, "hook", hook)).__name__.startswith("SpectralNorm"):
                del hooks[key]


def plain_state(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return a state dict without pruning in it: ``w_orig`` and ``w_mask`` become ``w``.

    Raises
    ------
    InputError
        If it holds anything but tensors, or a mask does not fit.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{name!r} is no tensor but {type(value).__name__}: no state dict")
        tensors[name] = value
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        mask = tensors.get(name.removesuffix(_ORIGINAL) + _MASK)
        if name.endswith(_ORIGINAL) and mask is not None:
            if mask.shape != tensor.shape:
                raise InputError(f"the mask of {name!r} is {tuple(mask.shape)}")
            plain[name.removesuffix(_ORIGINAL)] = torch.where(mask != 0, tensor, 0)
        elif not (name.endswith(_MASK) and name.removesuffix(_MASK) + _ORIGINAL in tensors):
            plain[name] = tensor
    return plain


def read_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Read a state dict: ``.safetensors``, or what ``torch.save`` wrote (tensors only).

    A state dict inside a checkpoint is found by its usual names. Pruning is made permanent.

    Raises
    ------
    InputError
        If the file cannot be read, or holds anything else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return plain_state(load_file(path))
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
    try:
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises what the part of the file that is damaged makes it raise.
        raise InputError(
            f"{path} cannot be read as tensors alone: {str(error).splitlines()[0]}; save "
            "module.state_dict()"
        ) from error
    for name in _WRAPPERS:
        if isinstance(document, Mapping) and isinstance(document.get(name), Mapping):
            document = document[name]
    if not isinstance(document, Mapping) or not document:
        raise InputError(f"{path} holds no state dict but {type(document).__name__}")
    return plain_state(document)
