"""Rows of the activation RAMs that tensors take, and whether they have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.run import PassOutput, ScnnRun, TileLayout, written_tile
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.scnn.accumulate import is_kept
from zeroskip.sim.scnn.loads import block_count, loaded_planes

__all__ = ["Room", "count_words", "finds_room", "made_layout", "made_planes"]


class Room:
    """Rows of the activation RAMs up to which loads, or else passes, have written, PE by PE.

    Parameters
    ----------
    params : of the array.
    """

    def __init__(self, params: ScnnParams) -> None:
        self._end = np.zeros(params.num_pes, np.int64)
        self.start = self._end
        """(num_pes,) int64, where the last of them began."""
        self.lost = False
        """Whether the last of them found no room."""
        self.used = 0
        """Rows that the last of them took, of the PE with the most, of what it had room for."""

    def clear(self) -> None:
        """Begin at row 0."""
        self._end = np.zeros_like(self._end)
        self.lost = False

    def take(self, words: NDArray[np.int64], word: int, limit: int, *, append: bool) -> None:
        """Write words, (num_pes,), from row ``word`` on, or with ``append`` behind the last."""
        self.start = self._end if append else np.full_like(self._end, word)
        wanted = self.start + words
        self._end = np.maximum(self.start, np.minimum(wanted, limit))
        self.lost = bool((wanted > self._end).any())
        self.used = int((self._end - self.start).max(initial=0))


def count_words(
    params: ScnnParams, layout: TileLayout, blocks: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Count the words that channels take, (channels, rows, columns) of each block: (num_pes,)."""
    found = np.zeros(params.num_pes, np.int64)
    across = -(-params.pes_x >> layout.block_x)
    for pe in range(params.num_pes):
        y, x = divmod(pe, params.pes_x)
        inside_y, inside_x = y % (1 << layout.block_y), x % (1 << layout.block_x)
        place = (inside_y << layout.block_x) + inside_x
        found[pe] = _count_words(
            blocks[(y >> layout.block_y) * across + (x >> layout.block_x)][:, *layout.part(place)],
            (layout.walk_h, layout.walk_w),
            (layout.sy, layout.sx, layout.y_stride),
            layout.dense,
            (params.max_run, params.mult_i),
        )
    return found


@njit(cache=True)
def _count_words(
    planes: NDArray[np.int64],
    tile: tuple[int, int],
    steps: tuple[int, int, int],
    dense: bool,
    sizes: tuple[int, int],
) -> int:
    """Count the words of a PE's part of some planes."""
    sy, sx, y_stride = steps
    max_run, mult_i = sizes
    channels, height, width = planes.shape
    columns = tile[1] // sx
    gap = y_stride - columns
    words = 0
    for channel in range(channels):
        for phase in range(sy * sx):
            run = entries = 0
            for v in range(tile[0] // sy):
                y = v * sy + phase // sx
                for u in range(columns):
                    x = u * sx + phase % sx
                    inside = y < height and x < width
                    value = planes[channel, y, x] if inside else 0
                    skipped = gap if u == columns - 1 else 0
                    if is_kept(value, dense and inside, run, skipped, max_run):
                        entries += 1
                        run = 0
                    else:
                        run += 1
                run += gap
            words += (entries + mult_i - 1) // mult_i
    return words


def finds_room(
    params: ScnnParams, runs: Sequence[ScnnRun], tensors: Mapping[str, NDArray[np.int64]]
) -> bool:
    """Say whether all that runs load and make has room.

    Parameters
    ----------
    params : of the array.
    runs : of a part.
    tensors : (C, H, W) by name, all that they load and make.
    """
    loaded, made = Room(params), Room(params)
    for run in runs:
        for load in run.loads:
            layout, blocks = load.layout, block_count(params, load.layout)
            rows = slice(layout.y0, layout.y0 + layout.height)
            columns = slice(layout.x0, layout.x0 + layout.width)
            planes = [
                loaded_planes(load, tensors, block, blocks)[:, rows, columns]
                for block in range(blocks)
            ]
            loaded.take(count_words(params, layout, planes), load.word, load.limit, append=False)
            if loaded.lost:
                return False
        for step, output in zip(run.program, run.outputs, strict=True):
            if output is None:
                continue
            words = count_words(params, made_layout(step), made_planes(output, tensors))
            made.take(words, step.dst_word, step.dst_limit, append=bool(step.append))
            if made.lost:
                return False
    return True


def made_planes(
    output: PassOutput, tensors: Mapping[str, NDArray[np.int64]]
) -> list[NDArray[np.int64]]:
    """Return what each block of PEs makes in a pass; what means nothing is 0."""
    rows = slice(output.y0, output.y0 + output.height)
    columns = slice(output.x0, output.x0 + output.width)
    depth = max(block.stop - block.start for block in output.blocks)
    found: list[NDArray[np.int64]] = []
    for block in output.blocks:
        values = np.zeros((depth, output.height, output.width), np.int64)
        if block.start < block.stop:
            made = tensors[block.tensor][block.start : block.stop, rows, columns]
            values[: block.stop - block.start] = made
        found.append(values)
    return found


def made_layout(step: Any) -> TileLayout:
    """Return the tiles of what a pass with this descriptor makes, from row and column 0 on."""
    tile_h, tile_w = written_tile(step)
    return TileLayout(
        block_x=step.block_x,
        block_y=step.block_y,
        tile_h=tile_h,
        tile_w=tile_w,
        sy=step.out_sy,
        sx=step.out_sx,
        y_stride=step.out_y_stride,
        y0=0,
        x0=0,
        height=(step.full_y * step.ho + step.rem_y) // step.pool_y,
        width=(step.full_x * step.wo + step.rem_x) // step.pool_x,
        dense=bool(step.out_dense),
    )
