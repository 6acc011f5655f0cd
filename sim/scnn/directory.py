"""Follow the contents of activation RAMs and their directories from pass to pass."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zeroskip.compiler.scnn.run import ActLoad, PassOutput, written_tile
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.golden.words import Descriptor

__all__ = ["Directories", "Entry"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Tensor, channel and phase that a directory entry of a block of PEs stands for.

    Parameters
    ----------
    tensor, channel : whose activations.
    phase : (a, b).
    steps : (sy, sx), phases.
    first : row and column of the tensor at which the block's first tile begins.
    size : rows and columns of the tensor, from there on, that the block has.
    tile, walked : rows and columns of a tile, and those that a PE walks through.
    y_stride : of positions.
    dense : zeros are stored, too.
    rows : of the activation RAM, in which it is.
    """

    tensor: str
    channel: int
    phase: tuple[int, int]
    steps: tuple[int, int]
    first: tuple[int, int]
    size: tuple[int, int]
    tile: tuple[int, int]
    walked: tuple[int, int]
    y_stride: int
    dense: bool
    rows: "Rows"


@dataclass(eq=False)
class Rows:
    """Rows of an activation RAM that are written one behind the other, however dense.

    Parameters
    ----------
    start, stop : first row, and the one behind the last.
    """

    start: int
    stop: int

    def meet(self, start: int, stop: int) -> bool:
        """Return whether any of some rows are among these."""
        return self.start < stop and start < self.stop


