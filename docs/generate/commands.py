"""The reference of the command line, read from the commands themselves."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from zeroskip.cli.app import app

__all__ = ["commands"]


def commands() -> str:
    """Return Markdown with a section for every command: usage, options, defaults, examples."""
    return "\n".join(_sections(typer.main.get_command(app), "zeroskip", 2))


def _sections(command: Any, name: str, level: int) -> Iterator[str]:
    yield f"\n{'#' * level} {name}\n"
    yield _escape(command.help or "") + "\n"
    subcommands = getattr(command, "commands", {})
    if not subcommands or getattr(command, "invoke_without_command", False):
        yield f"```text\n{_usage(command, name)}\n```\n"
    yield from _parameters(command)
    notes, _, text = (command.epilog or "").partition("Examples:")
    if notes:
        yield _escape(notes) + "\n"
    if text:
        examples = re.sub(r"\n\n+", "\n", text.strip())
        yield f"Examples:\n\n```text\n{examples}\n```\n"
    for key in sorted(subcommands):
        if not subcommands[key].hidden:
            yield from _sections(subcommands[key], f"{name} {key}", level + 1)


def _usage(command: Any, name: str) -> str:
    words = [name]
    for parameter in _shown(command):
        if _is_argument(parameter):
            words.append(_value(parameter) if parameter.required else f"[{_value(parameter)}]")
        elif parameter.required:
            words.append(f"{parameter.opts[0]} {_value(parameter)}")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any) -> Iterator[str]:
    panels: dict[str, list[Any]] = {}
    for parameter in _shown(command):
        panels.setdefault(parameter.rich_help_panel or "", []).append(parameter)
    for title, some in panels.items():
        if title:
            yield f"**{_escape(title)}**\n"
        for parameter in some:
            yield from _parameter(parameter)


def _parameter(parameter: Any) -> Iterator[str]:
    if _is_argument(parameter):
        names = f"`{_value(parameter)}`"
    else:
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        names += "" if parameter.is_flag else f" `{_value(parameter)}`"
    notes = "Required." if parameter.required else _default(parameter)
    said = re.search("repeated|several times", parameter.help or "")
    more = " May be repeated." if parameter.multiple and not said else ""
    yield f"{names}\n: {_escape(parameter.help or '')} {notes}{more}".rstrip() + "\n"


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or callable(value) or value in ("", (), []):
        return ""
    if isinstance(parameter.show_default, str):
        return f"Default: {_escape(parameter.show_default)}."
    return f"Default: `{'yes' if value is True else getattr(value, 'value', value)}`."


def _value(parameter: Any) -> str:
    """Return what stands for the value: its metavar, its choices, or its type."""
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    if parameter.metavar:
        return parameter.metavar
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    annotation = parameter.type_descriptor.annotation
    literal = getattr(annotation, "__args__", ())
    if literal and all(isinstance(choice, str) for choice in literal):
        return "|".join(literal)
    return {"Path": "PATH", "int": "N", "float": "X", "str": "TEXT"}.get(
        getattr(annotation, "__name__", ""), "VALUE"
    )


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _shown(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]


def _escape(text: str) -> str:
    """Return text as Markdown that shows it as it is; words that are options are code."""
    joined = re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())
    escaped = re.sub(r"([\\`*_<>\[\]{}|#$])", r"\\\1", joined)
    return re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", escaped)
