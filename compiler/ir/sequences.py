"""Sequences whose steps lie one behind the other, as samples of tensors do."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sequences", "Sweep", "row_shape", "rows_as_steps"]

Sweep = Literal["forward", "reverse", "final"]
"""In which order a recurrent layer takes steps. ``reverse``: from the last to the first. ``final``:
likewise, and its outputs stand in the order in which they are made, so that the last is its final
state; else they are of the steps at which they stand."""


def row_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the shape of a step of a tensor (C, H, W) whose rows are steps: (C * W, 1, 1)."""
    channels, _, width = shape
    return channels * width, 1, 1


def rows_as_steps(tensor: NDArray[Any]) -> NDArray[Any]:
    """Return the rows of planes (n, C, H, W) as steps (n * H, C * W, 1, 1) of sequences."""
    samples, channels, height, width = tensor.shape
    steps = tensor.transpose(0, 2, 1, 3)
    return np.ascontiguousarray(steps).reshape(samples * height, channels * width, 1, 1)


class Sequences:
    """How many steps each sequence of a batch has.

    Parameters
    ----------
    lengths : of the sequences, at least 1 each.
    """

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64]) -> None:
        self.lengths = np.asarray(lengths, np.int64)

    @classmethod
    def equal(cls, samples: int, steps: int) -> "Sequences":
        """Return sequences of ``steps`` steps each.

        Raises
        ------
        ValueError
            If samples are no whole sequences.
        """
        if samples % steps:
            raise ValueError(f"sequences of {steps} steps must be whole, not {samples} steps")
        return cls(np.full(samples // steps, steps))

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(n,) number of the sample behind the last of each sequence."""
        return np.cumsum(self.lengths)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(n,) number of the first sample of each sequence."""
        return self.ends - self.lengths

    @cached_property
    def _there(self) -> NDArray[np.bool_]:
        """(n, longest), whether a sequence has such a step."""
        return np.arange(self.lengths.max(initial=0)) < self.lengths[:, None]

    def padded(self, samples: NDArray[Any], steps: int | None = None) -> NDArray[Any]:
        """Return (n, longest, ...) of samples; steps that a sequence does not have are 0.

        Parameters
        ----------
        samples : (steps of all, ...).
        steps : instead of the longest; none may be longer.
        """
        there = self._there
        if steps is not None:
            there = np.pad(there, ((0, 0), (0, steps - there.shape[1])))
        found = np.zeros((*there.shape, *samples.shape[1:]), samples.dtype)
        found[there] = samples
        return found

    def joined(self, padded: NDArray[Any]) -> NDArray[Any]:
        """Return (steps of all, ...) of what :meth:`padded` gives."""
        return padded[:, : self._there.shape[1]][self._there]

    def reversed(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Return samples with the steps of each sequence from the last to the first."""
        place = np.arange(len(samples))
        own = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return samples[self.starts[own] + self.ends[own] - 1 - place]

    def sums(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Add up what steps of each sequence have: (n, ...)."""
        return np.add.reduceat(samples, self.starts, axis=0)
