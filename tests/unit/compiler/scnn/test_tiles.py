"""Compression of planes: against the rules said in plain Python, and back."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.image.words import unpack_lanes
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.compiler.scnn.tiles import EncodedTiles, decode_tiles, encode_tiles
from zeroskip.hw.scnn.params import PRESETS, ScnnParams

TINY = PRESETS["tiny"]


@st.composite
def cases(
    draw: st.DrawFn,
) -> tuple[ScnnParams, TileLayout, NDArray[np.int64]]:
    params = replace(
        TINY, run_bits=draw(st.integers(1, 4)), mult_i=draw(st.integers(1, 5)), act_words=4096
    )
    sy, sx = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    block_x, block_y = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    # The last PE of a block may have more than a tile.
    height = draw(st.integers(1, (rows * sy << block_y) + 3))
    width = draw(st.integers(1, (columns * sx << block_x) + 3))
    walked = columns + -(-max(0, width - (columns * sx << block_x)) // sx)
    y0, x0 = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    layout = TileLayout(
        block_x=block_x,
        block_y=block_y,
        tile_h=rows * sy,
        tile_w=columns * sx,
        sy=sy,
        sx=sx,
        y_stride=walked + draw(st.integers(0, params.max_run)),
        y0=y0,
        x0=x0,
        height=height,
        width=width,
        dense=draw(st.booleans()),
    )
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    shape = draw(st.integers(1, 3)), y0 + height + 1, x0 + width + 1
    values = rng.integers(TINY.min_act, TINY.max_act, shape, endpoint=True)
    values[rng.random(shape) >= draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))] = 0
    return params, layout, values


def _entries(
    params: ScnnParams, layout: TileLayout, plane: NDArray[np.int64], pe: int, a: int, b: int
) -> list[tuple[int, int]]:
    """Apply the rules of docs/scnn.md, word by word, to a phase of a plane (H, W)."""
    top = (pe >> layout.block_x) * layout.tile_h
    left = (pe & (1 << layout.block_x) - 1) * layout.tile_w
    end_y, end_x = layout.tile_h << layout.block_y, layout.tile_w << layout.block_x
    rows, columns = layout.tile_h // layout.sy, layout.tile_w // layout.sx
    while rows * layout.sy < layout.tile_h + layout.height - end_y:
        rows += 1
    while columns * layout.sx < layout.tile_w + layout.width - end_x:
        columns += 1
    bottom, right = top + layout.tile_h, left + layout.tile_w
    bottom = layout.height if bottom == end_y else min(bottom, layout.height)
    right = layout.width if right == end_x else min(right, layout.width)
    found: list[tuple[int, int]] = []
    last = -1
    for v in range(rows):
        for u in range(columns):
            y, x = top + v * layout.sy + a, left + u * layout.sx + b
            inside = y < bottom and x < right
            value = int(plane[layout.y0 + y, layout.x0 + x]) if inside else 0
            position = v * layout.y_stride + u
            run = position - last - 1
            next_row = (v + 1) * layout.y_stride
            stored = value != 0 or (layout.dense and inside) or run == params.max_run
            if u == columns - 1 and next_row - last - 1 > params.max_run:
                stored = True
            if stored:
                found.append((value, run))
                last = position
    return found


def _stored(params: ScnnParams, tiles: EncodedTiles, pe: int, entry: int) -> list[tuple[int, int]]:
    lanes = unpack_lanes(tiles.words[pe], params.act_bits + params.run_bits, params.mult_i)
    start, count = int(tiles.starts[pe, entry]), int(tiles.counts[pe, entry])
    flat = lanes[start:].reshape(-1)
    assert not flat[count : -(-count // params.mult_i) * params.mult_i].any()
    words = [int(word) for word in flat[:count]]
    half = 1 << params.act_bits - 1
    values = [((word & 2 * half - 1) ^ half) - half for word in words]
    return [(v, word >> params.act_bits) for v, word in zip(values, words, strict=True)]


@given(cases())
def test_follows_the_rules(case: tuple[ScnnParams, TileLayout, NDArray[np.int64]]) -> None:
    params, layout, values = case
    tiles = encode_tiles(params, layout, values)
    for pe in range(1 << layout.block_x + layout.block_y):
        entry = 0
        for plane in values:
            for a in range(layout.sy):
                for b in range(layout.sx):
                    want = _entries(params, layout, plane, pe, a, b)
                    assert _stored(params, tiles, pe, entry) == want
                    entry += 1


@given(cases())
def test_comes_back(case: tuple[ScnnParams, TileLayout, NDArray[np.int64]]) -> None:
    params, layout, values = case
    tiles = encode_tiles(params, layout, values)
    back = decode_tiles(params, layout, tiles.words, tiles.directory(params))
    region = values[:, layout.y0 : layout.y0 + layout.height, layout.x0 : layout.x0 + layout.width]
    np.testing.assert_array_equal(back, region)


def _whole(layout_of: NDArray[np.int64], tile: int, blocks: int, **changes: int) -> TileLayout:
    layout = TileLayout(
        block_x=blocks,
        block_y=blocks,
        tile_h=tile,
        tile_w=tile,
        sy=1,
        sx=1,
        y_stride=tile,
        y0=0,
        x0=0,
        height=layout_of.shape[1],
        width=layout_of.shape[2],
        dense=False,
    )
    return replace(layout, **changes)


def test_loads_stand_one_behind_the_other() -> None:
    values = np.ones((2, 4, 4), np.int64)
    layout = _whole(values, 2, 1)
    first = encode_tiles(TINY, layout, values)
    second = encode_tiles(TINY, layout, values, first.ends)
    np.testing.assert_array_equal(second.starts, first.starts + 4)
    assert (second.ends == 8).all()
    both = [np.concatenate(pair) for pair in zip(first.words, second.words, strict=True)]
    back = decode_tiles(TINY, layout, both, second.directory(TINY))
    np.testing.assert_array_equal(back, values)


def test_is_fast_enough_for_vgg() -> None:
    params = replace(PRESETS["paper"], act_words=1 << 16)
    rng = np.random.default_rng(0)
    values = rng.integers(1, 100, (64, 224, 224)) * (rng.random((64, 224, 224)) < 0.5)
    encode_tiles(params, _whole(values[:1], 28, 3), values[:1])
    begin = time.process_time()
    tiles = encode_tiles(params, _whole(values, 28, 3), values)
    assert time.process_time() - begin < 1
    back = decode_tiles(params, _whole(values, 28, 3), tiles.words, tiles.directory(params))
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"y_stride": 20}, (1, 4, 4), r"y_stride must be from 2 to 17 \(run_bits = 4\), not 20"),
        ({"sy": 3}, (1, 4, 4), "tiles must be multiples of the 3 x 1 phases, not 2 x 2"),
        ({"y0": 1}, (1, 4, 4), "must have at least 5 rows and 4 columns, not 4 and 4"),
        ({}, (65, 4, 4), "needs 130 words of activation RAM .* act_words is 128"),
    ],
)
def test_refuses(changes: dict[str, int], shape: tuple[int, ...], message: str) -> None:
    values = np.ones(shape, np.int64)
    with pytest.raises(InputError, match=message):
        encode_tiles(TINY, _whole(values, 2, 1, **changes), values)


def test_refuses_values() -> None:
    values = np.full((1, 4, 4), 40000)
    floats: Any = np.ones((1, 4, 4))
    with pytest.raises(InputError, match="must be from -32768 to 32767, not 40000 to 40000"):
        encode_tiles(TINY, _whole(values, 2, 1), values)
    with pytest.raises(InputError, match=r"whole numbers of shape \(C, H, W\), not float64"):
        encode_tiles(TINY, _whole(values, 2, 1), floats)


def test_a_value_outside_its_tile_is_found() -> None:
    values = np.ones((1, 4, 4), np.int64)
    layout = _whole(values, 2, 1)
    tiles = encode_tiles(TINY, layout, values)
    smaller = replace(layout, height=3)
    with pytest.raises(ValueError, match="entry 0 of PE 2 of a block has values outside"):
        decode_tiles(TINY, smaller, tiles.words, tiles.directory(TINY))
    with pytest.raises(ValueError, match="PE 0 of a block must store its activations in 1 words"):
        decode_tiles(TINY, layout, [one[:1] for one in tiles.words], tiles.directory(TINY))


def test_pes_that_hold_nothing_need_no_words() -> None:
    """Wherever their directory entries point to."""
    values = np.zeros((2, 4, 4), np.int64)
    layout = _whole(values, 2, 2)
    tiles = encode_tiles(TINY, layout, values, 99)
    np.testing.assert_array_equal(tiles.starts, 99)
    words = [np.zeros((0, 1), np.uint64)] * len(tiles.words)
    np.testing.assert_array_equal(decode_tiles(TINY, layout, words, tiles.directory(TINY)), values)
