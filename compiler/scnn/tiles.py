"""Compress planes of activations for the PEs of a block, and read them back; ``docs/scnn.md``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.image.words import pack_lanes, signed_field, unpack_lanes, unsigned_field
from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.compiler.scnn.tile_walk import compress, expand
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["EncodedTiles", "decode_tiles", "encode_tiles", "stored_places"]


@dataclass(frozen=True, eq=False)
class EncodedTiles:
    """Activations that the PEs of one block store; PE (x, y) of it is ``y * 2**block_x + x``.

    Parameters
    ----------
    words : of each PE, (rows, limbs) uint64, the rows of its activation RAM from its start on.
    starts, counts : (PEs, entries) int64, the directory: first row, and stored activations, of
        each channel's phases, row-major.
    ends : (PEs,) int64, the row after the last of each PE.
    """

    words: tuple[NDArray[np.uint64], ...]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def padded(self, entries: int) -> "EncodedTiles":
        """Return the same with so many entries, those behind without activations."""
        more = ((0, 0), (0, entries - self.starts.shape[1]))
        none = np.arange(entries) >= self.starts.shape[1]
        starts = np.where(none, self.ends[:, None], np.pad(self.starts, more))
        return replace(self, starts=starts, counts=np.pad(self.counts, more))

    def directory(self, params: ScnnParams) -> NDArray[np.uint64]:
        """Pack the directory to words: (PEs, entries) uint64."""
        start = unsigned_field(self.starts, params.act_addr_bits)
        return start | self.counts.astype(np.uint64) << np.uint64(params.act_addr_bits)


def encode_tiles(
    params: ScnnParams,
    layout: TileLayout,
    values: NDArray[np.int64],
    start_words: NDArray[np.int64] | int = 0,
) -> EncodedTiles:
    """Compress the region of ``layout`` as the host's loads and the array's PPU store it.

    Time is linear in the elements of the tiles.

    Parameters
    ----------
    params : widths, and the rows of an activation RAM.
    layout : the region and its tiles.
    values : (C, H, W) whole numbers, all rows and columns of the tensor.
    start_words : first row of each of the block's PEs, or of all of them.

    Raises
    ------
    InputError
        If ``values`` has the wrong shape, a value does not fit ``act_bits``, the row stride is
        too long for a run, or a PE's RAM cannot hold its part.
    """
    _check_layout(params, layout)
    region = _region(params, layout, values)
    pes = 1 << layout.block_x + layout.block_y
    entries = len(region) * layout.sy * layout.sx
    starts = np.empty((pes, entries), np.int64)
    counts = np.empty((pes, entries), np.int64)
    ends = np.empty(pes, np.int64)
    lanes, deep = params.mult_i, -(-layout.walk_h * layout.walk_w // (layout.sy * layout.sx))
    stored = np.empty((entries * -(-deep // lanes), lanes), np.uint64)
    words: list[NDArray[np.uint64]] = []
    for pe, first in enumerate(np.broadcast_to(np.asarray(start_words, np.int64), (pes,))):
        rows = compress(
            region[:, *layout.part(pe)],
            (layout.walk_h, layout.walk_w),
            (layout.sy, layout.sx, layout.y_stride),
            layout.dense,
            (params.max_run, params.act_bits),
            stored,
            starts[pe],
            counts[pe],
        )
        starts[pe] += first
        ends[pe] = first + rows
        if ends[pe] > params.act_words:
            raise InputError(
                f"PE {pe} of a block needs {ends[pe]} words of activation RAM for what is loaded, "
                f"but act_words is {params.act_words}: use smaller tiles or fewer channels"
            )
        words.append(pack_lanes(stored[:rows], params.act_bits + params.run_bits))
    return EncodedTiles(tuple(words), starts, counts, ends)


def decode_tiles(
    params: ScnnParams,
    layout: TileLayout,
    words: Sequence[NDArray[np.uint64]],
    directory: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Expand what the PEs of a block store.

    Parameters
    ----------
    params : widths.
    layout : the region and its tiles.
    words : of each of the block's PEs, (rows, limbs) uint64, its activation RAM from row 0 on.
    directory : (PEs, entries) uint64, the words of the directory of the channels to expand, each
        channel's phases row-major.

    Returns
    -------
    (C, height, width) int64, the region.

    Raises
    ------
    ValueError
        If an entry lies outside the RAM that was given, or a value outside its tile or the plane.
    """
    _check_layout(params, layout)
    per_channel = layout.sy * layout.sx
    if directory.ndim != 2 or directory.shape[1] % per_channel:
        raise ValueError(
            f"directory must have {per_channel} entries a channel, not {directory.shape} words"
        )
    starts = (directory & np.uint64((1 << params.act_addr_bits) - 1)).astype(np.int64)
    counts = (directory >> np.uint64(params.act_addr_bits)).astype(np.int64)
    region = np.zeros((starts.shape[1] // per_channel, layout.height, layout.width), np.int64)
    bits = params.act_bits + params.run_bits
    for pe, rows in enumerate(words):
        lanes = unpack_lanes(rows, bits, params.mult_i)
        used = np.where(counts[pe] > 0, starts[pe] + -(-counts[pe] // params.mult_i), 0)
        if (used > len(lanes)).any():
            raise ValueError(
                f"PE {pe} of a block must store its activations in {len(lanes)} words, "
                f"not in {used.max()}"
            )
        bad = expand(
            region[:, *layout.part(pe)],
            (layout.walk_h, layout.walk_w),
            (layout.sy, layout.sx, layout.y_stride),
            signed_field(lanes, 0, params.act_bits),
            lanes >> np.uint64(params.act_bits),
            starts[pe],
            counts[pe],
        )
        if bad >= 0:
            raise ValueError(f"entry {bad} of PE {pe} of a block has values outside its tile")
    return region


def stored_places(params: ScnnParams, layout: TileLayout) -> NDArray[np.bool_]:
    """Find the places whose value a block stores if all that can be 0 is 0.

    Returns
    -------
    (rows, columns) bool of all tiles of the block, those outside the region included.
    """
    rows = (layout.tile_h << layout.block_y) + layout.walk_h - layout.tile_h
    columns = (layout.tile_w << layout.block_x) + layout.walk_w - layout.tile_w
    places = np.zeros((rows, columns), np.bool_)
    tiles = encode_tiles(
        params, layout, np.zeros((1, layout.y0 + layout.height, layout.x0 + layout.width), np.int64)
    )
    bits = params.act_bits + params.run_bits
    for pe, words in enumerate(tiles.words):
        runs = unpack_lanes(words, bits, params.mult_i) >> np.uint64(params.act_bits)
        y, x = divmod(pe, 1 << layout.block_x)
        top, left = y * layout.tile_h, x * layout.tile_w
        for entry, (start, count) in enumerate(
            zip(tiles.starts[pe], tiles.counts[pe], strict=True)
        ):
            flat = runs[start:].reshape(-1)[:count].astype(np.int64)
            v, u = np.divmod(np.cumsum(flat + 1) - 1, layout.y_stride)
            a, b = divmod(entry, layout.sx)
            places[top + v * layout.sy + a, left + u * layout.sx + b] = True
    return places


def _check_layout(params: ScnnParams, layout: TileLayout) -> None:
    if layout.tile_h % layout.sy or layout.tile_w % layout.sx:
        raise InputError(
            f"tiles must be multiples of the {layout.sy} x {layout.sx} phases, "
            f"not {layout.tile_h} x {layout.tile_w}"
        )
    columns = layout.walk_w // layout.sx
    if not columns <= layout.y_stride <= columns + params.max_run:
        raise InputError(
            f"y_stride must be from {columns} to {columns + params.max_run} "
            f"(run_bits = {params.run_bits}), not {layout.y_stride}"
        )


def _region(params: ScnnParams, layout: TileLayout, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut the region out and check its values."""
    if values.ndim != 3 or values.dtype.kind not in "iu":
        raise InputError(
            f"activations must be whole numbers of shape (C, H, W), "
            f"not {values.dtype} of shape {values.shape}"
        )
    bottom, right = layout.y0 + layout.height, layout.x0 + layout.width
    if bottom > values.shape[1] or right > values.shape[2]:
        raise InputError(
            f"activations must have at least {bottom} rows and {right} columns, "
            f"not {values.shape[1]} and {values.shape[2]}"
        )
    region = np.ascontiguousarray(values[:, layout.y0 : bottom, layout.x0 : right], np.int64)
    if region.size and not params.min_act <= region.min() <= region.max() <= params.max_act:
        raise InputError(
            f"activations must be from {params.min_act} to {params.max_act}, "
            f"not {region.min()} to {region.max()}"
        )
    return region
