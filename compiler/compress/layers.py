"""The layers of any module whose weights are compressed, and what they are held to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from zeroskip.base.errors import InputError

__all__ = [
    "Layer", "Masked", "Shared", "bake", "by_layer", "density_of", "hold", "layers_of",
    "round_rest", "tied_names",
]  # fmt: skip

T = TypeVar("T")

_TIES = "_zeroskip_ties"
"""Attribute of a layer: the other places of its weight, as pairs of module and name."""

Layer = nn.Linear | nn.Conv1d | nn.Conv2d
"""Kinds of layers whose weights are compressed."""


class Masked(nn.Module):
    """A weight that is 0 outside a mask, whatever training does.

    Parameters
    ----------
    mask : bool, shaped like the weight.
    """

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.register_buffer("zero", torch.zeros((), device=mask.device), persistent=False)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        # Not a product: -1 * 0 is -0.0, and NaN * 0 is NaN.
        return torch.where(self.mask, weight, self.get_buffer("zero"))


class Shared(nn.Module):
    """A weight of few values, which are trained in its place.

    Code 0 is 0; code ``k`` is ``values[k - 1]``. A value's gradient is the sum of those of its
    elements (Han et al., ICLR 2016, section 3.3).

    Parameters
    ----------
    codes : uint8, shaped like the weight.
    values : (count,) where training starts.
    """

    codes: torch.Tensor

    def __init__(self, codes: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self._start = values
        place = codes.flatten().nonzero().flatten()
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("index", codes.flatten()[place].long() - 1, persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        place, index = self.get_buffer("place"), self.get_buffer("index")
        flat = values.new_zeros(self.codes.numel())
        return flat.index_put((place,), values[index]).view(self.codes.shape)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the values; the weight, which was clustered to them, is not looked at."""
        return self._start.to(weight)


def layers_of(module: nn.Module) -> dict[str, Layer]:
    """Return the layers to compress, by name, in order.

    Of layers that share one parameter the first is returned, and stands for all.

    Raises
    ------
    InputError
        If there is none.
    """
    found: dict[str, Layer] = {}
    first: dict[int, Layer] = {}
    for name, part in module.named_modules():
        if isinstance(part, Layer) and first.setdefault(id(_source(part)), part) is part:
            found[name] = part
            object.__setattr__(part, _TIES, [])
    if not found:
        raise InputError(
            f"{type(module).__name__} has no Linear, Conv1d or Conv2d: nothing to compress"
        )
    for part in module.modules():
        for name in [*part._parameters, *getattr(part, "parametrizations", ())]:
            owner = first.get(id(_source(part, name)))
            if owner is not None and (owner is not part or name != "weight"):
                getattr(owner, _TIES).append((part, name))
    return found


def tied_names(module: nn.Module) -> dict[str, str]:
    """Return the names of tied parameters, and of the layer that stands for each."""
    names = {id(part): name for name, part in module.named_modules()}
    return {
        f"{names[id(part)]}.{name}".lstrip("."): layer_name
        for layer_name, layer in layers_of(module).items()
        for part, name in getattr(layer, _TIES)
    }


def by_layer(
    module: nn.Module, setting: str, given: Mapping[str, T] | Sequence[T], others: Mapping[str, T]
) -> dict[str, T]:
    """Return the value of a setting for each layer of ``module``.

    Parameters
    ----------
    module : whose layers are meant.
    setting : its name, for messages.
    given : values by the names of layers, or one for each layer, in order.
    others : values of layers that ``given`` does not name.

    Raises
    ------
    InputError
        If there are not as many values as layers, or there is no layer of a name.
    """
    names = list(layers_of(module))
    if not isinstance(given, Mapping):
        if len(given) != len(names):
            raise InputError(
                f"{setting} has {len(given)} values, but there are {len(names)} layers: "
                f"{', '.join(names)}"
            )
        return dict(zip(names, given, strict=True))
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        ties = {name.rpartition(".")[0]: owner for name, owner in tied_names(module).items()}
        if unknown in ties:
            raise InputError(
                f"{setting} names {unknown!r}, whose weight is that of {ties[unknown]!r}: name "
                "that layer alone"
            )
        raise InputError(f"{setting} names {unknown!r}, but the layers are {', '.join(names)}")
    return {**others, **given}


def hold(layer: nn.Module, by: nn.Module) -> None:
    """Put the weight of ``layer`` under ``by``, in place of what held it before.

    Parameters that are tied to it, see :func:`layers_of`, stay tied.
    """
    _release(layer, "weight")
    # Shapes differ between what is trained and what is computed, which torch checks by running.
    parametrize.register_parametrization(layer, "weight", by, unsafe=True)
    for part, name in getattr(layer, _TIES, ()):
        parametrize.register_parametrization(part, name, nn.Identity(), unsafe=True)
        _lists(part)[name] = _lists(layer)["weight"]


def bake(module: nn.Module) -> nn.Module:
    """Turn held weights into plain ones, in place; nothing of a pruned weight stays."""
    for part in module.modules():
        for name in list(getattr(part, "parametrizations", ())):
            _release(part, name)
    return module


@torch.no_grad()
def round_rest(module: nn.Module) -> nn.Module:
    """Round what is not held to half floats, in place, where these are finite."""
    for name, parameter in module.named_parameters():
        half = parameter.half()
        if "parametrizations" not in name and bool(half.isfinite().all()):
            parameter.copy_(half)
    return module


def density_of(layers: Iterable[Layer]) -> float:
    """Return the share of all weights that are not 0."""
    with torch.no_grad():
        weights = [layer.weight for layer in layers]
    kept = sum(int(torch.count_nonzero(weight)) for weight in weights)
    return kept / max(1, sum(weight.numel() for weight in weights))


def _source(part: nn.Module, name: str = "weight") -> object:
    """Return what makes a parameter: itself, or what holds it; equal in tied layers."""
    lists = getattr(part, "parametrizations", ())
    return _lists(part)[name] if name in lists else part._parameters.get(name)


def _lists(part: nn.Module) -> nn.ModuleDict:
    lists = part.get_submodule("parametrizations")
    assert isinstance(lists, nn.ModuleDict)
    return lists


def _release(part: nn.Module, name: str) -> None:
    if not parametrize.is_parametrized(part, name):
        return
    holder = _lists(part)[name]
    ties = [
        (place, key)
        for place, key in getattr(part, _TIES, ())
        if parametrize.is_parametrized(place, key) and _lists(place)[key] is holder
    ]
    for place, key in ties:
        # What holds all of them is taken out once, below.
        nothing = nn.Parameter(torch.zeros(0))
        _lists(place)[key] = parametrize.ParametrizationList([nn.Identity()], nothing)
        _remove(place, key)
    _remove(part, name)
    for place, key in ties:
        place.register_parameter(key, part.get_parameter(name))


def _remove(part: nn.Module, name: str) -> None:
    # torch gives each held module a class and takes the weight out of it at the end; copies of a
    # module share that class, and would lose theirs.
    cls = type(part)
    own = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    object.__setattr__(part, "__class__", type(cls.__name__, cls.__bases__, own))
    # Spectral norms move their vectors whenever they are looked at in training mode.
    _lists(part)[name].eval()
    parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    if name in part._buffers:
        # A weight computed from several frozen parameters is put back as a buffer.
        tensor = part._buffers.pop(name)
        assert tensor is not None
        part.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
