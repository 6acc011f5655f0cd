"""Cycles of a compiled part, from the activations that the golden model gives it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.engine import EiePart
from zeroskip.hw.eie.host import stall_classes
from zeroskip.sim.eie.cycles.program import PassModel, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.streams import column_streams, held, image_loadings, read_program

__all__ = ["image_segments", "placed_inputs", "run_image"]


def run_image(
    part: EiePart,
    layer_inputs: Sequence[NDArray[np.int64]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the cycles of every input.

    Parameters
    ----------
    part : of a compiled network.
    layer_inputs : per layer (n, cols) int64, as the hardware holds them.
    progress : called after each input with the inputs done and their number.

    Returns
    -------
    (n,) cycles, summed over the runs of all segments, and (n, descriptors, num_pes, stall
    classes) of them.
    """
    p = part.params
    segments, vectors = image_segments(part), placed_inputs(part, layer_inputs)
    samples = len(layer_inputs[0])
    cycles = np.zeros(samples, np.int64)
    counters = np.zeros((samples, len(part.program), p.num_pes, len(stall_classes(p))), np.int64)
    for sample in range(samples):
        first = 0
        for passes, scans in segments:
            nonzero = [vectors[layer][sample, rows] for layer, rows in scans]
            spent, detail = run_program(passes, nonzero, p)
            cycles[sample] += spent
            counters[sample, first : first + len(passes)] = detail
            first += len(passes)
        if progress is not None:
            progress(sample + 1, samples)
    return cycles, counters


def image_segments(part: EiePart) -> list[tuple[list[PassModel], list[tuple[int, slice]]]]:
    """Give per segment its passes, and for each the layer and rows of the input it scans.

    Raises
    ------
    ImageError
        If pointers or entries make no sense.
    """
    try:
        return _segments(part)
    except ValueError as error:
        raise ImageError(f"the image is damaged: {error}") from error


def _segments(part: EiePart) -> list[tuple[list[PassModel], list[tuple[int, slice]]]]:
    found = []
    row = 0  # of the vector, in row 0 of the source file
    contents = held(image_loadings(part))
    for segment, srams in zip(part.segments, contents, strict=True):
        if segment.load is not None:
            row = segment.load[0]
        passes, scans = [], []
        program = read_program(srams["program"], part.params)
        streams = column_streams(srams, part.params, program)
        for descriptor, layer, stream in zip(program, segment.passes, streams, strict=True):
            rows = descriptor.drain_rows if descriptor.drain else 0
            passes.append(
                PassModel(
                    descriptor.codebook,
                    descriptor.last_code,
                    rows,
                    column_work(stream, part.params),
                )
            )
            begin = row + descriptor.src_base
            scans.append((layer, slice(begin, begin + descriptor.src_rows)))
            if descriptor.swap:
                row = 0
        found.append((passes, scans))
    return found


def placed_inputs(
    part: EiePart, layer_inputs: Sequence[NDArray[np.int64]]
) -> list[NDArray[np.bool_]]:
    """Give per layer (n, rows, num_pes), which activations are not 0, where they stand."""
    return [
        _rows(x, positions, part.params.num_pes)
        for x, positions in zip(layer_inputs, part.placement, strict=False)
    ]


def _rows(x: NDArray[np.int64], positions: NDArray[np.int64], num_pes: int) -> NDArray[np.bool_]:
    """Place what is not 0: (n, rows, num_pes)."""
    rows = int(positions.max()) // num_pes + 1
    placed = np.zeros((len(x), rows * num_pes), np.bool_)
    placed[:, positions] = x != 0
    return placed.reshape(len(x), rows, num_pes)
