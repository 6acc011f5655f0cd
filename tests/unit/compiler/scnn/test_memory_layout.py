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


@pytest.mark.parametrize("apart", ["", "tiles", "rows"])
@pytest.mark.parametrize(
    ("block", "tile", "width"),
    # Whole tiles; a shorter last one; one that has what is left behind it; PEs that have nothing;
    # tiles of half a beat.
    [(1, 8, 16), (2, 14, 55), (2, 14, 57), (1, 3, 9), (2, 4, 6), (2, 3, 11), (0, 9, 9)],
)
def test_values_and_beats(block: int, tile: int, width: int, apart: str) -> None:
    layout = _layout(block, tile, width)
    parts = [part for pe in range(1 << block) if (part := layout.part(pe)[1]).start < part.stop]
    whole = {"": (0, 1), "tiles": (tile, len(parts)), "rows": (width, 1)}[apart]
    lies = MemoryLayout((1, 1), 2, 3, width, tile=whole[0], tiles=whole[1], lanes=LANES)
    places = lies.column(np.arange(width))
    assert len(np.unique(places)) == width
    assert places.max() < lies.pitch
    if apart:
        # Nothing that is kept together lies in more beats than it needs, in any row.
        for some in parts if apart == "tiles" else [slice(0, width)]:
            own = places[some] + lies.pitch * np.arange(3)[:, None]
            beats = [len(np.unique(row // LANES)) for row in own]
            assert beats == 3 * [-(-own.shape[1] // LANES)]
    where = lies.where(5 * LANES, Channels(tensor="x", start=0, stop=2), layout)
    beats = 0
    for row in range(2 * 3):
        for pe, part in enumerate(parts):
            first = 5 * LANES + row * lies.pitch + pe * where["tile_x"]
            own = first + np.arange(part.stop - part.start)
            assert (own == 5 * LANES + row * lies.pitch + places[part]).all()
            beats += len(np.unique(own // LANES))
    assert count_beats(where, layout, range(2), LANES) == beats
