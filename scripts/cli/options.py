"""Options that several commands have, and one option per field of EieParams."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from compiler.eie.place import Strategy
from compiler.errors import InputError
from compiler.presets import DEFAULT_PRESET, PRESETS, Preset
from hw.eie.params import EieParams

__all__ = [
    "ImageArgument",
    "InputOption",
    "JsonOption",
    "field_helps",
    "name_options",
    "number",
    "option_parameter",
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


_PRESET = typer.Option(
    "--preset",
    metavar="NAME",
    help="; ".join(f"{name}: {preset.about}" for name, preset in PRESETS.items())
    + ". Options below change single values of it.",
    rich_help_panel="The array",
)
_PLACEMENT = typer.Option(
    "--placement",
    help="interleave: row i on PE i mod N. balance: equal work per PE. schedule: balance, and "
    "activations in an order that keeps the PEs abreast. The preset's unless given.",
    rich_help_panel="The array",
)


def _option(name: str) -> str:
    """Return the option for a field: ``num_pes`` is ``--pes``."""
    return "--" + name.removeprefix("num_").replace("_", "-")


def with_params(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace the parameters ``params`` and ``placement`` of a command by options.

    One option per field of EieParams, ``--placement``, and ``--preset``, which names the values
    of those that are not given.
    """
    helps = field_helps(EieParams)
    fields = dataclasses.fields(EieParams)
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [one for one in own if one.name not in ("params", "placement")]
    parameters += [option_parameter("preset", str, _PRESET, DEFAULT_PRESET)]
    parameters += [option_parameter("placement", Strategy | None, _PLACEMENT, None)]
    for field in fields:
        names = dict.fromkeys([_option(field.name), "--" + field.name.replace("_", "-")])
        if field.type is bool:
            names = {f"{name}/--no-{name.removeprefix('--')}": None for name in names}
        option = typer.Option(
            *names,
            help=helps.get(field.name),
            metavar=None if field.type is bool else "N",
            parser=whole_number if field.type is int else None,
            rich_help_panel="The array",
        )
        kind: Any = field.type
        parameters.append(option_parameter(field.name, kind | None, option, None))

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        preset = _preset(values.pop("preset"))
        given = {field.name: values.pop(field.name) for field in fields}
        params = dataclasses.replace(
            preset.params, **{name: value for name, value in given.items() if value is not None}
        )
        placement = values.pop("placement") or preset.placement
        return command(params=params, placement=placement, **values)

    with_options.__dict__["__signature__"] = inspect.Signature([
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters
    ])
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


def option_parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    """Make the parameter of a command that is an option."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise InputError(f"--preset must be one of {', '.join(PRESETS)}, not {name!r}")
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
