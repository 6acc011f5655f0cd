"""Errors that a user can act on."""

import difflib
import re
from collections.abc import Sequence

__all__ = [
    "CompileError",
    "ImageError",
    "InputError",
    "NodeError",
    "ParameterError",
    "SimulationError",
    "ToolError",
    "ZeroskipError",
    "near_name",
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


class ParameterError(InputError, ValueError):
    """A parameter has a value that it cannot have.

    Parameters
    ----------
    field : name of the parameter in Python; the command line says which option it is.
    value : that was given.
    rule : what the value must be, as in "a whole number from 1 to 256".
    why : reason, or the way out, at the end of the sentence.
    """

    def __init__(self, field: str, value: object, rule: str, why: str = "") -> None:
        self.field, self.value, self.rule, self.why = field, value, rule, why
        super().__init__(f"{field} must be {rule}, not {value!r}{why and f': {why}'}")

    @classmethod
    def of_names(cls, field: str, value: str, names: Sequence[str]) -> "ParameterError":
        """Make the error of a name that is none of ``names``, with the nearest of them."""
        near = near_name(value, names)
        return cls(field, value, f"one of {', '.join(names)}", near and f"did you mean {near!r}?")

    def renamed(self, field: str) -> "ParameterError":
        """Return the error with another name for the parameter."""
        return ParameterError(field, self.value, self.rule, self.why)


def near_name(name: str, names: Sequence[str]) -> str:
    """Return the one of ``names`` that ``name`` is most like, in any case; "" if it is like none.

    >>> near_name("quue_depth", ["num_pes", "queue_depth"])
    'queue_depth'
    """
    lower = {known.lower(): known for known in names}
    ends = [known for known in lower if known.endswith(f"_{name.lower()}")]
    near = ends or difflib.get_close_matches(name.lower(), lower, 1, 0.5)
    return lower[near[0]] if near else ""


class CompileError(ZeroskipError):
    """A network cannot be mapped on the hardware."""


class NodeError(CompileError):
    """A node of a network is of no supported kind.

    Parameters
    ----------
    node : its name in the network's file.
    """

    def __init__(self, node: str, text: str) -> None:
        super().__init__(text)
        self.node = node


class ImageError(ZeroskipError):
    """A compiled image is missing, damaged or of another version."""


class ToolError(Exception):
    """A program that the simulation needs is missing or failed."""


class SimulationError(Exception):
    """A simulation did not come to its end."""