class Directories:
    """Keep what the directories of all PEs say of the activation RAMs, block of PEs by block.

    What may have been written over, because rows or entries of a pass or a load meet its own, is
    not there any more: from the begin of the pass, which writes while it reads.

    Parameters
    ----------
    params : sizes of the array.
    """

    def __init__(self, params: ScnnParams) -> None:
        self._params = params
        # By PEs of a block, down and across, that have written: what each block has, by number.
        self._blocks: dict[tuple[int, int], list[dict[int, Entry]]] = {}
        self._rows = Rows(0, 0)

    def blocks(self, descriptor: Descriptor) -> int:
        """Return how many blocks of PEs a pass has, whole or not."""
        return self._count(self._shape(descriptor.block_x, descriptor.block_y))

    def read(self, descriptor: Descriptor, stream: int, channel: int) -> Entry | None:
        """Return what the PEs of a block see as a channel of a header; None if there is nothing.

        Parameters
        ----------
        descriptor : of the pass.
        stream : number of the block.
        channel : that of the header.

        Raises
        ------
        ValueError
            If nothing was written for such blocks, or tiles do not make those of the pass.
        """
        owner, entry, shape = stream, channel, (descriptor.block_x, descriptor.block_y)
        if descriptor.bus:
            owner, entry = divmod(channel, max(descriptor.src_entries, 1))
            shape = descriptor.src_block_x, descriptor.src_block_y
        pes = self._shape(*shape)
        if pes not in self._blocks:
            raise ValueError(f"a pass reads from blocks of {pes} PEs, but none has written")
        blocks = self._blocks[pes]
        found = blocks[owner].get(descriptor.src_base + entry) if owner < len(blocks) else None
        return self._joined(found, descriptor) if found and descriptor.bus else found

    def load(self, loads: Sequence[ActLoad]) -> None:
        """Take in what the host loads before a run."""
        for load in loads:
            layout = load.layout
            shape = self._shape(layout.block_x, layout.block_y)
            blocks = self._of_shape(shape)
            self._rows = Rows(load.word, load.word)
            every = [self._loaded(load, number, len(blocks)) for number in range(len(blocks))]
            places = layout.walk_h * layout.walk_w // (layout.sy * layout.sx)
            self._clear(range(load.base, load.base + max(map(len, every))), places, load.limit)
            for block, entries in zip(blocks, every, strict=True):
                block.update(entries)

    def _loaded(self, load: ActLoad, number: int, blocks: int) -> dict[int, Entry]:
        """Return what a load gives to one of the blocks, by directory number."""
        layout = load.layout
        entries: dict[int, Entry] = {}
        for part in load.of_block(number, blocks):
            for channel in range(part.start, part.stop):
                for phase in np.ndindex(layout.sy, layout.sx):
                    entries[load.base + len(entries)] = Entry(
                        tensor=part.tensor,
                        channel=channel,
                        phase=phase,
                        steps=(layout.sy, layout.sx),
                        first=(layout.y0, layout.x0),
                        size=(layout.height, layout.width),
                        tile=(layout.tile_h, layout.tile_w),
                        walked=(layout.walk_h, layout.walk_w),
                        y_stride=layout.y_stride,
                        dense=layout.dense,
                        rows=self._rows,
                    )
        return entries

    def begin(self, descriptor: Descriptor) -> None:
        """Forget what a pass will write over."""
        if not descriptor.append:
            self._rows = Rows(descriptor.dst_word, descriptor.dst_word)
        rows, columns = max(descriptor.out_sy, 1), max(descriptor.out_sx, 1)
        tile_h, tile_w = written_tile(descriptor)
        places = -(-tile_h // rows) * -(-tile_w // columns)
        self._clear(_written(descriptor), places, descriptor.dst_limit)

    def write(self, descriptor: Descriptor, output: PassOutput) -> None:
        """Take in what a pass has written: of each block, the channels that ``output`` says."""
        phases = list(np.ndindex(descriptor.out_sy, descriptor.out_sx))
        shape = self._shape(descriptor.block_x, descriptor.block_y)
        tile = written_tile(descriptor)
        for entries, part in zip(self._of_shape(shape), output.blocks, strict=True):
            for channel in range(part.start, part.stop):
                base = descriptor.dst_base + (channel - part.start) * len(phases)
                for place, phase in enumerate(phases):
                    entries[base + place] = Entry(
                        tensor=part.tensor,
                        channel=channel,
                        phase=phase,
                        steps=(descriptor.out_sy, descriptor.out_sx),
                        first=(output.y0, output.x0),
                        size=(output.height, output.width),
                        tile=tile,
                        walked=tile,
                        y_stride=descriptor.out_y_stride,
                        dense=bool(descriptor.out_dense),
                        rows=self._rows,
                    )

    def _joined(self, entry: Entry, descriptor: Descriptor) -> Entry:
        """Join the tiles of two owners, down or across, where the pass has tiles that large."""
        tile, walked = list(entry.tile), list(entry.walked)
        # Positions from a row, and from a column, of a phase to the next.
        for axis, name, position in ((0, "y", entry.y_stride), (1, "x", 1)):
            pes = getattr(self._params, f"pes_{name}")
            blocks = (getattr(descriptor, f"{which}block_{name}") for which in ("", "src_"))
            own, block = (min(log_pes, (pes - 1).bit_length()) for log_pes in blocks)
            if block == own:
                continue
            if tile[axis] % entry.steps[axis]:
                raise ValueError(
                    f"tiles of {entry.tensor!r} must be multiples of {entry.steps} phases to be "
                    f"joined, not {entry.tile}"
                )
            step, right = getattr(descriptor, f"src_step_{name}"), tile[axis] // entry.steps[axis]
            if step != right * position:
                raise ValueError(
                    f"src_step_{name} of a pass that reads {entry.tensor!r} must be "
                    f"{right * position}, not {step}"
                )
            walked[axis] += tile[axis]
            tile[axis] *= 2
        return replace(entry, tile=(tile[0], tile[1]), walked=(walked[0], walked[1]))

    def _clear(self, numbers: range, places: int, limit: int) -> None:
        """Forget entries that are written anew, or lie in rows that they may take.

        Parameters
        ----------
        numbers : of the entries.
        places : activations of each, if none is 0.
        limit : first row that is not written.
        """
        start, stop = self._rows.start, self._rows.stop
        self._rows.stop = min(stop + len(numbers) * -(-places // self._params.mult_i), limit)
        for blocks in self._blocks.values():
            for block in blocks:
                for number, entry in list(block.items()):
                    over = entry.rows is not self._rows and entry.rows.meet(start, self._rows.stop)
                    if over or number in numbers:
                        del block[number]

    def _of_shape(self, shape: tuple[int, int]) -> list[dict[int, Entry]]:
        return self._blocks.setdefault(shape, [{} for _ in range(self._count(shape))])

    def _shape(self, block_x: int, block_y: int) -> tuple[int, int]:
        """Return PEs of a block, down and across, at most the grid's."""
        return min(1 << block_y, self._params.pes_y), min(1 << block_x, self._params.pes_x)

    def _count(self, shape: tuple[int, int]) -> int:
        """Return how many blocks of a shape the grid has, whole or not."""
        return -(-self._params.pes_y // shape[0]) * -(-self._params.pes_x // shape[1])


def _written(descriptor: Descriptor) -> range:
    """Return the numbers of the entries that a pass writes."""
    channels = (descriptor.groups - 1) * descriptor.kc + descriptor.kc_last
    count = channels * descriptor.out_sy * descriptor.out_sx
    return range(descriptor.dst_base, descriptor.dst_base + count)
