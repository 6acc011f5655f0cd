"""Find the cheapest values of variables of which each cost knows one or two."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["cheapest"]

Costs = NDArray[np.float64]


def cheapest(
    sizes: Sequence[int], costs: Mapping[tuple[int, ...], Costs]
) -> tuple[int, ...] | None:
    """Minimize a sum of costs, each of which depends on a few variables.

    Variables are eliminated one by one (dynamic programming), first the one that shares costs with
    the fewest others. For each choice of those others, the least cost that the variable can have
    becomes a cost of theirs. Time grows with the number of values to the power of the others, of
    which there are two where a network branches and joins.

    Parameters
    ----------
    sizes : of each variable, how many values it has.
    costs : by numbers of variables, in ascending order, the cost for each choice of their values;
        infinite where they do not go together.

    Returns
    -------
    The value of each variable; None if all choices cost infinitely much.
    """
    if not all(sizes):
        return None
    factors = [(variables, np.asarray(table)) for variables, table in costs.items()]
    waiting = set(range(len(sizes)))
    gone: list[tuple[int, tuple[int, ...], Costs]] = []
    while waiting:
        around = {
            variable: {other for names, _ in factors if variable in names for other in names}
            for variable in waiting
        }
        variable = min(waiting, key=lambda name: (len(around[name]), name))
        others = tuple(sorted(around[variable] - {variable}))
        names = (*others, variable)
        total = np.zeros([sizes[name] for name in names])
        for known, table in factors:
            if variable in known:
                total = total + _spread(known, table, names)
        factors = [factor for factor in factors if variable not in factor[0]]
        factors.append((others, total.min(axis=-1)))
        gone.append((variable, others, total))
        waiting.remove(variable)
    if not np.isfinite(sum(float(table) for names, table in factors if not names)):
        return None
    chosen: dict[int, int] = {}
    for variable, others, total in reversed(gone):
        chosen[variable] = int(np.argmin(total[tuple(chosen[name] for name in others)]))
    return tuple(chosen[variable] for variable in range(len(sizes)))


def _spread(known: tuple[int, ...], table: Costs, names: tuple[int, ...]) -> Costs:
    """Give a table an axis for each of ``names``, of length 1 where it does not depend on it."""
    order = sorted(range(len(known)), key=lambda at: names.index(known[at]))
    shape = [1] * len(names)
    for at in order:
        shape[names.index(known[at])] = table.shape[at]
    return table.transpose(order).reshape(shape)
