"""Cycles of a compiled CNN, from the tensors that the golden model gives."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ImageError
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.scnn.cycles.program import RunCount, ScnnCycles
from zeroskip.sim.scnn.cycles.references import References, Writes

__all__ = ["cnn_references", "cnn_writes", "run_cnn_image"]


def run_cnn_image(
    part: ScnnPart,
    tensors: Mapping[str, NDArray[np.int64]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the cycles that SCNN spends on every input.

    Parameters
    ----------
    part : of a compiled network.
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
    p, runs = part.params, part.runs
    samples = len(next(iter(tensors.values())))
    ends = np.cumsum([0, *(len(run.program) for run in runs)])
    cycles = np.zeros((samples, len(runs)), np.int64)
    counters = np.zeros((samples, int(ends[-1]), p.num_pes, len(StallClass)), np.int64)
    for sample, number, found in _count(part, tensors):
        cycles[sample, number] = found.cycles
        counters[sample, ends[number] : ends[number + 1]] = found.counters
        if progress is not None:
            progress(sample * len(runs) + number + 1, samples * len(runs))
    return cycles, counters


def cnn_references(
    part: ScnnPart, tensors: Mapping[str, NDArray[np.int64]]
) -> tuple[References, ...]:
    """Count the references to SCNN's memories, of each layer, all inputs together.

    Parameters and errors are those of :func:`run_cnn_image`.
    """
    sums = [References()] * len(part.layers)
    for _, number, found in _count(part, tensors):
        for layer, references in zip(part.runs[number].passes, found.references, strict=True):
            sums[layer] += references
    return tuple(sums)


def cnn_writes(
    part: ScnnPart, tensors: Mapping[str, NDArray[np.int64]]
) -> tuple[tuple[References, Writes], ...]:
    """Count references, and what else is done, of each layer, all inputs together.

    Parameters and errors are those of :func:`run_cnn_image`.
    """
    sums = [(References(), Writes())] * len(part.layers)
    for _, number, found in _count(part, tensors, writes=True):
        passes = part.runs[number].passes
        for layer, references, writes in zip(passes, found.references, found.writes, strict=True):
            read, written = sums[layer]
            sums[layer] = read + references, written + writes
    return tuple(sums)


def _count(
    part: ScnnPart, tensors: Mapping[str, NDArray[np.int64]], *, writes: bool = False
) -> Iterator[tuple[int, int, RunCount]]:
    """Yield sample, number of the run, and what it takes."""
    try:
        model = ScnnCycles(part.params, part.runs, writes=writes)
        for sample in range(len(next(iter(tensors.values())))):
            here = {name: tensor[sample] for name, tensor in tensors.items()}
            for number in range(len(part.runs)):
                yield sample, number, model.count(number, here)
    except ValueError as error:
        raise ImageError(f"the image is damaged: {error}") from error
