"""Define the runs of SCNN: descriptors, SRAM contents, and the activations that the host moves."""

from dataclasses import dataclass, replace
from typing import Any

from zeroskip.compiler.image.runs import ArrayRun
from zeroskip.hw.common.formats import Activation

__all__ = [
    "ActLoad",
    "ActStore",
    "Channels",
    "PassOutput",
    "ScnnDescriptor",
    "ScnnRun",
    "TileLayout",
    "written_tile",
]


@dataclass(frozen=True, kw_only=True)
class ScnnDescriptor:
    """One pass; the fields are those of :func:`.descriptor_layout`."""

    groups: int
    kc: int
    kc_last: int
    log_kc: int
    k_stride: int
    y_stride: int
    origin: int
    wo: int
    ho: int
    halo_left: int
    halo_right: int
    halo_top: int
    halo_bottom: int
    full_x: int
    full_y: int
    rem_x: int
    rem_y: int
    block_x: int
    block_y: int
    src_base: int
    dst_base: int
    dst_word: int
    dst_limit: int
    append: bool
    out_sx: int
    out_sy: int
    out_y_stride: int
    pool_x: int
    pool_y: int
    bias_base: int
    shift: int
    codebook: int
    plain: bool
    activation: Activation
    maximum: bool
    init_min: bool
    keep_zeros: bool
    out_dense: bool
    wipe: bool
    drain: bool
    bus: bool
    src_block_x: int
    src_block_y: int
    src_entries: int
    src_step_x: int
    src_step_y: int
    last: bool


def written_tile(step: Any) -> tuple[int, int]:
    """Return rows and columns of the tiles that a pass with this descriptor writes."""
    return step.ho // step.pool_y, step.wo // step.pool_x


def has_halos(step: Any) -> bool:
    """Return whether PEs have parts of their neighbours' outputs in a pass with this descriptor."""
    return any((step.halo_left, step.halo_right, step.halo_top, step.halo_bottom))


def reads_pairs(step: Any) -> bool:
    """Return whether lanes of the drain read two sums of a window, in a pass with it."""
    return step.pool_x % 2 == 0 and not has_halos(step)


@dataclass(frozen=True, kw_only=True)
class TileLayout:
    """How a region of a plane lies in the PEs of a block, and in what order; ``docs/scnn.md``.

    Parameters
    ----------
    block_x, block_y : log2 of the PEs of a block, across and down.
    tile_h, tile_w : rows and columns of a PE, multiples of ``sy`` and ``sx``; the last PE down, or
        across, of a block has those of the region, too, that are left behind its tile.
    sy, sx : phases.
    y_stride : row stride of positions inside a phase.
    y0, x0 : the region's first row and column in the tensor.
    height, width : of the region; PEs beyond it hold nothing.
    dense : zeros inside the region are stored, too.
    """

    block_x: int
    block_y: int
    tile_h: int
    tile_w: int
    sy: int
    sx: int
    y_stride: int
    y0: int
    x0: int
    height: int
    width: int
    dense: bool

    @property
    def walk_h(self) -> int:
        """Rows that each PE of a block walks through; those that it lacks are zeros."""
        return _walked(self.height, self.tile_h, self.block_y, self.sy)

    @property
    def walk_w(self) -> int:
        """Columns that each PE of a block walks through; those that it lacks are zeros."""
        return _walked(self.width, self.tile_w, self.block_x, self.sx)

    def part(self, pe: int) -> tuple[slice, slice]:
        """Return the rows and columns of the region that a PE of the block has."""
        y, x = divmod(pe, 1 << self.block_x)
        return (
            _share(y, self.height, self.tile_h, self.block_y),
            _share(x, self.width, self.tile_w, self.block_x),
        )


_MOST_BLOCK = 16
"""Blocks of more PEs, in log2, are the whole grid; a damaged image may name any."""


def _walked(size: int, tile: int, block: int, stride: int) -> int:
    spilled = max(0, size - (tile << min(block, _MOST_BLOCK)))
    return tile + -(-spilled // stride) * stride


def _share(place: int, size: int, tile: int, block: int) -> slice:
    stop = size if place == (1 << block) - 1 else (place + 1) * tile
    return slice(min(place * tile, size), min(stop, size))


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels ``start`` up to, not with, ``stop`` of a tensor."""

    tensor: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class ActLoad:
    """Activations that the host compresses into the activation RAM of all PEs before a run.

    Each channel's phases (row-major) stand in consecutive directory entries.

    Parameters
    ----------
    channels : what, in order.
    base : directory number of the first channel's first phase.
    word, limit : rows of the RAM for it, from ``word`` up to, not with, ``limit``.
    dealt : each block gets other channels: as many of them, in order, as the blocks are that share
        them, rounded up, and those that lack some have entries without activations instead; else
        every block gets all.
    layout : of the tile.
    """

    channels: tuple[Channels, ...]
    base: int
    word: int
    limit: int
    dealt: bool
    layout: TileLayout

    def each(self, blocks: int) -> int:
        """Count the channels that each of ``blocks`` blocks has entries for."""
        every = sum(part.stop - part.start for part in self.channels)
        return -(-every // blocks) if self.dealt else every

    def of_block(self, block: int, blocks: int) -> tuple[Channels, ...]:
        """Return what one of ``blocks`` blocks gets."""
        if not self.dealt:
            return self.channels
        each = self.each(blocks)
        found: list[Channels] = []
        base = block * each
        for part in self.channels:
            size = part.stop - part.start
            first, stop = max(base, 0), min(base + each, size)
            if first < stop:
                found.append(replace(part, start=part.start + first, stop=part.start + stop))
            base -= size
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ActStore:
    """Outputs that the host reads after a run.

    Parameters
    ----------
    blocks : for every block of PEs, what it holds, from directory number ``base`` up.
    base : directory number of the first channel's first phase.
    layout : of the tile; ``y0`` and ``x0`` say where the region lies in the tensor.
    """

    blocks: tuple[Channels, ...]
    base: int
    layout: TileLayout


@dataclass(frozen=True, kw_only=True)
class PassOutput:
    """Which outputs a pass writes, of its layer or of the pooling behind; see ``docs/scnn.md``.

    Parameters
    ----------
    blocks : for every block of PEs, the channels that the pass's output channels from 0 up are;
        what a block computes beyond them (all, if ``start == stop``) means nothing.
    y0, x0, height, width : region of that layer's plane; what the tiles have beyond it is 0.
    """

    blocks: tuple[Channels, ...]
    y0: int
    x0: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ScnnRun(ArrayRun):
    """One START of the array, and what the host does before and after it.

    A run without loads goes on with what the run before left in the activation RAMs.

    Parameters
    ----------
    program, passes, srams : see :class:`.ArrayRun`; SRAMs without activations and directories.
    outputs : what each descriptor writes; None for one that does not drain.
    loads, stores : what the host moves before and after.
    """

    program: tuple[ScnnDescriptor, ...]
    outputs: tuple[PassOutput | None, ...]
    loads: tuple[ActLoad, ...]
    stores: tuple[ActStore, ...]
