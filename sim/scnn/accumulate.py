"""Passes of the array, PE by PE: products to accumulators, and sums to outputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.compiled import njit
from zeroskip.compiler.scnn.run import TileLayout, written_tile
from zeroskip.hw.common.formats import Activation
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor, Srams, signed
from zeroskip.sim.scnn.streams import Block, StreamReader, weight_values
from zeroskip.sim.scnn.walk import walk

__all__ = ["Accumulators", "Channel", "Stored", "is_kept", "step_words"]


@dataclass(frozen=True, eq=False)
class Channel:
    """What a directory entry stands for.

    Parameters
    ----------
    layout : of the tiles.
    blocks : for each block of PEs, (channels, rows, columns).
    number : which channel it is.
    phase : row and column in the stride of the layout.
    """

    layout: TileLayout
    blocks: Sequence[NDArray[np.int64]]
    number: int
    phase: tuple[int, int]


class Stored:
    """An activation RAM of all PEs, with its directory."""

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        self._entries: dict[int, Channel] = {}

    def count_blocks(self, layout: TileLayout) -> int:
        """Count the blocks of PEs, those at the grid's edges that lack PEs too."""
        return -(-self._p.pes_x >> layout.block_x) * -(-self._p.pes_y >> layout.block_y)

    def put(self, layout: TileLayout, base: int, blocks: Sequence[NDArray[np.int64]]) -> None:
        """Store channels of each block, from directory entry ``base`` up."""
        for number in range(len(blocks[0])):
            for phase in np.ndindex(layout.sy, layout.sx):
                self._entries[base] = Channel(layout, blocks, number, (phase[0], phase[1]))
                base += 1

    def entry(self, number: int) -> Channel:
        """Return what an entry stands for.

        Raises
        ------
        ValueError
            If nothing was stored there.
        """
        if number not in self._entries:
            raise ValueError(f"weights work on directory entry {number}, which has nothing")
        return self._entries[number]

    def planes(self, block: int, entries: range, layout: TileLayout) -> NDArray[np.int64]:
        """Return what entries of a block stand for, (channels, rows, columns).

        If ``layout`` has the phases in which they are stored, channels; if it has none, each entry
        is one, and rows and columns that its phase lacks are 0.
        """
        step = layout.sy * layout.sx
        found = np.zeros((len(entries) // step, layout.height, layout.width), np.int64)
        for plane, number in zip(found, entries[::step], strict=True):
            one = self.entry(number)
            values = one.blocks[block][one.number]
            if step == 1:
                values = values[one.phase[0] :: one.layout.sy, one.phase[1] :: one.layout.sx]
            plane[: values.shape[0], : values.shape[1]] = values
        return found


class Accumulators:
    """Sums of all PEs."""

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        self._sums = np.zeros((params.num_pes, params.accs), np.int64)

    def clear(self) -> None:
        """Set all sums to 0."""
        self._sums[:] = 0

    def run(
        self,
        descriptor: Descriptor,
        srams: Srams,
        readers: Sequence[StreamReader],
        source: Stored,
    ) -> list[NDArray[np.int64]] | None:
        """Do a pass.

        Parameters
        ----------
        descriptor : of it.
        srams : contents of the memories.
        readers : of the streams' weights.
        source : activations.

        Returns
        -------
        What each block of PEs writes, (channels, rows, columns): outputs, or maxima of windows.
        None if it does not drain.
        """
        p, d = self._p, descriptor
        initial = -(1 << p.acc_bits - 1) if d.init_min else 0
        if d.wipe:
            self._sums[:] = initial
        across = -(-p.pes_x >> d.block_x)
        blocks = across * -(-p.pes_y >> d.block_y)
        rows, columns = d.full_y * d.ho + d.rem_y, d.full_x * d.wo + d.rem_x
        made = np.zeros((blocks, (d.groups - 1) * d.kc + d.kc_last, rows, columns), np.int64)
        weights: list[list[list[Block]]] = [[] for _ in range(d.groups)]
        for reader in readers[:blocks]:
            of_stream: list[list[Block]] = [[] for _ in range(d.groups)]
            for group, block in reader.blocks(d.groups, d.log_kc, plain=bool(d.plain)):
                of_stream[group].append(block)
            for group, found in enumerate(of_stream):
                weights[group].append(found)
        for group in range(d.groups):
            for number, of_group in enumerate(weights[group]):
                for block in of_group:
                    owner, entry = number, block.channel
                    if d.bus:
                        owner, entry = divmod(block.channel, d.src_entries)
                    channel = source.entry(d.src_base + entry)
                    taps = srams["tap"][block.taps, 0].astype(np.int64)
                    self._multiply(
                        channel,
                        owner,
                        number,
                        taps + block.outputs * d.k_stride,
                        weight_values(block.fields, srams, d, p),
                        d,
                    )
            if d.drain:
                self._drain(d, group, srams, made)
                self._sums[:] = initial
        return list(_maxima(made, d)) if d.drain else None

    def _multiply(
        self,
        channel: Channel,
        owner: int,
        block: int,
        offsets: NDArray[np.int64],
        weights: NDArray[np.int64],
        d: Descriptor,
    ) -> None:
        """Add the products of the weights of a block with a channel that ``owner`` has."""
        layout = channel.layout
        own = d.block_y, d.block_x
        sources = (d.src_block_y, d.src_block_x) if d.bus else own
        if (layout.block_y, layout.block_x) != sources:
            raise ValueError("a pass must have the blocks of PEs that its inputs have")
        # How many tiles of owners, down and across, are one of the pass.
        parts = [1 << source - pes for source, pes in zip(sources, own, strict=True)]
        for down, right in np.ndindex(*parts):
            _multiply(
                self._sums,
                channel.blocks[owner][channel.number],
                self._pes(block, d) * [1, *parts] + [0, down, right],
                (layout.tile_h, layout.tile_w),
                (layout.walk_h, layout.walk_w),
                ((1 << layout.block_y) - 1, (1 << layout.block_x) - 1),
                channel.phase,
                (layout.sy, layout.sx, d.y_stride),
                (layout.dense, bool(d.keep_zeros), bool(d.maximum)),
                self._p.max_run,
                offsets + down * d.src_step_y + right * d.src_step_x,
                weights,
            )

    def _pes(self, block: int, d: Descriptor) -> NDArray[np.int64]:
        """List the PEs of a block: number, and row and column in the block."""
        p = self._p
        across = -(-p.pes_x >> d.block_x)
        top, left = block // across << d.block_y, block % across << d.block_x
        return np.array(
            [
                (y * p.pes_x + x, y - top, x - left)
                for y in range(top, min(top + (1 << d.block_y), p.pes_y))
                for x in range(left, min(left + (1 << d.block_x), p.pes_x))
            ],
            np.int64,
        )

    def _drain(self, d: Descriptor, group: int, srams: Srams, made: NDArray[np.int64]) -> None:
        """Make outputs of a group's sums."""
        p = self._p
        first = group * d.kc
        count = d.kc if group < d.groups - 1 else d.kc_last
        halos = d.halo_left, d.halo_right, d.halo_top, d.halo_bottom
        for block, outputs in enumerate(made):
            sums = _gather(
                self._sums,
                self._pes(block, d),
                (count, d.ho, d.wo),
                (d.origin, d.k_stride, d.y_stride),
                halos,
                bool(d.maximum),
                outputs.shape[1:],
            )
            bias = srams[f"stream_{block}/bias"][d.bias_base + first :, 0][:count]
            biased = np.zeros(count, np.uint64)
            biased[: len(bias)] = bias
            total = signed(sums.view(np.uint64) + biased[:, None, None], p.acc_bits) >> d.shift
            least = 0 if d.activation == Activation.RELU.value else p.min_act
            outputs[first : first + count] = np.clip(total, least, p.max_act)


def _maxima(made: NDArray[np.int64], d: Descriptor) -> NDArray[np.int64]:
    """Take the maximum of each window of outputs, (blocks, channels, rows, columns)."""
    blocks, channels, rows, columns = made.shape
    down, across = d.pool_y, d.pool_x
    windows = made.reshape(blocks, channels, rows // down, down, columns // across, across)
    return windows.max(axis=(3, 5))


def step_words(
    params: ScnnParams, descriptor: Any, made: Sequence[NDArray[np.int64]]
) -> Iterator[int]:
    """Give what all PEs write in each step of the drain, PE 0 in the low bits."""
    p, d = params, descriptor
    across = -(-p.pes_x >> d.block_x)
    k, y, x = walk(d).T
    tile_h, tile_w = written_tile(d)
    lanes = np.zeros((len(k), p.num_pes), np.int64)
    for pe in range(p.num_pes):
        pe_y, pe_x = divmod(pe, p.pes_x)
        values = made[(pe_y >> d.block_y) * across + (pe_x >> d.block_x)]
        row = y + (pe_y & (1 << d.block_y) - 1) * tile_h
        column = x + (pe_x & (1 << d.block_x) - 1) * tile_w
        inside = (row < values.shape[1]) & (column < values.shape[2])
        lanes[inside, pe] = values[k[inside], row[inside], column[inside]]
    mask = (1 << p.act_bits) - 1
    for step in (lanes & mask).tolist():
        yield sum(value << place * p.act_bits for place, value in enumerate(step))


@njit(cache=True)
def is_kept(value: Any, dense: bool, run: int, skipped: int, max_run: int) -> bool:
    """Say whether the golden model has an entry for a place of a tile, by a rule of its own.

    Parameters
    ----------
    value : at the place.
    dense : zeros here are stored, too.
    run : places without an entry right before it.
    skipped : places behind it that have no value, at the end of a row.
    max_run : longest run.
    """
    if value != 0 or dense:
        return True
    # The next entry's run has this place and those that are skipped.
    return run + 1 + skipped > max_run


@njit(cache=True)
def _multiply(
    sums: NDArray[np.int64],
    plane: NDArray[np.int64],
    pes: NDArray[np.int64],
    tile: tuple[int, int],
    walked: tuple[int, int],
    last: tuple[int, int],
    phase: tuple[int, int],
    steps: tuple[int, int, int],
    kinds: tuple[bool, bool, bool],
    max_run: int,
    offsets: NDArray[np.int64],
    weights: NDArray[np.int64],
) -> None:
    """Add products of every stored activation with every weight, where their addresses say."""
    sy, sx, y_stride = steps
    dense, keep_zeros, maximum = kinds
    height, width = plane.shape
    accs = sums.shape[1]
    columns = walked[1] // sx
    gap = y_stride - columns
    for number in range(len(pes)):
        pe, top, left = pes[number, 0], pes[number, 1] * tile[0], pes[number, 2] * tile[1]
        # The last PE has what is left behind its tile, too.
        bottom = height if pes[number, 1] == last[0] else min(height, top + tile[0])
        right = width if pes[number, 2] == last[1] else min(width, left + tile[1])
        run = 0
        for v in range(walked[0] // sy):
            y = top + v * sy + phase[0]
            for u in range(columns):
                x = left + u * sx + phase[1]
                inside = y < bottom and x < right
                value = plane[y, x] if inside else 0
                skipped = gap if u == columns - 1 else 0
                stored = is_kept(value, dense and inside, run, skipped, max_run)
                run = 0 if stored else run + 1
                if value != 0 or (stored and keep_zeros):
                    place = v * y_stride + u
                    for n in range(len(offsets)):
                        at = (place + offsets[n]) % accs
                        product = value * weights[n]
                        sums[pe, at] = (
                            max(sums[pe, at], product) if maximum else sums[pe, at] + product
                        )
            run += gap


@njit(cache=True)
def _gather(
    sums: NDArray[np.int64],
    pes: NDArray[np.int64],
    tile: tuple[int, int, int],
    places: tuple[int, int, int],
    halos: tuple[int, int, int, int],
    maximum: bool,
    size: tuple[int, int],
) -> NDArray[np.int64]:
    """Put the sums of a block's PEs together, with what their neighbours have of them."""
    depth, ho, wo = tile
    origin, k_stride, y_stride = places
    left, right, top, bottom = halos
    found = np.zeros((depth, size[0], size[1]), np.int64)
    accs = sums.shape[1]
    down, across = pes[-1, 1] + 1, pes[-1, 2] + 1
    for row in range(min(size[0], down * ho)):
        for column in range(min(size[1], across * wo)):
            own_y, own_x = row // ho, column // wo
            for turn in range(9):
                # The PE itself first, then its neighbours.
                dy, dx = (turn + 4) % 9 // 3 - 1, (turn + 4) % 9 % 3 - 1
                pe_y, pe_x = own_y + dy, own_x + dx
                v, u = row - pe_y * ho, column - pe_x * wo
                if not (0 <= pe_y < down and 0 <= pe_x < across):
                    continue
                if not (-top <= v < ho + bottom and -left <= u < wo + right):
                    continue
                pe = pes[pe_y * across + pe_x, 0]
                for k in range(depth):
                    part = sums[pe, (origin + k * k_stride + v * y_stride + u) % accs]
                    if turn == 0:
                        found[k, row, column] = part
                    elif maximum:
                        found[k, row, column] = max(found[k, row, column], part)
                    else:
                        found[k, row, column] += part
    return found
