"""Observe a network on calibration data, in float."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.compute import run_nodes, shapes
from zeroskip.compiler.ir.graph import INPUT, FloatCell, FloatGraph, FloatLinear
from zeroskip.compiler.ir.sequences import rows_as_steps

__all__ = ["Observed", "batches", "observe"]

_BATCH_ELEMENTS = 1 << 22
"""Elements of the largest tensor that go through a network at a time, to bound memory."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What calibration data make of a network.

    Parameters
    ----------
    ranges : smallest and largest value of every tensor, by name.
    activity : of each Linear or recurrent layer (columns,), how often each of its inputs is not 0.
    """

    ranges: dict[str, tuple[float, float]]
    activity: dict[str, NDArray[np.float64]]


def batches(
    samples: NDArray[np.float64], largest: int, steps: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Cut samples into batches that bound memory.

    Parameters
    ----------
    samples : to cut.
    largest : elements of the largest tensor.
    steps : samples that stay together, those of a sequence.
    """
    size = max(1, _BATCH_ELEMENTS // largest // steps) * steps
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def observe(graph: FloatGraph, samples: NDArray[np.float64]) -> Observed:
    """Run a network on (samples, C, H, W).

    Raises
    ------
    CompileError
        As :func:`.run_nodes`.
    """
    found = shapes(graph)
    sizes = {name: math.prod(shape) for name, shape in found.items()}
    readers = {
        node.name: node.inputs[0]
        for node in graph.nodes
        if isinstance(node, FloatLinear | FloatCell)
    }
    counts = {tensor: np.zeros(sizes[tensor], np.int64) for tensor in readers.values()}
    seen = dict.fromkeys(counts, 0)
    ranges: dict[str, tuple[float, float]] = {}

    def add(name: str, tensor: NDArray[np.float64]) -> None:
        low, high = ranges.get(name, (np.inf, -np.inf))
        ranges[name] = min(low, float(tensor.min())), max(high, float(tensor.max()))
        if name in counts:
            counts[name] += np.count_nonzero(tensor, axis=0).ravel()
            seen[name] += len(tensor)

    for batch in batches(samples, max(sizes.values()), graph.input_steps):
        add(INPUT, batch)
        for node, y in run_nodes(graph, batch):
            add(node.name, y)
    activity = {tensor: count / seen[tensor] for tensor, count in counts.items()}
    for tensor in graph.of_sequences.intersection(activity):
        # Of each step, over which what is read of rows is the mean.
        often = activity[tensor].reshape(1, *found[tensor])
        activity[tensor] = rows_as_steps(often).mean(axis=0).ravel()
    return Observed(ranges, {layer: activity[tensor] for layer, tensor in readers.items()})
