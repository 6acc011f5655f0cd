"""Networks that were pruned or clustered elsewhere, as they are."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.layers import bake

__all__ = ["plain_module", "plain_state"]

_ORIGINAL, _MASK = "_orig", "_mask"


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
            masked = name.removesuffix(_MASK)
            if name.endswith(_MASK) and hasattr(part, masked + _ORIGINAL):
                prune.remove(part, masked)
                with torch.no_grad():
                    # Masks multiply, which leaves -0.0 where a negative weight was.
                    tensor = part.get_parameter(masked)
                    tensor[tensor == 0] = 0.0
    return bake(module)


def _forget_spectral_norm(part: nn.Module) -> None:
    """Remove what loads its vectors, which torch 2.13 leaves behind: it wraps the hook."""
    for hooks in (part._load_state_dict_pre_hooks, part._state_dict_hooks):
        for key, hook in list(hooks.items()):
            if type(getattr(hook, "hook", hook)).__name__.startswith("SpectralNorm"):
                del hooks[key]


def plain_state(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a state dict of plain weights: what :func:`plain_module` does, on tensors by name.

    Raises
    ------
    InputError
        If the parts that a weight is made of do not fit each other, or are of a kind that is not
        known.
    """
    plain: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        for whole, parts, make in _KINDS:
            if not name.endswith(parts[0]):
                continue
            stem = name.removesuffix(parts[0])
            found = [state.get(stem + part) for part in parts]
            given = [tensor for tensor in found if tensor is not None]
            if len(given) == len(parts):
                try:
                    plain[stem + whole] = make(*given)
                except RuntimeError as error:
                    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in given)
                    raise InputError(
                        f"{name!r} and what it is combined with do not fit: they are {shapes}"
                    ) from error
                break
        else:
            if not any(_is_part(name, parts, state) for _, parts, _ in _KINDS):
                plain[name] = tensor
    odd = next((name for name in plain if ".parametrizations." in f".{name}"), None)
    if odd is not None:
        raise InputError(
            f"{odd!r} is part of a parametrization that is not known; remove it before saving, "
            "with torch.nn.utils.parametrize.remove_parametrizations"
        )
    return plain


def _is_part(name: str, parts: Sequence[str], state: Mapping[str, torch.Tensor]) -> bool:
    """Say whether ``name`` is one of the tensors that a weight is made of."""
    for part in parts:
        stem = name.removesuffix(part)
        if name.endswith(part) and all(stem + other in state for other in parts):
            return True
    return False


def _masked(weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return torch.where(mask.expand_as(weight) != 0, weight, 0)


def _normed(direction: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Return the weight of weight norm; ``length`` is 1 long where lengths are summed over."""
    over = [d for d in range(direction.dim()) if length.dim() == 0 or length.shape[d] == 1]
    return direction * (length / torch.linalg.vector_norm(direction, dim=over, keepdim=True))


def _spectral(weight: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the weight of spectral norm, whose vectors say along which axis it was laid flat."""
    axis = 0 if len(left) == len(weight) else 1
    flat = weight.movedim(axis, 0).reshape(len(left), -1)
    return weight / torch.dot(left, flat @ right)


_NEW = "parametrizations.weight."
_KINDS = (
    ("weight", ("weight_orig", "weight_u", "weight_v"), _spectral),
    ("weight", (f"{_NEW}original", f"{_NEW}0._u", f"{_NEW}0._v"), _spectral),
    ("weight", ("weight_v", "weight_g"), _normed),
    ("weight", (f"{_NEW}original1", f"{_NEW}original0"), _normed),
    ("", (_ORIGINAL, _MASK), _masked),
)
"""Name of a weight, names of what it is made of, and how."""
