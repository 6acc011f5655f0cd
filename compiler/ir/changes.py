"""Changes of activations from step to step, bit for bit as the hardware finds them."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["changes", "next_references", "references"]


def next_references(
    now: NDArray[np.int64], before: NDArray[np.int64], threshold: int
) -> NDArray[np.int64]:
    """Return the references after a step, as :class:`.Delta` of the hardware says.

    Parameters
    ----------
    now : (..., values) activations of the step.
    before : references after the step before; 0 before a sequence.
    threshold : an activation that differs by more becomes the reference.
    """
    return np.where(np.abs(now - before) > threshold, now, before)


def references(steps: NDArray[np.int64], threshold: int) -> NDArray[np.int64]:
    """Return the references, (sequences, steps, values) int64, after each step of sequences.

    Parameters
    ----------
    steps : (sequences, steps, values) activations, in the order in which steps are taken.
    threshold : see :func:`next_references`.
    """
    found = np.empty_like(steps)
    last = np.zeros_like(steps[:, 0])
    for step in range(steps.shape[1]):
        last = found[:, step] = next_references(steps[:, step], last, threshold)
    return found


def changes(steps: NDArray[np.int64], threshold: int) -> NDArray[np.int64]:
    """Return the changes of references at each step, by which a cell's weights are multiplied.

    Parameters are those of :func:`references`; so is the shape of what is returned.
    """
    return np.diff(references(steps, threshold), axis=1, prepend=0)
