"""Tensors in memory: each value has a place, and moves of tiles take as many beats as is said."""

import numpy as np
import pytest

from zeroskip.compiler.scnn.memory_layout import MemoryLayout, count_beats
from zeroskip.compiler.scnn.run import Channels, TileLayout

LANES = 8


def _layout(block: int, tile: int, width: int) -> TileLayout:
    return TileLayout(
        block_x=block,
        block_y=0,
        tile_h=3,
        tile_w=tile,
        sy=1,
        sx=1,
        y_stride=width,
        y0=0,
        x0=0,
        height=3,
        width=width,
        dense=False,
    )


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("block", "tile", "width"),
    # Whole tiles; a shorter last one; one that has what is left behind it; PEs that have nothing.
    [(1, 8, 16), (2, 14, 55), (2, 14, 57), (1, 3, 9), (2, 4, 6), (0, 9, 9)],
)
def test_values_and_beats(block: int, tile: int, width: int, *, apart: bool) -> None:
    layout = _layout(block, tile, width)
    parts = [part for pe in range(1 << block) if (part := layout.part(pe)[1]).start < part.stop]
    lies = MemoryLayout(
        (1, 1), 2, 3, width, tile=tile * apart, tiles=len(parts) if apart else 1, lanes=LANES
    )
    places = lies.column(np.arange(width))
    assert len(np.unique(places)) == width
    assert places.max() < lies.pitch
    assert not apart or all(places[part.start] % LANES == 0 for part in parts)
    where = lies.where(5 * LANES, Channels(tensor="x", start=0, stop=2), layout)
    beats = 0
    for row in range(2 * 3):
        for pe, part in enumerate(parts):
            first = 5 * LANES + row * lies.pitch + pe * where["tile_x"]
            own = first + np.arange(part.stop - part.start)
            assert (own == 5 * LANES + row * lies.pitch + places[part]).all()
            beats += len(np.unique(own // LANES))
    assert count_beats(where, layout, range(2), LANES) == beats
