"""The configuration as TOML: read, checked, and written with every default in sight."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import Config

__all__ = ["dump_config", "load_config", "override", "parse_config"]


def load_config(path: Path | str) -> Config:
    """Read a TOML file; what it leaves out has its default.

    Raises
    ------
    InputError
        If the file cannot be read, or a name or value in it is wrong.
    """
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"configuration {path} cannot be read: {reason}") from error
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> Config:
    """Read TOML; ``name`` is for messages. See :func:`load_config`."""
    try:
        return _validate(tomllib.loads(text), name)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"configuration {name} is no TOML: {error}") from error


def override(config: Config, settings: Sequence[str]) -> Config:
    """Return ``config`` with settings like ``prune.density=0.05`` in place of its own.

    Raises
    ------
    InputError
        If a name or value is wrong.
    """
    document = config.model_dump()
    for setting in settings:
        path, equals, value = setting.partition("=")
        *tables, key = path.strip().split(".")
        table: Any = document
        for part in tables:
            table = table.get(part) if isinstance(table, dict) else None
        if not equals or not isinstance(table, dict):
            raise InputError(f"a setting must be like prune.density=0.05, not {setting!r}")
        table[key] = _value(value.strip())
    return _validate(document, "given by settings")


def dump_config(config: Config) -> str:
    """Return ``config`` as TOML, every value with a line that says what it does."""
    lines: list[str] = []
    _dump(config, "", lines)
    return "\n".join(lines) + "\n"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        # A word without quotes, which shells take away.
        return text


def _validate(document: dict[str, Any], name: str) -> Config:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        if first["type"] == "extra_forbidden":
            raise InputError(f"configuration {name} has no setting {where!r}") from error
        raise InputError(
            f"configuration {name}: {where} is {first['input']!r}: {first['msg'].lower()}"
        ) from error


def _dump(section: BaseModel, name: str, lines: list[str]) -> None:
    tables: list[tuple[str, BaseModel]] = []
    if name:
        lines += ["", f"[{name}]"]
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            tables.append((f"{name}.{key}" if name else key, value))
            continue
        lines.append(f"# {field.description}")
        # TOML has no null: what is unset is shown, but as a comment.
        lines.append(f"# {key} = " if value is None else f"{key} = {_toml(value)}")
    for path, value in tables:
        _dump(value, path, lines)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON's strings, numbers and booleans are TOML's.
    return json.dumps(value)
