"""Which array a command is for: ``--preset [ENGINE=]NAME`` and ``--set [ENGINE.]FIELD=VALUE``."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

import typer

from zeroskip.base.errors import InputError, ParameterError, near_name
from zeroskip.base.fields import Field
from zeroskip.compiler.api import DEFAULT_SCNN_PRESET
from zeroskip.compiler.eie.choose import FREE, FreeParams
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.presets import DEFAULT_PRESET, PRESETS
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.common.params import ArrayParams
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS as SCNN_PRESETS
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "ENGINES", "Array", "Arrays", "Engine", "EngineOption", "PresetOption", "SetOption",
    "choose_array", "choose_arrays", "describe_arrays", "engine_of", "read_settings", "show_value",
    "split_settings",
]  # fmt: skip

PresetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--preset",
        metavar="[ENGINE=]NAME",
        help="A named array; without ENGINE=, of every engine that has one of this name.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="[ENGINE.]FIELD=VALUE",
        help="Change one value of the preset; without ENGINE., of every engine that has such a "
        "field. 'zeroskip engines' lists all. May be repeated.",
    ),
]


@dataclass(frozen=True)
class Engine:
    """What the command line knows of an engine.

    Parameters
    ----------
    name, about : of the engine.
    params : class of its parameters.
    presets : named arrays: what they are, their parameters and the options of the compiler.
    default : name of the preset in force unless another is given.
    options : of the compiler for this engine, beside the parameters of the array.
    """

    name: str
    about: str
    params: type[ArrayParams]
    presets: Mapping[str, tuple[str, Any, Mapping[str, str]]]
    default: str
    options: tuple[Field, ...] = ()

    @property
    def fields(self) -> dict[str, Field]:
        """All that can be set, by name."""
        return {one.name: one for one in (*self.params.fields(), *self.options)}


_PLACEMENT = Field(
    "placement",
    get_args(Strategy),
    "rows on PEs. interleave: row i on PE i mod N. balance: equal work per PE. schedule: balance, "
    "and activations in an order that keeps the PEs abreast.",
)
_SCNN_ABOUT = {
    "paper": "64 PEs of 4 x 4 multipliers, as in SCNN's evaluation",
    "tile": "one PE of 4 x 4 multipliers",
    "tiny": "2 x 2 PEs of 2 x 2 multipliers, for tests",
}

ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "eie",
            "Linear layers: compressed sparse columns, one multiplier per PE (ISCA 2016)",
            EieParams,
            {
                **{
                    name: (one.about, one.params, {"placement": one.placement})
                    for name, one in PRESETS.items()
                },
                **{
                    name: (f"what fits {board.about}", board.params(), {"placement": "schedule"})
                    for name, board in BOARDS.items()
                },
            },
            DEFAULT_PRESET,
            (_PLACEMENT,),
        ),
        Engine(
            "scnn",
            "convolutions and pooling: Cartesian products of non-zeros (ISCA 2017)",
            ScnnParams,
            {name: (_SCNN_ABOUT[name], params, {}) for name, params in SCNN_PRESETS.items()},
            DEFAULT_SCNN_PRESET,
        ),
    )
}

EngineOption = Annotated[
    str, typer.Option("--engine", metavar="ENGINE", help=f"One of {', '.join(ENGINES)}.")
]


def engine_of(name: str) -> Engine:
    """Return an engine by its name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in ENGINES:
        raise ParameterError.of_names("engine", name, list(ENGINES))
    return ENGINES[name]


@dataclass(frozen=True)
class Array:
    """An array of an engine, as the user wants it.

    Parameters
    ----------
    engine : of the array.
    preset : that was named; None for the engine's default.
    given : values that were set, by name of the field.
    """

    engine: Engine
    preset: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the preset."""
        return self.preset or self.engine.default

    @property
    def params(self) -> Any:
        """Parameters: the preset's, but for those that were set.

        Raises
        ------
        ParameterError
            If there is no such array; the parameter is called as on the command line.
        """
        _, params, options = self._preset
        values = {name: value for name, value in self.given.items() if name not in options}
        try:
            return dataclasses.replace(params, **values)
        except ParameterError as error:
            raise error.renamed(f"--set {self.engine.name}.{error.field}") from error

    @property
    def free_params(self) -> FreeParams:
        """Parameters, and which of them a network may choose: no preset or value was given."""
        names = FREE - set(self.given) if self.preset is None else frozenset[str]()
        return FreeParams(self.params, names)

    def refusal(self) -> ParameterError | None:
        """Return why there is no such array; None if there is one."""
        try:
            self.values()
        except ParameterError as error:
            return error
        return None

    def option(self, name: str) -> Any:
        """Return an option of the compiler: the preset's, unless it was set."""
        return self.given.get(name, self._preset[2][name])

    def values(self) -> dict[str, Any]:
        """Return all that can be set, by name, as it is in force."""
        return {**dataclasses.asdict(self.params), **self._preset[2], **self.given}

    @property
    def _preset(self) -> tuple[str, Any, Mapping[str, str]]:
        return self.engine.presets[self.name]


