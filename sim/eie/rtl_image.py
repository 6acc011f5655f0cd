"""Between a compiled image and the simulated array."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.image.image import Image
from zeroskip.compiler.passes.fixed_point import dequantize
from zeroskip.sim.eie.result import RunResult
from zeroskip.sim.eie.rtl import Job, RtlResult

__all__ = ["image_job", "image_result"]


def image_job(image: Image, columns: NDArray[np.int64]) -> Job:
    """Make the job that runs ``columns``, (n, columns) quantised inputs, through ``image``."""
    p, rows = image.params, image.heights[0]
    inputs = np.zeros((len(columns), rows * p.num_pes), np.int64)
    inputs[:, image.placement[0]] = columns
    return Job(
        image.segments,
        inputs.reshape(len(columns), rows, p.num_pes),
        _max_cycles(image),
    )


def image_result(image: Image, raw: RtlResult) -> RunResult:
    """Put passes together to layers, and positions in the network's order."""
    layers, samples = image.network.layers, len(raw.cycles)
    outputs = []
    counters = np.zeros((samples, len(layers), *raw.counters.shape[2:]), np.int64)
    for number in range(len(layers)):
        mine = [at for at, layer in enumerate(image.passes) if layer == number]
        written = np.concatenate([raw.outputs[at] for at in mine], axis=1).reshape(samples, -1)
        outputs.append(written[:, image.placement[number + 1]])
        counters[:, number] = raw.counters[:, mine].sum(axis=1)
    return RunResult(
        dequantize(outputs[-1], layers[-1].out_frac),
        tuple(outputs),
        cycles=raw.cycles,
        reload_cycles=raw.reload_cycles,
        seconds=raw.seconds,
        counters=counters if image.params.counters else None,
        result=raw.result.reshape(samples, -1)[:, image.placement[-1]],
    )


def _max_cycles(image: Image) -> int:
    """Bound the cycles of a run: as many as if nothing ever happened side by side."""
    p = image.params
    words = sum(
        len(sram.words)
        for segment in image.segments
        for name, sram in segment.srams.items()
        if name.endswith("/spmat")
    )
    columns = sum(d.src_rows * p.num_pes for d in image.program)
    rows = sum(d.src_rows + d.drain_rows for d in image.program)
    latencies = (p.num_codes + 64) * len(image.program)
    return 2 * (words * p.entries_per_word + 8 * columns + rows + latencies)
