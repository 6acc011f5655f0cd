"""Axes of a sweep: the values that each goes through, and all their combinations."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zeroskip.base.errors import InputError

__all__ = ["combinations"]


def combinations(
    axes: Mapping[str, Sequence[Any]], known: Sequence[str], check: Callable[[str, Any], object]
) -> Iterator[dict[str, Any]]:
    """Return every combination of the values, by axis.

    Parameters
    ----------
    axes : values by name.
    known : all axes there are; values of the last of them change fastest.
    check : refuses a value that an axis cannot have.

    Raises
    ------
    InputError
        If an axis is unknown or has no value, or one twice; or as ``check`` does.
    """
    if unknown := sorted(set(axes) - set(known)):
        raise InputError(f"there is no axis {unknown[0]!r}; there are {', '.join(known)}")
    chosen = {name: list(axes[name]) for name in known if name in axes}
    for name, values in chosen.items():
        if not values:
            raise InputError(f"{name} must have at least one value")
        for value in values:
            if values.count(value) > 1:
                raise InputError(f"{name} must have each value once, not {value!r} twice")
            check(name, value)
    return (
        dict(zip(chosen, values, strict=True)) for values in itertools.product(*chosen.values())
    )
