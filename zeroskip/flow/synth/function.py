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
    at = 0

    def take(*wanted: str) -> str:
        nonlocal at
        if tokens[at] in wanted:
            at += 1
            return tokens[at - 1]
        return ""

    def atom() -> bool:
        nonlocal at
        if take("!"):
            return not atom()
        if take("("):
            value = any_of()
            if not take(")"):
                raise ValueError(function)
        else:
            name = tokens[at]
            if name not in values and name not in ("0", "1"):
                raise ValueError(function)
            at += 1
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
        while take("&", "*") or re.match(r"[\w!(]", tokens[at]):
            value &= xor_of()
        return value

    def any_of() -> bool:
        value = all_of()
        while take("|", "+"):
            value |= all_of()
        return value

    result = any_of()
    if tokens[at]:
        raise ValueError(function)
    return result
