"""Find the places and the order in which SCNN's outputs are handed over to EIE."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.engine import HandOver
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.run import ActStore, ScnnRun
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["find_handoff"]


def find_handoff(graph: QuantGraph, runs: Sequence[ScnnRun], params: ScnnParams) -> HandOver | None:
    """Find the order of the outputs; None if the last run does not hold all of them, in order.

    See ``docs/scnn.md``, "From SCNN to EIE"; fields are those of :func:`.handoff_layout`.
    """
    stores = runs[-1].stores
    descriptor = runs[-1].program[-1]
    if not stores or descriptor.out_sx != 1 or descriptor.out_sy != 1:
        return None
    starts: dict[str, int] = {}
    total = 0
    for name in graph.outputs:
        starts[name] = total
        total += graph.shape(name)[0]
    _, rows, columns = graph.shape(graph.outputs[0])
    base, entries = stores[0].base, 0
    for store in stores:
        layout = store.layout
        if store.base != base + entries or any(
            block.tensor not in starts for block in store.blocks
        ):
            return None
        if (layout.y0, layout.x0, layout.height, layout.width) != (0, 0, rows, columns):
            return None
        entries += max(block.stop - block.start for block in store.blocks)
    order = np.concatenate([
        part
        for pe in range(params.num_pes)
        for store in stores
        for part in _of_pe(store, pe, starts, rows * columns, params)
    ])
    if np.count_nonzero(order >= 0) != total * rows * columns:
        return None
    if descriptor.init_min and (order < 0).any():
        # Channels that a block does not have would not be 0, but the smallest number.
        return None
    fields = {
        "base": base,
        "channels": entries,
        "wo": descriptor.wo,
        "ho": descriptor.ho,
        "y_stride": descriptor.out_y_stride,
        "full_x": descriptor.full_x,
        "full_y": descriptor.full_y,
        "rem_x": descriptor.rem_x,
        "rem_y": descriptor.rem_y,
        "block_x": descriptor.block_x,
        "block_y": descriptor.block_y,
    }
    return HandOver(fields, order)


def _of_pe(
    store: ActStore, pe: int, starts: dict[str, int], plane: int, params: ScnnParams
) -> list[NDArray[np.int64]]:
    """List the elements that a PE holds of a store, entry by entry."""
    layout = store.layout
    y, x = divmod(pe, params.pes_x)
    across = -(-params.pes_x >> layout.block_x)
    block = store.blocks[(y >> layout.block_y) * across + (x >> layout.block_x)]
    top = (y & (1 << layout.block_y) - 1) * layout.tile_h
    left = (x & (1 << layout.block_x) - 1) * layout.tile_w
    rows = np.arange(top, min(top + layout.tile_h, layout.height))
    columns = np.arange(left, min(left + layout.tile_w, layout.width))
    tile = (rows[:, None] * layout.width + columns).ravel()
    count = max(channels.stop - channels.start for channels in store.blocks)
    first = starts[block.tensor] + block.start
    return [
        (first + channel) * plane + tile
        if block.start + channel < block.stop
        else np.full(len(tile), -1)
        for channel in range(count)
    ]
