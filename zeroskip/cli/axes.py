"""Axes of sweeps: options whose values have commas between."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from zeroskip.base.errors import InputError
from zeroskip.cli.options import option_parameter, set_parameters

__all__ = ["Axis", "with_axes"]

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_METAVARS = {int: "N,...", float: "SHARE,...", str: "NAME,...", bool: "yes,no"}
_KINDS = {int: "whole numbers", float: "numbers"}


@dataclass(frozen=True)
class Axis:
    """What a sweep goes through.

    Parameters
    ----------
    kind : of its values: int, float, str or bool.
    about : what they are.
    option : that gives them; unless given, named after the axis.
    """

    kind: type
    about: str
    option: str | None = None


def with_axes(axes: Mapping[str, Axis]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the parameter ``axes`` of a command by an option for each axis.

    The command gets the values by axis, of those axes only that are given. InputError is raised
    if a value is not of its axis's kind.
    """

    def replaced(command: Callable[..., Any]) -> Callable[..., Any]:
        parameters: list[inspect.Parameter] = []
        for one in inspect.signature(command, eval_str=True).parameters.values():
            if one.name != "axes":
                parameters.append(one)
                continue
            for name, axis in axes.items():
                option = typer.Option(
                    axis.option or "--" + name.replace("_", "-"),
                    metavar=_METAVARS[axis.kind],
                    help=axis.about,
                )
                parameters.append(option_parameter(name, str | None, option, None))

        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            texts = {name: values.pop(name) for name in axes}
            found = {
                name: [_value(name, axes[name].kind, one.strip()) for one in text.split(",")]
                for name, text in texts.items()
                if text is not None
            }
            return command(axes=found, **values)

        set_parameters(with_options, parameters)
        return with_options

    return replaced


def _value(axis: str, kind: type, text: str) -> Any:
    if kind is bool:
        if text.lower() not in _WORDS:
            raise InputError(f"{axis} must be yes, no or yes,no, not {text!r}")
        return _WORDS[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{axis} must be {_KINDS[kind]} with commas, not {text!r}") from error
