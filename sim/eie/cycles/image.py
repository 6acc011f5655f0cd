"""Cycles of a compiled part, from the activations that the golden model gives it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.changes import changes
from zeroskip.compiler.ir.fixed import run_cell
from zeroskip.compiler.ir.graph import QuantCell
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.host import stall_classes
from zeroskip.sim.eie.cycles.program import PassModel, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.streams import column_streams, held, image_loadings, read_program
from zeroskip.sim.golden.words import Descriptor

__all__ = ["Scan", "image_segments", "run_image", "scanner"]


def run_image(
    part: EiePart,
    vectors: Sequence[NDArray[np.int64]],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the cycles of every input.

    Parameters
    ----------
    part : of a compiled network.
    vectors : the input, then each layer's output, (n, elements) int64 each, as the hardware holds
        them; that of the last layer may be missing if it is not recurrent.
    progress : called after each input with the inputs done and their number.

    Returns
    -------
    (n,) cycles, summed over the runs of all segments, and (n, descriptors, num_pes, stall
    classes) of them. Of a recurrent network a sample is a step of the input, and has the run that
    takes it.
    """
    p = part.params
    segments, nonzero = image_segments(part), scanner(part, vectors)
    saturated = _saturated(part, vectors)
    samples = len(vectors[0])
    cycles = np.zeros(samples, np.int64)
    counters = np.zeros((samples, len(part.program), p.num_pes, len(stall_classes(p))), np.int64)
    for sample in range(samples):
        first = 0
        for passes, scans in segments:
            scanned = [nonzero(sample, scan) for scan in scans]
            beyond = [saturated(one.layer, sample) if one.counts else None for one in scans]
            spent, detail = run_program(passes, scanned, p, saturated=beyond)
            cycles[sample] += spent
            counters[sample, first : first + len(passes)] = detail
            first += len(passes)
        if progress is not None:
            progress(sample + 1, samples)
    return part.in_run_order(cycles), part.in_run_order(counters)


@dataclass(frozen=True)
class Scan:
    """What a pass scans.

    Parameters
    ----------
    layer : whose pass it is.
    vector : number of the vector, 0 for the network's input.
    rows : of the vector.
    past : the vector is that of the step before; a sequence begins with zeros.
    counts : it drains a cell.
    threshold : of changes, which are scanned; None if the vector itself is.
    """

    layer: int
    vector: int
    rows: slice
    past: bool = False
    counts: bool = False
    threshold: int | None = None


def scanner(
    part: EiePart, vectors: Sequence[NDArray[np.int64]]
) -> Callable[[int, Scan], NDArray[np.bool_]]:
    """Return a function that says where a scan finds something to broadcast.

    Parameters
    ----------
    part, vectors : as for :func:`run_image`.

    Returns
    -------
    Of a sample, in the order of runs, and a scan: (rows, num_pes), what is not 0.
    """
    known: dict[tuple[int, bool, int | None], NDArray[np.bool_]] = {}

    def nonzero(sample: int, scan: Scan) -> NDArray[np.bool_]:
        key = scan.vector, scan.past, scan.threshold
        if key not in known:
            known[key] = _broadcast(part, vectors[scan.vector], *key)
        return known[key][sample, scan.rows]

    return nonzero


def _broadcast(
    part: EiePart, values: NDArray[np.int64], vector: int, past: bool, threshold: int | None
) -> NDArray[np.bool_]:
    """Return (n, rows, num_pes), in the order of runs, which values of a vector are broadcast."""
    found: NDArray[Any] = part.in_run_order(
        values if threshold is not None else values != 0, vector
    )
    if past or threshold is not None:
        sequences = part.graph.sequences(len(found))
        steps = sequences.padded(found)
        if past:  # A sequence begins with zeros.
            steps = np.concatenate([np.zeros_like(steps[:, :1]), steps[:, :-1]], axis=1)
        if threshold is not None:
            steps = changes(steps, threshold)
        found = sequences.joined(steps)
    return _rows(found, part.placement[vector], part.params.num_pes)


def _saturated(
    part: EiePart, vectors: Sequence[NDArray[np.int64]]
) -> Callable[[int, int], NDArray[np.int64] | None]:
    """Return a function of layer and sample: (num_pes,) states beyond their range."""
    p, known = part.params, dict[int, NDArray[np.int64]]()
    for number, layer in enumerate(part.layers):
        if isinstance(layer, QuantCell):
            widths = {"acc_bits": p.acc_bits, "act_bits": p.act_bits}
            own, projection = vectors[number], part.graph.projection(layer)
            sequences = part.graph.sequences(len(own))
            _, beyond = run_cell(layer, own, projection, **widths, sequences=sequences)
            beyond = part.in_run_order(beyond, number + 1)
            counts = np.zeros((len(beyond), p.num_pes), np.int64)
            sample, unit = np.nonzero(beyond)
            np.add.at(counts, (sample, part.placement[number + 1][unit] % p.num_pes), 1)
            known[number] = counts
    return lambda layer, sample: known[layer][sample] if layer in known else None


def image_segments(part: EiePart) -> list[tuple[list[PassModel], list[Scan]]]:
    """Give per segment its passes, and what each scans.

    Raises
    ------
    ImageError
        If pointers or entries make no sense.
    """
    try:
        return _segments(part)
    except ValueError as error:
        raise ImageError(f"the image is damaged: {error}") from error


def _segments(part: EiePart) -> list[tuple[list[PassModel], list[Scan]]]:
    found = []
    row = 0  # of the vector, in row 0 of the source file
    contents = held(image_loadings(part))
    for segment, srams in zip(part.segments, contents, strict=True):
        if segment.load is not None:
            row = segment.load[0]
        passes, scans = [], []
        program = read_program(srams["program"], part.params)
        streams = column_streams(srams, part.params, program)
        bases = _bases(program, segment.passes)
        for descriptor, layer, stream in zip(program, segment.passes, streams, strict=True):
            rows = descriptor.drain_rows if descriptor.drain else 0
            passes.append(
                PassModel(
                    None if part.params.plain else descriptor.codebook,
                    descriptor.last_code,
                    rows,
                    column_work(stream, part.params),
                    CellKind(descriptor.get("cell")),
                    pointer=descriptor.ptr_base,
                )
            )
            vector = part.vector(layer, past=bool(descriptor.get("past")))
            begin = descriptor.src_base + (-bases[vector] if descriptor.get("recur") else row)
            scans.append(
                Scan(
                    layer,
                    vector,
                    slice(begin, begin + descriptor.src_rows),
                    bool(descriptor.get("past")),
                    descriptor.get("cell") != CellKind.NONE,
                    descriptor.threshold if descriptor.get("delta") else None,
                )
            )
            if descriptor.swap:
                row = 0
        found.append((passes, scans))
    return found


def _bases(program: Sequence[Descriptor], layers: Sequence[int]) -> dict[int, int]:
    """Return where the outputs of each layer begin, by the number of their vector."""
    bases: dict[int, int] = {}
    for descriptor, layer in zip(program, layers, strict=True):
        if descriptor.drain:
            bases.setdefault(layer + 1, descriptor.dst_base)
    return bases


def _rows(x: NDArray[np.int64], positions: NDArray[np.int64], num_pes: int) -> NDArray[np.bool_]:
    """Place what is not 0: (n, rows, num_pes)."""
    rows = int(positions.max()) // num_pes + 1
    placed = np.zeros((len(x), rows * num_pes), np.bool_)
    placed[:, positions] = x != 0
    return placed.reshape(len(x), rows, num_pes)
