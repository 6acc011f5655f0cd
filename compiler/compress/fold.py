"""Fold BatchNorm into the Linear or convolution beside it, in a network that stays one of modules.

A BatchNorm scales every output channel by a number of its own. Folded after weights were shared,
it would give every channel shared values of its own; so it is folded before, with the statistics
of eval mode.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

__all__ = ["Fold", "apply_folds", "find_folds", "kept_norms"]

_Layer = nn.Linear | nn.Conv1d | nn.Conv2d
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
_CLOSE, _CLOSE_IN_FLOAT32 = 1e-9, 1e-3
"""Difference of outputs over the largest of them, below which they are the same."""


@dataclass(frozen=True)
class Fold:
    """What is to be folded where.

    Parameters
    ----------
    norm : name of the BatchNorm, which an Identity replaces.
    layers : names of what takes it in: one before it, or all after it.
    side : of the layers, seen from the norm.
    """

    norm: str
    layers: tuple[str, ...]
    side: Literal["before", "after"]


def find_folds(module: nn.Module, example: torch.Tensor) -> list[Fold]:
    """Return what can be folded exactly, whatever the values of parameters are.

    Parameters
    ----------
    module : left as it was.
    example : an input, batch first.
    """
    folds: list[Fold] = []
    probe = copy.deepcopy(module).eval()
    while any(isinstance(part, _NORMS) for part in probe.modules()):
        found = [fold for fold in _candidates(probe, example) if _holds(probe, fold, example)]
        if not found:
            break
        apply_folds(probe, found)
        folds += found
    return folds


@torch.no_grad()
def apply_folds(module: nn.Module, folds: Sequence[Fold]) -> None:
    """Fold in place; the outputs in eval mode stay what they were, but for rounding."""
    for fold in folds:
        norm = module.get_submodule(fold.norm)
        assert isinstance(norm, _NORMS)
        scale, shift = _affine(norm)
        for name in fold.layers:
            layer = module.get_submodule(name)
            assert isinstance(layer, _Layer)
            _take_in(layer, scale, shift, fold.side)
        _replace(module, norm)


def kept_norms(module: nn.Module) -> list[str]:
    """Return a warning for each BatchNorm in ``module``: for those that could not be folded."""
    warnings: list[str] = []
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            why = "no Linear or convolution that is used once and untied is next to it"
            if part.running_var is None:
                why = "it has no running statistics (track_running_stats=False)"
            warnings.append(
                f"BatchNorm {name!r} was not folded: {why}, or there is zero padding between; it "
                "stays as it is, and compile may have to scale weights or planes by it"
            )
    return warnings


def _candidates(module: nn.Module, example: torch.Tensor) -> list[Fold]:
    """Return folds that may be exact and do not touch each other.

    Modules are seen at work: a layer is beside a norm where one is given the memory that the other
    made. What else reads that memory is found by :func:`_holds`.
    """
    calls: list[tuple[str, nn.Module, list[int]]] = []
    kept: list[torch.Tensor] = []  # Or other tensors would get their memory.

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(part: nn.Module, given: Any, made: Any) -> None:
            tensors = [value for value in (*given[:1], made) if isinstance(value, torch.Tensor)]
            kept.extend(tensors)
            if len(tensors) == 2:
                calls.append((name, part, [t.untyped_storage().data_ptr() for t in tensors]))

        return hook

    parts = dict(module.named_modules())
    hooks = [
        part.register_forward_hook(note(name))
        for name, part in parts.items()
        if isinstance(part, _Layer) or type(part) in _NORMS
    ]
    with torch.no_grad():
        module(example)
    for hook in hooks:
        hook.remove()
    names = [name for name, _, _ in calls]
    once = [call for call in calls if names.count(call[0]) == 1]
    used = _tied(module)
    chosen: list[Fold] = []
    for norm, part, (given, made) in once:
        if type(part) not in _NORMS or norm in used:
            continue
        sides: tuple[tuple[Literal["before", "after"], list[str]], ...] = (
            ("before", [name for name, _, ends in once if ends[1] == given]),
            ("after", [name for name, _, ends in once if ends[0] == made]),
        )
        for side, layers in sides:
            fits = [_fits(part, parts[name], side) and name not in used for name in layers]
            if layers and all(fits):
                chosen.append(Fold(norm, tuple(layers), side))
                used |= {norm, *layers}
                break
    return chosen


def _fits(norm: nn.Module, layer: nn.Module, side: str) -> bool:
    """Say whether a layer has the channels of a norm, and no zeros come between."""
    if not isinstance(layer, _Layer) or not isinstance(norm, _NORMS):
        return False
    if side == "before":
        return len(layer.weight) == norm.num_features
    if not isinstance(layer, nn.Linear) and any(layer.padding) and layer.padding != "valid":
        return False
    return layer.weight.shape[1] * getattr(layer, "groups", 1) % norm.num_features == 0


def _holds(module: nn.Module, fold: Fold, example: torch.Tensor) -> bool:
    """Say whether outputs stay the same for statistics that are drawn at random."""
    norm = module.get_submodule(fold.norm)
    if not isinstance(norm, _NORMS) or norm.running_var is None or norm.running_mean is None:
        return False
    plain = copy.deepcopy(module).double()
    source = torch.Generator().manual_seed(0)
    for part in plain.modules():
        if isinstance(part, _NORMS) and part.running_var is not None:
            for tensor, low in (
                (part.running_mean, -0.5), (part.running_var, 0.5),
                (part.weight, 0.5), (part.bias, -0.5),
            ):  # fmt: skip
                if tensor is not None:
                    drawn = torch.rand(tensor.shape, generator=source) + low
                    tensor.data.copy_(drawn)
    folded = copy.deepcopy(plain)
    apply_folds(folded, [fold])
    try:
        return _same(plain, folded, example.double(), _CLOSE)
    except RuntimeError:
        # Code that makes float32 of its own.
        return _same(plain.float(), folded.float(), example, _CLOSE_IN_FLOAT32)


@torch.no_grad()
def _same(module: nn.Module, other: nn.Module, example: torch.Tensor, close: float) -> bool:
    wanted, got = module(example), other(example)
    if not isinstance(wanted, torch.Tensor):
        return False
    return float((wanted - got).abs().max()) <= close * (float(wanted.abs().max()) + 1e-30)


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm) -> tuple[torch.Tensor, ...]:
    """Return scale and shift of each channel, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    scale = scale * norm.weight.double() if norm.weight is not None else scale
    shift = -norm.running_mean.double() * scale
    return scale, shift + norm.bias.double() if norm.bias is not None else shift


