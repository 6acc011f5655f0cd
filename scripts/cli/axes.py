"""Values of a sweep's axes, as options give them: with commas between."""

from typing import Any

from compiler.errors import InputError

__all__ = ["read_axes"]

_FLAGS = ("pointers_first", "skip_padding")
_SHARES = ("density", "act_density", "weight_density")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def read_axes(**given: str | None) -> dict[str, list[Any]]:
    """Read the axes that are given, by name.

    Raises
    ------
    InputError
        If a value is not of its axis's kind.
    """
    return {
        name: [_value(name, one.strip()) for one in text.split(",")]
        for name, text in given.items()
        if text is not None
    }


def _value(axis: str, text: str) -> Any:
    if axis in ("placement", "machine"):
        return text
    if axis in _FLAGS:
        if text.lower() not in _WORDS:
            raise InputError(f"{axis} must be yes, no or yes,no, not {text!r}")
        return _WORDS[text.lower()]
    kind, what = (float, "numbers") if axis in _SHARES else (int, "whole numbers")
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{axis} must be {what} with commas, not {text!r}") from error
