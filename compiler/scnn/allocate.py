"""Give what is live at the same time places of its own in a memory."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Lifetime", "allocate", "peak"]


@dataclass(frozen=True)
class Lifetime:
    """Rows of a memory that are needed for some time.

    Parameters
    ----------
    rows : how many, one behind the other.
    first, last : passes in which they are written and read for the last time.
    """

    rows: int
    first: int
    last: int

    def meets(self, other: "Lifetime") -> bool:
        """Return whether both are live in some pass."""
        return self.first <= other.last and other.first <= self.last


def allocate(lifetimes: Sequence[Lifetime], rows: int) -> tuple[int, ...] | None:
    """Find the first row of each, so that what is live in the same pass does not overlap.

    Each gets the lowest place that is free; in the order in which they begin or, where that needs
    too many rows, the largest first, or those that last the longest.

    Parameters
    ----------
    lifetimes : what is to be placed.
    rows : of the memory.

    Returns
    -------
    None if no order fits.
    """
    numbers = range(len(lifetimes))
    for order in (
        sorted(numbers, key=lambda at: lifetimes[at].first),
        sorted(numbers, key=lambda at: -lifetimes[at].rows),
        sorted(numbers, key=lambda at: lifetimes[at].first - lifetimes[at].last),
    ):
        bases = _place(lifetimes, order)
        if all(bases[at] + lifetimes[at].rows <= rows for at in numbers):
            return tuple(bases[at] for at in numbers)
    return None


def peak(lifetimes: Sequence[Lifetime], bases: Sequence[int]) -> int:
    """Return the row behind the last that is used."""
    ends = (base + lifetime.rows for lifetime, base in zip(lifetimes, bases, strict=True))
    return max(ends, default=0)


def _place(lifetimes: Sequence[Lifetime], order: Sequence[int]) -> dict[int, int]:
    """Place one after the other, each as low as those before it allow."""
    bases: dict[int, int] = {}
    for at in order:
        lifetime, base = lifetimes[at], 0
        for other in sorted(
            (other for other in bases if lifetimes[other].meets(lifetime)), key=bases.__getitem__
        ):
            if base + lifetime.rows <= bases[other]:
                break
            base = max(base, bases[other] + lifetimes[other].rows)
        bases[at] = base
    return bases
