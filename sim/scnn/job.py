"""Between SCNN's part of a network and the simulated array."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.fuse import made_layer
from zeroskip.sim.result import PartResult, by_layer
from zeroskip.sim.scnn.rtl_files import ScnnJob, ScnnResult
from zeroskip.sim.scnn.walk import map_pass

__all__ = ["fused_layers", "passes_of", "scnn_job", "scnn_result", "written_tensors"]

_MARGIN = 1000
"""Cycles that a run may take more than twice what the model says before it is taken to hang."""

Tensors = Mapping[str, NDArray[np.int64]]


def scnn_job(part: ScnnPart, tensors: Tensors, run_cycles: NDArray[np.int64]) -> ScnnJob:
    """Make the job that runs a part.

    Parameters
    ----------
    part : of a compiled network.
    tensors : (n, C, H, W) int64 by name, what the part reads that it does not make.
    run_cycles : (n, runs) that the model says.
    """
    stored = {block.tensor for run in part.runs for store in run.stores for block in store.blocks}
    loaded = {
        channels.tensor for run in part.runs for load in run.loads for channels in load.channels
    }
    made = {layer.name for layer in part.layers}
    return ScnnJob(
        part.runs,
        {name: tensors[name] for name in sorted(loaded - made)},
        {name: part.graph.shape(name) for name in sorted(stored)},
        [2 * int(most) + _MARGIN for most in run_cycles.max(axis=0)],
    )


def scnn_result(part: ScnnPart, raw: ScnnResult) -> PartResult:
    """Put what the passes wrote together to the outputs of layers."""
    counters = by_layer(passes_of(part), len(part.layers), raw.counters)
    return PartResult(
        engine=part.engine,
        layers=tuple(layer.name for layer in part.layers),
        tensors=written_tensors(part, raw),
        read={name: raw.tensors[name] for name in part.graph.outputs if name in raw.tensors},
        run_cycles=raw.cycles,
        counters=counters if part.params.counters else None,
        reload_cycles=raw.reload_cycles,
        seconds=raw.seconds.sum(axis=1),
        raw=raw,
    )


def passes_of(part: ScnnPart) -> list[int]:
    """Return the layer of each descriptor of all runs."""
    return [layer for run in part.runs for layer in run.passes]


def fused_layers(part: ScnnPart) -> dict[int, int]:
    """Return the fused poolings by number, each with the number of the layer that makes it."""
    found: dict[int, int] = {}
    for run in part.runs:
        for layer, output in zip(run.passes, run.outputs, strict=True):
            made = made_layer(part.graph, layer, output)
            if made != layer:
                found[made] = layer
    return found


def written_tensors(part: ScnnPart, raw: ScnnResult) -> dict[str, NDArray[np.int64]]:
    """Return every layer's output, (n, C, H, W), as the passes wrote it; else 0.

    Those of a layer whose passes make the pooling behind it are not there.
    """
    samples, fused = len(raw.cycles), fused_layers(part).values()
    tensors = {
        layer.name: np.zeros((samples, *layer.out_shape), np.int64)
        for number, layer in enumerate(part.layers)
        if number not in fused
    }
    for run, outputs in zip(part.runs, raw.outputs, strict=True):
        for descriptor, output, got in zip(run.program, run.outputs, outputs, strict=True):
            if output is None:
                continue
            where = map_pass(part.params, descriptor, output)
            if where.tensor in tensors:
                places = (place[where.inside] for place in (where.channel, where.y, where.x))
                tensors[where.tensor][:, *places] = got[:, where.inside]
    return tensors
