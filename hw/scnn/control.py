"""What the SCNN array is doing, as its PEs are told."""

from amaranth.lib import enum

__all__ = ["Phase"]


class Phase(enum.Enum, shape=2):
    """What the array does; cycles of PEs are counted unless it is idle."""

    IDLE = 0
    """No run."""
    SETUP = 1
    """A descriptor is read, or accumulators are wiped: all cycles count as SETUP."""
    RUN = 2
    """A pass is at work."""