class Arrays(dict[str, Array]):
    """Arrays by engine. ``named``: engines that presets or values are for, and for no other."""

    named: frozenset[str]


def choose_arrays(
    presets: Sequence[str] | None,
    settings: Sequence[str] | None,
    engines: Sequence[str] = tuple(ENGINES),
) -> Arrays:
    """Read ``--preset`` and ``--set``.

    Parameters
    ----------
    presets, settings : as given; None is none.
    engines : that the command is for.

    Raises
    ------
    ParameterError
        If there is no such engine, preset, field or array.
    """
    known = {name: ENGINES[name] for name in engines}
    chosen: dict[str, str] = {}
    named: set[str] = set()
    for text in presets or ():
        names, preset = _split(text, "=", known, "--preset")
        having = [name for name in names if preset in known[name].presets]
        if not having:
            every = dict.fromkeys(one for name in names for one in known[name].presets)
            raise ParameterError.of_names("--preset", preset, list(every))
        chosen |= dict.fromkeys(having, preset)
        named |= set(having) if len(having) == 1 else set()
    given: dict[str, dict[str, Any]] = {name: {} for name in known}
    for names, name, text in read_settings(settings, known):
        for engine in names:
            where = f"--set {engine}.{name}"
            given[engine][name] = known[engine].fields[name].read(text, where)
        named |= set(names) if len(names) == 1 else set()
    found = Arrays({
        name: Array(engine, chosen.get(name), given[name]) for name, engine in known.items()
    })
    found.named = frozenset(named)
    refused = {name: error for name in known if given[name] and (error := found[name].refusal())}
    for name, error in refused.items():
        # Of several engines that a value is for, the network may need one that can have it.
        if name in named or len(refused) == sum(map(bool, given.values())):
            raise error
    return found


def choose_array(
    engine: str, presets: Sequence[str] | None, settings: Sequence[str] | None
) -> Array:
    """Read ``--engine``, ``--preset`` and ``--set`` of a command for one engine."""
    name = engine_of(engine).name
    return choose_arrays(presets, settings, [name])[name]


def read_settings(
    settings: Sequence[str] | None, engines: Mapping[str, Engine], more: Sequence[Field] = ()
) -> list[tuple[list[str], str, str]]:
    """Split each ``[ENGINE.]FIELD=VALUE`` in the engines that it is for, the field and the text.

    ``more``: what can be set of all of the engines beside their fields.
    """
    others = [one.name for one in more]
    found: list[tuple[list[str], str, str]] = []
    for text in settings or ():
        key, equals, value = text.partition("=")
        names, name = _split(key.strip(), ".", engines, "--set")
        having = [one for one in names if name in engines[one].fields or name in others]
        if not equals:
            raise ParameterError("--set", text, "[ENGINE.]FIELD=VALUE")
        if not having:
            near = near_name(name, [*others, *(f for one in names for f in engines[one].fields)])
            hint = f"did you mean {near!r}? " if near else ""
            raise InputError(
                f"--set {key}: {' and '.join(names)} cannot set {name!r}: {hint}'zeroskip engines "
                f"{names[0]}' lists what can be set"
            )
        found.append((having, name, value.strip()))
    return found


def split_settings(settings: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Part settings that begin with the name of an engine from all others."""
    own = [text for text in settings or () if text.partition(".")[0] in ENGINES]
    return own, [text for text in settings or () if text not in own]


def describe_arrays(presets: Sequence[str], engines: Sequence[str]) -> list[str]:
    """Return a sentence for each engine: the values that a command's presets leave in force."""
    arrays = choose_arrays(presets, None, engines)
    return [
        f"{name}, preset {array.name}: "
        + " ".join(f"{one}={show_value(value)}" for one, value in array.values().items())
        for name, array in arrays.items()
    ]


def show_value(value: Any) -> str:
    """Write a value as ``--set`` takes it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _split(
    text: str, mark: str, engines: Mapping[str, Engine], option: str
) -> tuple[list[str], str]:
    """Return the engines that a name is for, and the name."""
    engine, found, name = text.partition(mark)
    if not found:
        return list(engines), text
    if engine not in engines:
        raise ParameterError.of_names(f"the engine in {option} {text}", engine, list(engines))
    return [engine], name