def _take_in(layer: _Layer, scale: torch.Tensor, shift: torch.Tensor, side: str) -> None:
    weight = layer.weight.double()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.double()
    if side == "before":
        new = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
        bias = bias * scale + shift
    else:
        groups = getattr(layer, "groups", 1)
        # Flattened planes: each channel is that many inputs in a row.
        times = weight.shape[1] * groups // len(scale)
        by_input = scale.repeat_interleave(times), shift.repeat_interleave(times)
        # Output channels of a group read the input channels of that group.
        scales, shifts = (
            numbers
            .reshape(groups, 1, -1)
            .expand(groups, len(weight) // groups, -1)
            .reshape(len(weight), -1, *[1] * (weight.dim() - 2))
            for numbers in by_input
        )
        bias = bias + (weight * shifts).flatten(1).sum(1)
        new = weight * scales
    layer.weight.copy_(new)
    if layer.bias is None:
        layer.register_parameter("bias", nn.Parameter(bias.to(layer.weight)))
    else:
        layer.bias.copy_(bias)


def _replace(module: nn.Module, norm: nn.Module) -> None:
    """Put an Identity wherever ``norm`` stands."""
    for part in list(module.modules()):
        for name, child in list(part._modules.items()):
            if child is norm:
                setattr(part, name, nn.Identity().train(norm.training))


def _tied(module: nn.Module) -> set[str]:
    """Return the names of modules that share a parameter with another place."""
    places: Mapping[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(name.rpartition(".")[0])
    return {name for names in places.values() if len(names) > 1 for name in names}
