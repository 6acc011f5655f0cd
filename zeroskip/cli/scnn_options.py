"""One option per field of ScnnParams, for commands that compile CNNs."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.options import field_helps, field_parameter, option_parameter, set_parameters
from zeroskip.hw.common.params import ParamError
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

__all__ = ["name_scnn_options", "with_scnn_params"]

_DEFAULT = "tile"
_PANEL = "The SCNN array (networks with convolutions)"
_PRESET = typer.Option(
    "--scnn-preset",
    metavar="NAME",
    help="tile: one PE of 4 x 4 multipliers; paper: 64 of them, as in SCNN's evaluation; tiny: 2 x "
    "2 PEs of 2 x 2, for tests. Options below change single values of it.",
    rich_help_panel=_PANEL,
)


def _options(name: str) -> list[str]:
    """Return the options for a field, the short one first if EIE has none of that name."""
    long = "--scnn-" + name.replace("_", "-")
    clashes = {field.name.removeprefix("num_") for field in dataclasses.fields(EieParams)}
    short = name.removeprefix("num_")
    return [long] if short in clashes else ["--" + short.replace("_", "-"), long]


def with_scnn_params(command: Callable[..., Any]) -> Callable[..., Any]:
    """Replace the parameter ``scnn_params`` of a command by options.

    One option per field of ScnnParams, and ``--scnn-preset``, which names the values of those
    that are not given. The command gets None if none of the options is given.
    """
    helps = field_helps(ScnnParams)
    fields = dataclasses.fields(ScnnParams)
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [one for one in own if one.name != "scnn_params"]
    parameters += [option_parameter("scnn_preset", str | None, _PRESET, None)]
    for field in fields:
        names, text = _options(field.name), helps.get(field.name)
        parameters.append(field_parameter(f"scnn_{field.name}", field.type, names, text, _PANEL))

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        preset = values.pop("scnn_preset")
        given = {field.name: values.pop(f"scnn_{field.name}") for field in fields}
        given = {name: value for name, value in given.items() if value is not None}
        params = None
        if preset is not None or given:
            start = _preset(preset or _DEFAULT)
            try:
                params = dataclasses.replace(start, **given)
            except ParamError as error:
                raise ParamError(name_scnn_options(str(error))) from error
        return command(scnn_params=params, **values)

    set_parameters(with_options, parameters)
    return with_options


def _preset(name: str) -> ScnnParams:
    if name not in PRESETS:
        raise InputError(f"--scnn-preset must be one of {', '.join(PRESETS)}, not {name!r}")
    return PRESETS[name]


def name_scnn_options(message: str, *, unique: bool = False) -> str:
    """Return a message with fields of ScnnParams as the options that set them.

    ``unique``: only those that EieParams has not.
    """
    theirs = {field.name for field in dataclasses.fields(EieParams)}
    for field in dataclasses.fields(ScnnParams):
        if unique and field.name in theirs:
            continue
        option = _options(field.name)[0]
        message = re.sub(rf"\b{field.name}\b ?= ?(?=\d)", f"{option} ", message)
        message = re.sub(rf"(?<![\w'\"/-]){field.name}(?![\w'\"/.])", option, message)
    return message
