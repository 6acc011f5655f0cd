"""Stored activations of every PE, as far as time depends on them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.compiler.scnn.tile_walk import is_stored
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["ActStorage"]

# Positions of what is not an activation: nothing, or a stored zero.
_NOTHING, _ZERO = np.int32(-1), np.int32(-2)


class ActStorage:
    """The activation RAMs of all PEs, with their directories.

    Attributes
    ----------
    start, count : (num_pes, num_channels) int64, of each directory entry, its first vector, and
        its stored activations.
    """

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        shape = params.num_pes, params.num_channels
        self.start = np.zeros(shape, np.int64)
        self.count = np.zeros(shape, np.int64)
        self.clear()

    def clear(self) -> None:
        """Forget all vectors; what directories say of them means nothing then."""
        # Directory entries that were never written have a vector, too.
        self._parts = [np.full((1, self._p.mult_i), _NOTHING)]
        self._vectors = 1

    def banks(self, *, keep_zeros: bool) -> NDArray[np.int32]:
        """Give the bank that each position stands for, (vectors, I); -1 if nothing is there.

        Parameters
        ----------
        keep_zeros : stored zeros are activations.
        """
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        found = self._parts[0]
        zeros = _ZERO - found & (self._p.banks - 1) if keep_zeros else _NOTHING
        return np.where(
            found <= _ZERO, zeros, np.where(found < 0, found, found & (self._p.banks - 1))
        )

    def put(
        self,
        layout: TileLayout,
        base: int,
        blocks: Sequence[NDArray[np.int64] | None],
        channels: int = 0,
    ) -> None:
        """Store a region of each block of PEs.

        Parameters
        ----------
        layout : of the tiles.
        base : directory number of the first channel's first phase.
        blocks : for each block of PEs, (channels, height, width), the region; None if it stores
            nothing that matters. Blocks that are the same object are encoded once.
        channels : that blocks have entries for at least; those that they lack have no activations.
        """
        p = self._p
        deep = -(-(layout.walk_h // layout.sy) * (layout.walk_w // layout.sx) // p.mult_i)
        width, height = min(1 << layout.block_x, p.pes_x), min(1 << layout.block_y, p.pes_y)
        across = -(-p.pes_x >> layout.block_x)
        known: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.count[:, base : base + channels * layout.sy * layout.sx] = 0
        for number, values in enumerate(blocks):
            if values is None or not len(values):
                continue
            entries = len(values) * layout.sy * layout.sx
            if id(values) not in known:
                start = np.zeros((height * width, entries), np.int64)
                count = np.zeros_like(start)
                stored = np.full((height * width * entries * deep, p.mult_i), _NOTHING)
                used = _encode(
                    np.ascontiguousarray(values),
                    (layout.tile_h, layout.tile_w, width),
                    (layout.walk_h, layout.walk_w),
                    (layout.sy, layout.sx, layout.y_stride),
                    bool(layout.dense),
                    p.max_run,
                    stored,
                    start,
                    count,
                )
                self._parts.append(stored[:used].copy())
                known[id(values)] = start + self._vectors, count
                self._vectors += used
            start, count = known[id(values)]
            top, left = number // across << layout.block_y, number % across << layout.block_x
            for place in range(height * width):
                y, x = top + place // width, left + place % width
                if y < p.pes_y and x < p.pes_x:
                    self.start[y * p.pes_x + x, base : base + entries] = start[place]
                    self.count[y * p.pes_x + x, base : base + entries] = count[place]


@njit(cache=True)
def _encode(
    region: NDArray[np.int64],
    tile: tuple[int, int, int],
    walked: tuple[int, int],
    phases: tuple[int, int, int],
    dense: bool,
    max_run: int,
    stored: NDArray[np.int32],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Store the tiles of a block of PEs as ``docs/scnn.md`` says; return the vectors."""
    channels, height, width = region.shape
    tile_h, tile_w, across = tile
    sy, sx, y_stride = phases
    lanes = stored.shape[1]
    columns = walked[1] // sx
    gap = y_stride - columns
    row = 0
    for pe in range(len(starts)):
        top, left = pe // across * tile_h, pe % across * tile_w
        bottom, right = min(height, top + tile_h), min(width, left + tile_w)
        if pe + across >= len(starts):
            bottom = height
        if pe % across == across - 1:
            right = width
        for entry in range(channels * sy * sx):
            channel, phase = entry // (sy * sx), entry % (sy * sx)
            run = count = 0
            for v in range(walked[0] // sy):
                y = top + v * sy + phase // sx
                for u in range(columns):
                    x = left + u * sx + phase % sx
                    inside = y < bottom and x < right
                    value = region[channel, y, x] if inside else 0
                    skipped = gap if u == columns - 1 else 0
                    if is_stored(value, dense and inside, run, skipped, max_run):
                        place = v * y_stride + u
                        stored[row + count // lanes, count % lanes] = (
                            place if value != 0 else -2 - place
                        )
                        count += 1
                        run = 0
                    else:
                        run += 1
                run += gap
            starts[pe, entry], counts[pe, entry] = row, count
            row += (count + lanes - 1) // lanes
    return row
