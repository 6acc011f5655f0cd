"""Find the poolings that are fused: convolutions make them as outputs leave the accumulators."""

from zeroskip.compiler.ir.graph import Pair, QuantConv, QuantGraph
from zeroskip.compiler.scnn.run import PassOutput
from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams

__all__ = ["fused_windows", "fuses", "made_layer", "pooling_behind"]


def pooling_behind(graph: QuantGraph, number: int) -> int | None:
    """Return the number of the pooling that can be fused with a layer.

    It is a maximum of windows that lie side by side and cover the plane, and nobody else reads
    what is between the two layers.

    Returns
    -------
    None if there is none.
    """
    conv = graph.layers[number]
    readers = [at for at, layer in enumerate(graph.layers) if conv.name in layer.inputs]
    if len(readers) != 1 or conv.name in graph.outputs:
        return None
    return readers[0] if fuses(conv, graph.layers[readers[0]]) else None


def fuses(conv: QuantConv, pool: QuantConv) -> bool:
    """Return whether a pooling takes the maximum of a layer's outputs, window beside window."""
    window = pool.weight.shape[2:]
    return (
        (conv.op, pool.op) == ("add", "max")
        and not conv.areas
        and pool.inputs == (conv.name,)
        and tuple(window) == pool.stride
        and pool.padding == (0, 0)
        and max(window) <= MOST_POOL
        and all(
            n * p == m
            for n, p, m in zip(pool.out_shape[1:], window, pool.in_shape[1:], strict=True)
        )
        and (conv.relu or not pool.relu)
        and not pool.shift
        and not pool.bias.any()
        and bool((pool.weight == 1).all())
    )


def fused_windows(pool: QuantConv | None, params: ScnnParams) -> Pair | None:
    """Return the rows and columns of the pooling windows of a pass.

    Parameters
    ----------
    pool : a pooling that is fused; None: outputs are written as they are.
    params : of the array.

    Returns
    -------
    None if a step of the drain has not even one window's columns.
    """
    down, across = (1, 1) if pool is None else pool.stride
    return (down, across) if params.drain_lanes(1, across) else None


def made_layer(graph: QuantGraph, number: int, output: PassOutput | None) -> int:
    """Return the layer whose outputs a pass of layer ``number`` writes: a pooling, or its own."""
    names = {block.tensor for block in output.blocks if block.start < block.stop} if output else ()
    pool = pooling_behind(graph, number)
    return number if pool is None or graph.layers[pool].name not in names else pool
