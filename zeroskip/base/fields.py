"""A value that a user can set: what it may be, and how its text is read."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

from zeroskip.base.errors import ParameterError

__all__ = ["Field"]

_WORDS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class Field:
    """A value that can be set.

    Parameters
    ----------
    name : of the field.
    choices : the names that it can have; the smallest and the largest number; or false and true.
    about : what it is.
    """

    name: str
    choices: tuple[Any, ...]
    about: str

    @property
    def rule(self) -> str:
        """Say what a value must be."""
        first = self.choices[0]
        if isinstance(first, bool):
            return "yes or no"
        if isinstance(first, str):
            return f"one of {', '.join(self.choices)}"
        kind = "whole number" if isinstance(first, int) else "number"
        return f"a {kind} from {first:g} to {self.choices[-1]:g}"

    def check(self, value: object, where: str) -> None:
        """Check that the field can have a value.

        Parameters
        ----------
        value : of any type.
        where : what to call the field in the error.

        Raises
        ------
        ParameterError
            If it is of another kind, none of the names, or out of range.
        """
        first = self.choices[0]
        if isinstance(first, str | bool):
            good = isinstance(value, type(first)) and value in self.choices
        else:
            kind, number = Integral if isinstance(first, int) else Real, cast(Any, value)
            good = isinstance(value, kind) and not isinstance(value, bool)
            good = good and bool(first <= number <= self.choices[-1])
        if not good and isinstance(first, str) and isinstance(value, str):
            raise ParameterError.of_names(where, value, self.choices)
        if not good:
            raise ParameterError(where, value, self.rule)

    def read(self, text: str, where: str) -> Any:
        """Return the value that a text stands for.

        Parameters
        ----------
        text : as the user wrote it.
        where : what to call the field in the error.

        Raises
        ------
        ParameterError
            If the text is of another kind. Whether a number is in its range is for the class of
            parameters to say.
        """
        first = self.choices[0]
        if isinstance(first, str):
            if text not in self.choices:
                raise ParameterError.of_names(where, text, self.choices)
            return text
        if isinstance(first, bool):
            if text.lower() not in _WORDS:
                raise ParameterError(where, text, self.rule)
            return _WORDS[text.lower()]
        try:
            return type(first)(text)
        except ValueError as error:
            raise ParameterError(where, text, self.rule) from error
