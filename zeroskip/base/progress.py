"""Progress callback of long operations."""

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and of how much."""


def silent(step: str, done: int, total: int) -> None:
    """Be a :data:`Progress` that tells nobody."""
