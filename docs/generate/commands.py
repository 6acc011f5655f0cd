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
    heading, _, text = (command.epilog or "").partition("\n")
    if heading == "Examples:":
        examples = re.sub(r"\n\n+", "\n", text.strip())
        yield f"Examples:\n\n```text\n{examples}\n```\n"
    elif command.epilog:
        yield _escape(command.epilog) + "\n"
    for key in sorted(subcommands):
        if not subcommands[key].hidden:
            yield from _sections(subcommands[key], f"{name} {key}", level + 1)


def _usage(command: Any, name: str) -> str:
    words = [name]
    for one in _shown(command):
        if _is_argument(one):
            words.append(_value(one) if one.required else f"[{_value(one)}]")
        elif one.required:
            words.append(f"{one.opts[0]} {_value(one)}")
    return " ".join([*words, "[OPTIONS]"])


def _parameters(command: Any) -> Iterator[str]:
    panels: dict[str, list[Any]] = {}
    for one in _shown(command):
        panels.setdefault(one.rich_help_panel or "", []).append(one)
    for title, some in panels.items():
        if title:
            yield f"**{_escape(title)}**\n"
        for one in some:
            yield from _parameter(one)


def _parameter(one: Any) -> Iterator[str]:
    if _is_argument(one):
        names = f"`{_value(one)}`"
    else:
        names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
        names += "" if one.is_flag else f" `{_value(one)}`"
    notes = "Required." if one.required else _default(one)
    more = " May be given more than once." if one.multiple else ""
    yield f"{names}\n: {_escape(one.help or '')} {notes}{more}".rstrip() + "\n"


def _default(one: Any) -> str:
    value = one.default
    if value is None or value is False or callable(value) or value in ("", (), []):
        return ""
    if isinstance(one.show_default, str):
        return f"Default: {_escape(one.show_default)}."
    return f"Default: `{'yes' if value is True else getattr(value, 'value', value)}`."


def _value(one: Any) -> str:
    """Return what stands for the value: its metavar, its choices, or its type."""
    choices = getattr(getattr(one, "type", None), "choices", None)
    if one.metavar:
        return one.metavar
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    annotation = one.type_descriptor.annotation
    literal = getattr(annotation, "__args__", ())
    if literal and all(isinstance(choice, str) for choice in literal):
        return "|".join(literal)
    return {"Path": "PATH", "int": "N", "float": "X", "str": "TEXT"}.get(
        getattr(annotation, "__name__", ""), "VALUE"
    )


def _is_argument(one: Any) -> bool:
    return not one.opts[0].startswith("-")


def _shown(command: Any) -> list[Any]:
    return [one for one in command.params if not getattr(one, "hidden", False)]


def _escape(text: str) -> str:
    """Return text as Markdown that shows it as it is; words that are options are code."""
    joined = re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())
    escaped = re.sub(r"([\\`*_<>\[\]{}|#$])", r"\\\1", joined)
    return re.sub(r"(?<![\w-])(--[a-z][a-z-]*)", r"`\1`", escaped)
