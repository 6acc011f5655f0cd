"""Work out the functions that liberty files have of cells."""

import re
from collections.abc import Mapping

__all__ = ["evaluate"]


def evaluate(function: str, values: Mapping[str, bool]) -> bool:
    """Work out a liberty function: ``!`` and ``'`` before ``^``, then and, then or.

    Parameters
    ----------
    function : as the library has it, for instance ``(A B)'``.
    values : of its inputs by name.

    Raises
    ------
    ValueError
        If it is no function, or has an input without a value.
    """
    tokens = [*re.findall(r"\w+|[!'()&*|+^]", function), ""]
    place = 0

    def take(*wanted: str) -> str:
        nonlocal place
        if tokens[place] in wanted:
            place += 1
            return tokens[place - 1]
        return ""

    def atom() -> bool:
        nonlocal place
        if take("!"):
            return not atom()
        if take("("):
            value = any_of()
            if not take(")"):
                raise ValueError(function)
        else:
            name = tokens[place]
            if name not in values and name not in ("0", "1"):
                raise ValueError(function)
            place += 1
            value = values.get(name, name == "1")
        while take("'"):
            value = not value
        return value

    def xor_of() -> bool:
        value = atom()
        while take("^"):
            value ^= atom()
        return value

    def all_of() -> bool:
        value = xor_of()
        # Two factors side by side are a product, too.
        while take("&", "*") or re.match(r"[\w!(]", tokens[place]):
            value &= xor_of()
        return value

    def any_of() -> bool:
        value = all_of()
        while take("|", "+"):
            value |= all_of()
        return value

    result = any_of()
    if tokens[place]:
        raise ValueError(function)
    return result
