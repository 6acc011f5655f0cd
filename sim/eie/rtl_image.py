"""Between a compiled image and the simulated array."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.hw.eie.control import SLOTS
from zeroskip.sim.eie.rtl import Job, RtlResult
from zeroskip.sim.result import PartResult, by_layer

__all__ = ["image_job", "image_result"]


def image_job(part: EiePart, columns: NDArray[np.int64]) -> Job:
    """Make the job that runs ``columns``, (n, columns) quantised inputs, through a part."""
    p, rows = part.params, part.heights[0]
    columns = part.in_run_order(columns)
    inputs = np.zeros((len(columns), rows * p.num_pes), np.int64)
    inputs[:, part.placement[0]] = columns
    return Job(
        part.segments,
        inputs.reshape(len(columns), rows, p.num_pes),
        _max_cycles(part),
        tuple(part.graph.sequences(len(columns)).starts.tolist()),
    )


def image_result(part: EiePart, raw: RtlResult) -> PartResult:
    """Put passes together to layers, and positions in the network's order."""
    samples = len(raw.cycles)
    tensors: dict[str, NDArray[np.int64]] = {}
    for number, layer in enumerate(part.layers):
        passes = [
            output
            for output, computed in zip(raw.outputs, part.passes, strict=True)
            if computed == number
        ]
        written = np.concatenate(passes, axis=1).reshape(samples, -1)
        made = written[:, part.placement[number + 1], None, None]
        tensors[layer.name] = part.in_run_order(made, number + 1)
    result = raw.result.reshape(samples, -1)[:, part.placement[-1], None, None]
    result = part.in_run_order(result, len(part.layers))
    counters = by_layer(part.passes, len(part.layers), part.in_run_order(raw.counters))
    return PartResult(
        engine=part.engine,
        layers=tuple(tensors),
        tensors=tensors,
        read={part.layers[-1].name: result},
        run_cycles=part.in_run_order(raw.cycles)[:, None],
        reload_cycles=raw.reload_cycles,
        seconds=part.in_run_order(raw.seconds),
        counters=counters if part.params.counters else None,
        raw=raw,
    )


def _max_cycles(part: EiePart) -> int:
    """Bound the cycles of a run: as many as if nothing ever happened side by side."""
    p = part.params
    words = sum(
        len(sram.words)
        for segment in part.segments
        for name, sram in segment.srams.items()
        if name.endswith("/spmat")
    )
    columns = sum(d.src_rows * p.num_pes for d in part.program)
    rows = sum(d.src_rows + max(SLOTS.values()) * d.drain_rows for d in part.program)
    latencies = ((0 if p.plain else p.num_codes) + 64) * len(part.program)
    return 2 * (words * p.entries_per_word + 8 * columns + rows + latencies)
