"""Cycles of a compiled CNN, from the tensors that the golden model gives."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compiler.errors import ImageError
from hw.scnn.formats import StallClass
from sim.cycles.scnn.program import ScnnCycles

if TYPE_CHECKING:
    from compiler.scnn.image import CnnImage

__all__ = ["run_cnn_image"]


def run_cnn_image(
    image: "CnnImage",
    tensors: Mapping[str, NDArray[np.int64]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the cycles that SCNN spends on every input.

    Parameters
    ----------
    image : the compiled network.
    tensors : (n, C, H, W) int64 by name: the input and every layer's output.
    progress : called after each run with the runs done and their number.

    Returns
    -------
    (n, runs) cycles, and (n, descriptors of all runs, num_pes, stall classes) multiplier-cycles.

    Raises
    ------
    ImageError
        If weights, activations or the program make no sense.
    """
    p, runs = image.params, image.runs
    samples = len(next(iter(tensors.values())))
    ends = np.cumsum([0, *(len(run.program) for run in runs)])
    cycles = np.zeros((samples, len(runs)), np.int64)
    counters = np.zeros((samples, int(ends[-1]), p.num_pes, len(StallClass)), np.int64)
    try:
        model = ScnnCycles(p, runs)
        for sample in range(samples):
            here = {name: tensor[sample] for name, tensor in tensors.items()}
            for number in range(len(runs)):
                found = model.count(number, here)
                cycles[sample, number] = found.cycles
                counters[sample, ends[number] : ends[number + 1]] = found.counters
                if progress is not None:
                    progress(sample * len(runs) + number + 1, samples * len(runs))
    except ValueError as error:
        raise ImageError(f"image {image.name!r} is damaged: {error}") from error
    return cycles, counters
