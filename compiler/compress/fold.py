"""Fold BatchNorm into the Linear or convolution beside it, in a network that stays one of modules.

A BatchNorm scales every output channel by a number of its own. Folded after weights were shared,
it would give every channel shared values of its own; so it is folded before, with the statistics
of eval mode.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from zeroskip.base.errors import ZeroskipError
from zeroskip.compiler.compress.layers import Layer
from zeroskip.compiler.frontend import ops as ops
from zeroskip.compiler.frontend.program import Graph, Node, Ref
from zeroskip.compiler.frontend.trace import graph_of_module

__all__ = ["Fold", "apply_folds", "find_folds", "kept_norms"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
_PASSING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Identity)
_CLOSE = 1e-3
_CONVS = {"conv1d": 3, "conv2d": 4}
"""Operators of convolutions, and how many dimensions a batch has."""


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
            assert isinstance(layer, Layer)
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
    """Return folds that do not touch each other."""
    try:
        graph = graph_of_module(module, example)
    except ZeroskipError:
        # Code that cannot be traced: what stands side by side in a Sequential is still seen.
        found = list(_in_sequences(module))
    else:
        found = list(_in_graph(module, graph))
    tied = _tied(module)
    used: set[str] = set()
    chosen: list[Fold] = []
    for fold in found:
        layers = set(fold.layers)
        if not (layers | {fold.norm}) & (used | tied):
            chosen.append(fold)
            used |= layers | {fold.norm}
    return chosen


def _in_graph(module: nn.Module, graph: Graph) -> Iterator[Fold]:
    """Find norms that only a layer feeds, or that feed layers only."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in set(node.refs()):
            readers.setdefault(name, []).append(node)
    made = {name: node for node in graph.nodes for name in node.outputs}

    def alone(node: Node, keys: Sequence[str]) -> str:
        """Return the module whose tensors ``node`` reads, if no other node does; else ""."""
        owners: set[str] = set()
        for key in keys:
            arg = node.args.get(key)
            if isinstance(arg, Ref):
                tensor = graph.tensors.get(arg.name)
                if tensor is None or len(readers[arg.name]) != 1:
                    return ""
                owners.add(tensor.path.rpartition(".")[0])
        return owners.pop() if len(owners) == 1 else ""

    def layer_name(node: Node) -> str:
        name = alone(node, ("weight", "bias"))
        base = ops.base_name(node.op)
        good = base in ("linear", *_CONVS) and isinstance(_submodule(module, name), Layer)
        return name if good else ""

    def rank(name: str) -> int:
        return len(graph.values[name].shape)

    def before(name: str) -> str:
        """Return the layer that makes the value ``name``, which it makes for one reader alone."""
        while len(readers[name]) == 1 and name not in graph.outputs and name in made:
            node = made[name]
            base = ops.base_name(node.op)
            if base not in ops.SAME or not node.refs():
                fits = rank(name) == _CONVS.get(base, 2)
                return layer_name(node) if fits else ""
            name = node.refs()[0]
        return ""

    def after(name: str, *, flat: bool = False) -> list[str]:
        """Return the layers that read the value ``name``, an empty name among them for others."""
        if name in graph.outputs or not readers.get(name):
            return [""]
        found: list[str] = []
        for node in readers[name]:
            base = ops.base_name(node.op)
            if base in ops.SAME:
                found += after(node.outputs[0], flat=flat)
            elif base in ("flatten", "view", "reshape") and rank(node.outputs[0]) == 2:
                found += after(node.outputs[0], flat=True)
            elif base == "linear":
                found.append(layer_name(node) if flat or rank(name) == 2 else "")
            elif base in _CONVS and not flat:
                padding = node.args.get("padding", 0)
                pads = padding if isinstance(padding, list) else [padding]
                found.append(layer_name(node) if all(p in (0, "valid") for p in pads) else "")
            else:
                found.append("")
        return found

    for node in graph.nodes:
        if ops.base_name(node.op) not in ops.NORMS:
            continue
        norm = alone(node, ("weight", "bias", "running_mean", "running_var"))
        source = node.args.get("input")
        if type(_submodule(module, norm)) not in _NORMS or not isinstance(source, Ref):
            continue
        behind = before(source.name)
        if behind:
            yield Fold(norm, (behind,), "before")
        elif all(ahead := after(node.outputs[0])):
            yield Fold(norm, tuple(ahead), "after")


def _in_sequences(module: nn.Module) -> Iterator[Fold]:
    for path, sequence in module.named_modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        prefix = f"{path}." if path else ""
        parts = [
            (prefix + name, part)
            for name, part in sequence.named_children()
            if not isinstance(part, _PASSING)
        ]
        for (first, layer), (second, norm) in itertools.pairwise(parts):
            if isinstance(layer, Layer) and type(norm) in _NORMS:
                yield Fold(second, (first,), "before")


def _holds(module: nn.Module, fold: Fold, example: torch.Tensor) -> bool:
    """Say whether outputs stay the same for statistics that are drawn at random."""
    norm = module.get_submodule(fold.norm)
    if not isinstance(norm, _NORMS) or norm.running_var is None or norm.running_mean is None:
        return False
    plain = copy.deepcopy(module)
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
    with torch.no_grad():
        wanted, got = plain(example), folded(example)
    if not isinstance(wanted, torch.Tensor):
        return False
    scale = float(wanted.abs().max()) + 1e-30
    return float((wanted - got).abs().max()) <= _CLOSE * scale


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm) -> tuple[torch.Tensor, ...]:
    """Return scale and shift of each channel, in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    scale = scale * norm.weight.double() if norm.weight is not None else scale
    shift = -norm.running_mean.double() * scale
    return scale, shift + norm.bias.double() if norm.bias is not None else shift


def _take_in(layer: Layer, scale: torch.Tensor, shift: torch.Tensor, side: str) -> None:
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
            one
            .reshape(groups, 1, -1)
            .expand(groups, len(weight) // groups, -1)
            .reshape(len(weight), -1, *[1] * (weight.dim() - 2))
            for one in by_input
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


def _submodule(module: nn.Module, name: str) -> nn.Module | None:
    return dict(module.named_modules()).get(name)


def _tied(module: nn.Module) -> set[str]:
    """Return the names of modules that share a parameter with another place."""
    places: Mapping[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        places.setdefault(id(parameter), []).append(name.rpartition(".")[0])
    return {name for names in places.values() if len(names) > 1 for name in names}
