"""The configuration as TOML: read, checked, and written with every default in sight."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from zeroskip.base.errors import InputError
from zeroskip.compiler.compress.config import TAGS, Config

__all__ = [
    "common_settings", "dump_config", "load_config", "override", "parse_config", "parse_settings",
    "preset",
]  # fmt: skip


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


def preset(name: str) -> Config:
    """Return a configuration that comes along: that of a task, or ``short``."""
    text = (resources.files("zeroskip.compiler.compress") / "presets" / f"{name}.toml").read_text()
    return parse_config(text, f"of {name}")


def override(config: Config, settings: Mapping[str, Any]) -> Config:
    """Return ``config`` with other settings: ``{"prune.density": 0.1}`` sets density of prune.

    Raises
    ------
    InputError
        If a name or value is wrong.
    """
    document = config.model_dump()
    for path, value in settings.items():
        *tables, key = path.split(".")
        table: Any = document
        for part in tables:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, dict):
            raise InputError(f"there is no setting {path!r}; one is prune.density")
        table[key] = value
    return _validate(document, "given by settings")


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return settings that are written like ``prune.density=0.05``, by name.

    Raises
    ------
    InputError
        If one is written otherwise.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise InputError(f"a setting must be like prune.density=0.05, not {text!r}")
        try:
            settings[name] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            # A word without quotes, which shells take away.
            settings[name] = value
    return settings


def common_settings(
    *,
    density: float | Sequence[float] | None = None,
    codes: int | Sequence[int] | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the settings that the few options of a short call stand for.

    Parameters
    ----------
    density : share of weights to keep, one for all layers or one for each.
    codes : shared values besides 0, alike.
    epochs : while pruning; half as many after sharing.
    learning_rate : while pruning; half of it after sharing, when few values move.
    seed : of everything that is drawn.
    """
    settings: dict[str, Any] = {}
    for stage, name, given in (("prune", "density", density), ("share", "codes", codes)):
        if given is not None:
            if isinstance(given, Sequence) and not isinstance(given, str):
                settings[f"{stage}.layers"] = [*given]
            else:
                settings[f"{stage}.{name}"] = given
    if epochs is not None:
        settings |= {"prune.epochs": epochs, "finetune.epochs": epochs // 2}
    if learning_rate is not None:
        settings["prune.learning_rate"] = learning_rate
        settings["finetune.learning_rate"] = learning_rate / 2
    return settings if seed is None else {**settings, "seed": seed}


def dump_config(config: Config) -> str:
    """Return ``config`` as TOML, every value with a line that says what it does."""
    lines: list[str] = []
    _dump(config, "", lines)
    return "\n".join(lines) + "\n"


def _validate(document: dict[str, Any], name: str) -> Config:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in TAGS) or "it"
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
