"""Count numbers of inputs that do not fit the format which calibration chose."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import limits
from zeroskip.compiler.passes.fixed_point import round_half_up

__all__ = ["WARN_SHARE", "Clipping", "calibration_warnings", "count_clipped"]

WARN_SHARE = 0.01
"""A greater share of clipped numbers than this is worth a warning."""


@dataclass(frozen=True, eq=False)
class Clipping:
    """Numbers of inputs that saturation changed on their way into fixed point.

    Parameters
    ----------
    counts : (n,) int64, of each input.
    size : numbers of one input.
    lowest, highest : what the input's format holds.
    """

    counts: NDArray[np.int64]
    size: int
    lowest: float
    highest: float

    @property
    def total(self) -> int:
        """Numbers clipped, of all inputs."""
        return int(self.counts.sum())

    @property
    def numbers(self) -> int:
        """Count the numbers in all inputs together, clipped or not."""
        return self.size * self.counts.size

    @property
    def share(self) -> float:
        """How many of the numbers were clipped, from 0 to 1."""
        return self.total / self.numbers if self.numbers else 0.0

    @property
    def warning(self) -> str | None:
        """A sentence with the way out if more than :data:`WARN_SHARE` were clipped."""
        if self.share <= WARN_SHARE:
            return None
        return (
            f"{100 * self.share:.1f} % of the numbers in the inputs are beyond what calibration "
            f"made room for ({self.lowest:.6g} to {self.highest:.6g}) and were clipped, so "
            "outputs may be wrong: compile again with calibration data like this"
        )

    def __str__(self) -> str:
        return f"clipped inputs: {self.total} of {self.numbers} ({100 * self.share:.1f} %)"

    def lines(self) -> list[str]:
        """Return what to print."""
        warning = self.warning
        return [str(self), *([] if warning is None else [f"warning: {warning}"])]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON has them."""
        return {
            "clipped": self.total,
            "numbers": self.numbers,
            "share": self.share,
            "per_input": self.counts.tolist(),
            "warning": self.warning,
        }


def count_clipped(x: NDArray[np.floating[Any]], frac: int, act_bits: int) -> Clipping:
    """Count the numbers that :func:`.quantize_input` clips.

    Parameters
    ----------
    x : (n, ...) finite floats.
    frac, act_bits : as there.
    """
    least, most = limits(act_bits)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = round_half_up(np.ldexp(np.asarray(x, np.float64), frac)).reshape(len(x), -1)
    return Clipping(
        counts=np.count_nonzero((scaled < least) | (scaled > most), axis=1),
        size=scaled.shape[1],
        lowest=float(np.ldexp(float(least), -frac)),
        highest=float(np.ldexp(float(most), -frac)),
    )


def calibration_warnings(samples: NDArray[np.float64]) -> tuple[str, ...]:
    """Return sentences about calibration data that cannot be like those of real use."""
    low, high = float(samples.min()), float(samples.max())
    if low != high:
        return ()
    sentence = (
        f"all numbers of the calibration data are {low:.6g}, which says nothing about the range "
        "of real inputs and of what layers make of them: calibrate on samples like those of real "
        "use, or outputs may be wrong"
    )
    return (sentence,)
