"""Rows of activation RAMs: as many as the fullest PE stores, at most as many as if none were 0."""

import numpy as np
import pytest

from zeroskip.compiler.scnn.fill import ExpectedFill, MeasuredFill, dense_rows
from zeroskip.compiler.scnn.run import Channels, TileLayout
from zeroskip.compiler.scnn.tiles import encode_tiles
from zeroskip.hw.scnn.params import PRESETS

_P = PRESETS["paper"]


def _layout(rng: np.random.Generator) -> TileLayout:
    block_y, block_x = rng.integers(0, 3, 2).tolist()
    sy, sx = rng.integers(1, 3, 2).tolist()
    tile_h, tile_w = sy * int(rng.integers(1, 5)), sx * int(rng.integers(1, 5))
    rows, columns = tile_h << block_y, tile_w << block_x
    return TileLayout(
        block_x=block_x,
        block_y=block_y,
        tile_h=tile_h,
        tile_w=tile_w,
        sy=sy,
        sx=sx,
        y_stride=tile_w // sx + int(rng.integers(0, 4)),
        y0=int(rng.integers(0, 3)),
        x0=int(rng.integers(0, 3)),
        height=int(rng.integers(1, rows + 1)),
        width=int(rng.integers(1, columns + 1)),
        dense=bool(rng.random() < 0.2),
    )


def test_rows_are_those_of_the_fullest_pe() -> None:
    """Of all inputs, blocks of owners and PEs: as the array stores them, with a margin on top."""
    rng = np.random.default_rng(0)
    full = 0
    for _ in range(60):
        layout = _layout(rng)
        count, each = int(rng.integers(1, 9)), int(rng.integers(1, 5))
        shape = 2, count + 2, layout.y0 + layout.height, layout.x0 + layout.width
        values = rng.integers(1, 9, shape) * (rng.random(shape) < rng.choice([0.02, 0.4, 1.0]))
        some = values[:, 1 : 1 + count]
        most = max(
            int(encode_tiles(_P, layout, sample[first : first + each]).ends.max())
            for sample in some
            for first in range(0, count, each)
        )
        channels, dense = (
            Channels(tensor="t", start=1, stop=1 + count),
            dense_rows(layout, each, _P),
        )
        exact, more = (
            MeasuredFill(_P, {"t": values != 0}, margin).rows(layout, channels, each)
            for margin in (0.0, 0.25)
        )
        assert exact == most <= dense
        assert more == min(dense, -(-5 * most // 4))
        full += exact == dense
    assert 0 < full < 60


@pytest.mark.parametrize("density", [0.0, 0.03, 0.3, 0.7, 1.0])
def test_expected_rows_hold_what_is_drawn(density: float) -> None:
    """Drawn activations fit on every PE, and take most of the room."""
    rng = np.random.default_rng(1)
    layout = TileLayout(
        block_x=3, block_y=3, tile_h=7, tile_w=7, sy=1, sx=1, y_stride=9,
        y0=0, x0=0, height=56, width=56, dense=False,
    )  # fmt: skip
    channels = Channels(tensor="t", start=0, stop=64)
    rows = ExpectedFill(_P, {"t": density}).rows(layout, channels, 64)
    there = rng.random((4, 64, 56, 56)) < density
    most = MeasuredFill(_P, {"t": there}, 0.0).rows(layout, channels, 64)
    assert most <= rows <= dense_rows(layout, 64, _P)
    assert rows <= 1.25 * most
