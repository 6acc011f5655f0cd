"""Which array a command is for, as ``--engine``, ``--preset`` and ``--set`` say it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError, ParameterError, near_name
from zeroskip.base.fields import Field
from zeroskip.compiler.engine import Engine, FreeParams, Preset, engines
from zeroskip.compiler.engine import engine as find_engine

__all__ = [
    "DEFAULT_ENGINE", "ENGINES", "Array", "Arrays", "EngineOption", "EnginesOption", "PresetOption",
    "SetOption", "choose_array", "choose_arrays", "describe_arrays", "read_settings", "show_value",
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


ENGINES = engines()
DEFAULT_ENGINE = next(iter(ENGINES))

EngineOption = Annotated[
    str, typer.Option("--engine", metavar="ENGINE", help=f"One of {', '.join(ENGINES)}.")
]
EnginesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="ENGINE",
        help=f"Whose array is meant, one of {', '.join(ENGINES)}; --preset and --set are for it "
        "unless they name another. May be repeated.",
    ),
]


@dataclass(frozen=True)
class Array:
    """An array of an engine, as the user wants it.

    Parameters
    ----------
    engine : of the array.
    preset : that was named; None for the engine's default.
    given : values that were set, by name of the field.
    """

    engine: Engine[Any, Any]
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
        options = self._preset.options
        values = {name: value for name, value in self.given.items() if name not in options}
        try:
            return dataclasses.replace(self._preset.params, **values)
        except ParameterError as error:
            raise error.renamed(f"--set {self.engine.name}.{error.field}") from error

    @property
    def free_params(self) -> FreeParams:
        """Parameters, and which of them a network may choose: no preset or value was given."""
        free = self.engine.free if self.preset is None else frozenset[str]()
        return FreeParams(self.params, free - set(self.given))

    @property
    def options(self) -> dict[str, Any]:
        """Options of the compiler: the preset's, unless they were set."""
        return {name: self.option(name) for name in self._preset.options}

    def refusal(self) -> ParameterError | None:
        """Return why there is no such array; None if there is one."""
        try:
            self.values()
        except ParameterError as error:
            return error
        return None

    def option(self, name: str) -> Any:
        """Return an option of the compiler: the preset's, unless it was set."""
        return self.given.get(name, self._preset.options[name])

    def values(self) -> dict[str, Any]:
        """Return all that can be set, by name, as it is in force.

        Raises
        ------
        ParameterError
            If something cannot have the value that it was set to.
        """
        for option in self.engine.options:
            if option.name in self.given:
                option.check(self.given[option.name], f"--set {self.engine.name}.{option.name}")
        return {**dataclasses.asdict(self.params), **self._preset.options, **self.given}

    @property
    def _preset(self) -> Preset[Any]:
        return self.engine.presets[self.name]


class Arrays(dict[str, Array]):
    """Arrays by engine. ``named``: engines that presets or values are for, and for no other."""

    named: frozenset[str]

    def options(self, engines: Iterable[str]) -> dict[str, Any]:
        """Return the options of the compiler for some engines."""
        return {name: value for engine in engines for name, value in self[engine].options.items()}


def choose_arrays(
    presets: Sequence[str] | None,
    settings: Sequence[str] | None,
    engines: Sequence[str] = tuple(ENGINES),
    meant: Sequence[str] | None = None,
) -> Arrays:
    """Read ``--preset``, ``--set`` and, where a command takes it more than once, ``--engine``.

    Parameters
    ----------
    presets, settings : as given; None is none.
    engines : that the command is for.
    meant : of these, those of ``--engine``, which presets and values without ``ENGINE=`` or
        ``ENGINE.`` are for; all if there are none.

    Raises
    ------
    ParameterError
        If there is no such engine, preset, field or array.
    """
    known = {name: ENGINES[name] for name in engines}
    for name in meant or ():
        if name not in known:
            raise ParameterError.of_names("--engine", name, list(known))
    chosen: dict[str, str] = {}
    named = set(meant or ())
    for text in presets or ():
        names, preset = _split(text, "=", known, "--preset", meant)
        having = [name for name in names if preset in known[name].presets]
        if not having:
            every = dict.fromkeys(preset for name in names for preset in known[name].presets)
            raise ParameterError.of_names("--preset", preset, list(every))
        chosen |= dict.fromkeys(having, preset)
        named |= set(having) if len(having) == 1 else set()
    given: dict[str, dict[str, Any]] = {name: {} for name in known}
    for names, name, text in read_settings(settings, known, meant=meant):
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
    name = find_engine(engine).name
    return choose_arrays(presets, settings, [name])[name]


def read_settings(
    settings: Sequence[str] | None,
    engines: Mapping[str, Engine[Any, Any]],
    more: Sequence[Field] = (),
    meant: Sequence[str] | None = None,
) -> list[tuple[list[str], str, str]]:
    """Split each ``[ENGINE.]FIELD=VALUE`` in the engines that it is for, the field and the text.

    ``more``: what can be set of all of the engines beside their fields; ``meant``: engines that
    fields without an engine are for, all if there are none.
    """
    others = [field.name for field in more]
    found: list[tuple[list[str], str, str]] = []
    for text in settings or ():
        key, equals, value = text.partition("=")
        names, name = _split(key.strip(), ".", engines, "--set", meant)
        having = [field for field in names if name in engines[field].fields or name in others]
        if not equals:
            raise ParameterError("--set", text, "[ENGINE.]FIELD=VALUE")
        if not having:
            near = near_name(
                name, [*others, *(f for field in names for f in engines[field].fields)]
            )
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
        + " ".join(f"{field}={show_value(value)}" for field, value in array.values().items())
        for name, array in arrays.items()
    ]


def show_value(value: Any) -> str:
    """Write a value as ``--set`` takes it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _split(
    text: str,
    mark: str,
    engines: Mapping[str, Engine[Any, Any]],
    option: str,
    meant: Sequence[str] | None,
) -> tuple[list[str], str]:
    """Return the engines that a name is for, and the name."""
    engine, found, name = text.partition(mark)
    if not found:
        return list(meant or engines), text
    if engine not in engines:
        raise ParameterError.of_names(f"the engine in {option} {text}", engine, list(engines))
    return [engine], name
