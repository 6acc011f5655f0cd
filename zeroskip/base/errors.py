"""Errors that a user can act on."""

import re

__all__ = [
    "CompileError",
    "ImageError",
    "InputError",
    "ScnnCompileError",
    "SimulationError",
    "ToolError",
    "ZeroskipError",
]


_LONG = re.compile(r"\d{41,}")


def _shorten(number: re.Match[str]) -> str:
    digits = number[0]
    return f"{digits[:12]}... ({len(digits)} digits)"


class ZeroskipError(Exception):
    """Something a user gave cannot be used. The text is one sentence: what, which value, way out.

    The command line prints it and exits with 2. Numbers of more digits than any size has, which
    damaged files hold, are cut.
    """

    def __init__(self, text: object) -> None:
        super().__init__(_LONG.sub(_shorten, str(text)))


class InputError(ZeroskipError):
    """An array, a file or an option is unusable."""


class CompileError(ZeroskipError):
    """A network cannot be mapped on the hardware."""


class ScnnCompileError(CompileError):
    """A layer cannot be mapped on the SCNN array; parameters that the text names are SCNN's."""


class ImageError(ZeroskipError):
    """A compiled image is missing, damaged or of another version."""


class ToolError(Exception):
    """A program that the simulation needs is missing or failed."""


class SimulationError(Exception):
    """A simulation did not come to its end."""
