"""What tests compute of graphs, and of planes of layers, that the product has no need of."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.ir.fixed import layer_results
from zeroskip.compiler.ir.graph import INPUT, QuantConv, QuantGraph
from zeroskip.compiler.scnn.geometry import Region, cut

__all__ = ["layer_regions", "run_graph"]


def run_graph(
    graph: QuantGraph, inputs: NDArray[np.int64], acc_bits: int | Mapping[str, int], act_bits: int
) -> dict[str, NDArray[np.int64]]:
    """Return every tensor by name, (samples, K, P, Q) int64; see :func:`.layer_results`."""
    tensors = {INPUT: np.asarray(inputs)}
    for result in layer_results(graph, inputs, acc_bits, act_bits):
        tensors[result.layer.name] = result.output
    return tensors


def layer_regions(conv: QuantConv, height: int, width: int) -> tuple[Region, ...]:
    """Cut the output plane into regions of at most ``height x width``, row-major."""
    _, rows, columns = conv.out_shape
    return tuple(
        cut(conv, y, x, min(height, rows - y), min(width, columns - x))
        for y in range(0, rows, height)
        for x in range(0, columns, width)
    )
