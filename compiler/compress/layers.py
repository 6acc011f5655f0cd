"""The layers of any module whose weights are compressed, and what they are held to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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

_Place = tuple[nn.Module, str]
"""Where a parameter is: a module, and the name that it has there."""

_WHOLE = nn.Linear | nn.Conv1d | nn.Conv2d
"""Modules of one weight, which has the module's name."""

_RECURRENT = nn.LSTM | nn.GRU
_CELLS = nn.LSTMCell | nn.GRUCell


@dataclass(frozen=True, eq=False)
class Layer:
    """A weight matrix to prune and share: a layer's, or one of those of a recurrent layer.

    Parameters
    ----------
    name : of the layer; of a recurrent layer's matrix, that of the parameter.
    path : name of the parameter in the network's state dict.
    owner, key : the module that has it, and its name there.
    gates : rows of each hidden unit of a recurrent layer, one in each block of rows; else 1.
    ties : other places of the same parameter.
    """

    name: str
    path: str
    owner: nn.Module
    key: str
    gates: int
    ties: tuple[_Place, ...]

    @property
    def weight(self) -> torch.Tensor:
        """The weight, as it is held."""
        return getattr(self.owner, self.key)


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
    places: dict[int, list[_Place]] = {}
    for part in module.modules():
        for key in [*part._parameters, *getattr(part, "parametrizations", ())]:
            places.setdefault(id(_source(part, key)), []).append((part, key))
    found: dict[str, Layer] = {}
    seen: set[int] = set()
    for owner_name, part in module.named_modules():
        for key in _keys(part):
            source = id(_source(part, key))
            if source in seen:
                continue
            seen.add(source)
            path = f"{owner_name}.{key}".lstrip(".")
            name = owner_name if isinstance(part, _WHOLE) else path
            ties = tuple(place for place in places[source] if place != (part, key))
            found[name] = Layer(name, path, part, key, _gates(part, key), ties)
    if not found:
        raise InputError(
            f"{type(module).__name__} has no Linear, Conv1d, Conv2d, LSTM or GRU: nothing to "
            "compress"
        )
    return found


def tied_names(module: nn.Module) -> dict[str, str]:
    """Return the names of tied parameters, and of the layer that stands for each."""
    names = {id(part): name for name, part in module.named_modules()}
    return {
        f"{names[id(part)]}.{name}".lstrip("."): layer.name
        for layer in layers_of(module).values()
        for part, name in layer.ties
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


def hold(layer: Layer, by: nn.Module) -> None:
    """Put the weight of ``layer`` under ``by``, in place of what held it before.

    Parameters that are tied to it, see :func:`layers_of`, stay tied.
    """
    places = [(layer.owner, layer.key), *layer.ties]
    _release(places)
    # Shapes differ between what is trained and what is computed, which torch checks by running.
    parametrize.register_parametrization(layer.owner, layer.key, by, unsafe=True)
    for part, name in layer.ties:
        parametrize.register_parametrization(part, name, nn.Identity(), unsafe=True)
        _lists(part)[name] = _lists(layer.owner)[layer.key]
    for part, _ in places:
        if isinstance(part, _RECURRENT):
            _compute_flat_weights(part)


def bake(module: nn.Module) -> nn.Module:
    """Turn held weights into plain ones, in place; nothing of a pruned weight stays."""
    places: dict[int, list[_Place]] = {}
    for part in module.modules():
        for name in getattr(part, "parametrizations", ()):
            places.setdefault(id(_lists(part)[name]), []).append((part, name))
    for tied in places.values():
        _release(tied)
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


def _keys(part: nn.Module) -> Iterator[str]:
    """Give the names of a module's weights that are compressed, in order."""
    if isinstance(part, _WHOLE):
        yield "weight"
    elif isinstance(part, _CELLS):
        yield from ("weight_ih", "weight_hh")
    elif isinstance(part, _RECURRENT):
        yield from (name for name in part._flat_weights_names if name.startswith("weight"))


def _gates(part: nn.Module, key: str) -> int:
    """Return how many rows a hidden unit has; a projection's rows are no units'."""
    if not isinstance(part, _RECURRENT | _CELLS):
        return 1
    return max(1, len(getattr(part, key)) // part.hidden_size)


def _source(part: nn.Module, name: str) -> object:
    """Return what makes a parameter: itself, or what holds it; equal in tied layers."""
    lists = getattr(part, "parametrizations", ())
    return _lists(part)[name] if name in lists else part._parameters.get(name)


def _lists(part: nn.Module) -> nn.ModuleDict:
    lists = part.get_submodule("parametrizations")
    assert isinstance(lists, nn.ModuleDict)
    return lists


def _compute_flat_weights(part: nn.RNNBase) -> None:
    """Let a recurrent layer that is held compute its weights whenever it looks at them.

    torch keeps them in a list, where computed ones would be out of date, and could not be copied.
    """
    names = list(part._flat_weights_names)
    methods = {
        "_flat_weights": property(
            lambda self: [getattr(self, name) for name in names], lambda self, new: None
        ),
        "_update_flat_weights": lambda self: None,
    }
    # The class is this module's own, which torch made when it was held.
    for name, method in methods.items():
        setattr(type(part), name, method)


def _release(places: Sequence[_Place]) -> None:
    """Make a parameter plain at all places that have it."""
    (part, name), *ties = places
    if not parametrize.is_parametrized(part, name):
        return
    for place, key in ties:
        # What holds all of them is taken out once, below.
        nothing = nn.Parameter(torch.zeros(0))
        _lists(place)[key] = parametrize.ParametrizationList([nn.Identity()], nothing)
        _remove(place, key)
    _remove(part, name)
    for place, key in ties:
        place.register_parameter(key, part.get_parameter(name))
    for place, _ in places:
        if isinstance(place, _RECURRENT):
            place._init_flat_weights()


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
