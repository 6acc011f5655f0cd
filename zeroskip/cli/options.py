"""Options that several commands have, and one option per field of EieParams."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.compiler.eie.choose import FREE, FreeParams
from zeroskip.compiler.eie.place import Strategy
from zeroskip.compiler.presets import DEFAULT_PRESET, PRESETS, Preset
from zeroskip.hw.board.boards import BOARDS
from zeroskip.hw.eie.params import EieParams

__all__ = [
    "ImageArgument",
    "InputOption",
    "JsonOption",
    "field_helps",
    "field_parameter",
    "name_options",
    "number",
    "option_parameter",
    "set_parameters",
    "whole_number",
    "with_params",
]

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
ImageArgument = Annotated[Path, typer.Argument(metavar="IMAGE", help="Folder of a compiled image.")]
InputOption = Annotated[
    Path,
    typer.Option("--input", "-i", metavar="X.npy", help="Inputs, floats (samples, *input shape)."),
]


def whole_number(text: str) -> int:
    """Read an option; the library's own message does not say which value is wrong."""
    try:
        return int(text)
    except ValueError as error:
        raise typer.BadParameter(f"it must be a whole number, not {text!r}") from error


def number(text: str) -> float:
    """Read an option as :func:`whole_number` does."""
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"it must be a number, not {text!r}") from error


_PANEL = "The array"
_PRESET = typer.Option(
    "--preset",
    metavar="NAME",
    help="; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    + f"; {', '.join(BOARDS)}: what fits the board. Options below change single values of it.",
    rich_help_panel=_PANEL,
)
_PLACEMENT = typer.Option(
    "--placement",
    help="interleave: row i on PE i mod N. balance: equal work per PE. schedule: balance, and "
    "activations in an order that keeps the PEs abreast. The preset's unless given.",
    rich_help_panel=_PANEL,
)


def _option(name: str) -> str:
    """Return the option for a field: ``num_pes`` is ``--pes``."""
    return "--" + name.removeprefix("num_").replace("_", "-")


def with_params(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace the parameters ``params`` and ``placement`` of a command by options.

    One option per field of EieParams, ``--placement``, and ``--preset``, which names the values
    of those that are not given. A command whose ``params`` are FreeParams lets the network choose
    what it can, unless the option or a preset is given.
    """
    helps = field_helps(EieParams)
    fields = dataclasses.fields(EieParams)
    own = inspect.signature(command, eval_str=True).parameters
    free = own["params"].annotation is FreeParams
    parameters = [one for one in own.values() if one.name not in ("params", "placement")]
    parameters += [option_parameter("preset", str | None, _PRESET, None)]
    parameters += [option_parameter("placement", Strategy | None, _PLACEMENT, None)]
    for field in fields:
        names = dict.fromkeys([_option(field.name), "--" + field.name.replace("_", "-")])
        text = helps.get(field.name)
        if free and field.name in FREE:
            text = f"{text} The network chooses unless this or a preset is given."
        parameters.append(field_parameter(field.name, field.type, list(names), text, _PANEL))

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        named = values.pop("preset")
        preset = _preset(named or DEFAULT_PRESET)
        given = {field.name: values.pop(field.name) for field in fields}
        params = dataclasses.replace(
            preset.params, **{name: value for name, value in given.items() if value is not None}
        )
        placement = values.pop("placement") or preset.placement
        if free:
            left = {name for name in FREE if given[name] is None and named is None}
            params = FreeParams(params, frozenset(left))
        return command(params=params, placement=placement, **values)

    set_parameters(with_options, parameters)
    return with_options


def set_parameters(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> None:
    """Let a function that takes ``**values`` be seen as one with ``parameters``, all by name."""
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    function.__dict__["__signature__"] = inspect.Signature(keywords)
    function.__annotations__ = {one.name: one.annotation for one in keywords}


def option_parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    """Make the parameter of a command that is an option."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


def field_parameter(
    name: str, kind: Any, options: Sequence[str], text: str | None, panel: str
) -> inspect.Parameter:
    """Make the parameter of a command, None unless given, for a field of a class of parameters.

    Parameters
    ----------
    name : of the parameter.
    kind : type of the field.
    options : its names on the command line; those of a bool get a ``--no-`` beside them.
    text : what it is.
    panel : of the help it stands in.
    """
    if kind is bool:
        options = [f"{one}/--no-{one.removeprefix('--')}" for one in options]
    option = typer.Option(
        *options,
        help=text,
        metavar=None if kind is bool else "N",
        parser=whole_number if kind is int else None,
        rich_help_panel=panel,
    )
    return option_parameter(name, kind | None, option, None)


def _preset(name: str) -> Preset:
    if name in BOARDS:
        return Preset(BOARDS[name].params(), "schedule", BOARDS[name].about)
    if name not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join([*PRESETS, *BOARDS])}, not {name!r}")
    return PRESETS[name]


def name_options(message: str) -> str:
    """Return a message with fields of EieParams as the options that set them."""
    for field in dataclasses.fields(EieParams):
        option = _option(field.name)
        message = re.sub(rf"\b{field.name}\b ?= ?(?=\d)", f"{option} ", message)
        message = re.sub(rf"(?<![\w'\"/]){field.name}(?![\w'\"/.])", option, message)
    return message


def field_helps(params: type) -> dict[str, str]:
    """Take what each field is from the docstring of a class of parameters."""
    text = inspect.getdoc(params) or ""
    helps: dict[str, str] = {}
    for names, what in re.findall(r"^(\w+(?:, \w+)*) : (.+(?:\n +.+)*)", text, re.MULTILINE):
        helps |= dict.fromkeys(names.split(", "), " ".join(what.split()))
    return {name: what[0].upper() + what[1:] for name, what in helps.items()}
