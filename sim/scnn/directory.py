"""Follow the contents of the directories of the activation RAMs from pass to pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.compiler.scnn.run import ActLoad, PassOutput
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
    tile : rows and columns of a tile.
    y_stride : of positions.
    dense : zeros are stored, too.
    """

    tensor: str
    channel: int
    phase: tuple[int, int]
    steps: tuple[int, int]
    first: tuple[int, int]
    size: tuple[int, int]
    tile: tuple[int, int]
    y_stride: int
    dense: bool


class Directories:
    """Directories of both activation RAMs, of every block of PEs.

    Parameters
    ----------
    params : sizes of the array.
    """

    def __init__(self, params: ScnnParams) -> None:
        self._params = params
        self._rams: list[list[dict[int, Entry]]] = [[], []]
        # PEs of a block, down and across, that a RAM was written by.
        self._shapes = [(0, 0), (0, 0)]
        self._source = 0

    def blocks(self, descriptor: Descriptor) -> int:
        """Return how many blocks of PEs a pass has, whole or not."""
        return self._count(self._shape(descriptor.block_x, descriptor.block_y))

    def source(self, descriptor: Descriptor) -> Sequence[Mapping[int, Entry]]:
        """Return what a pass can read, of each block by directory number.

        Raises
        ------
        ValueError
            If it was written for other blocks.
        """
        shape = self._shape(descriptor.block_x, descriptor.block_y)
        if self._shapes[self._source] != shape:
            raise ValueError(
                f"a pass must have blocks of {self._shapes[self._source]} PEs as its input, "
                f"not {shape}"
            )
        return self._rams[self._source]

    def swap(self) -> None:
        """Change the roles of the RAMs."""
        self._source = 1 - self._source

    def load(self, loads: Sequence[ActLoad]) -> None:
        """Take in what the host loads before a run, the same for all blocks; nothing if nothing."""
        if not loads:
            return
        entries: dict[int, Entry] = {}
        shapes = {self._shape(load.layout.block_x, load.layout.block_y) for load in loads}
        if len(shapes) > 1:
            raise ValueError("loads of a run must be for blocks of the same size")
        for load in loads:
            layout, number = load.layout, load.base
            for part in load.channels:
                for channel in range(part.start, part.stop):
                    for phase in np.ndindex(layout.sy, layout.sx):
                        entries[number] = Entry(
                            tensor=part.tensor,
                            channel=channel,
                            phase=phase,
                            steps=(layout.sy, layout.sx),
                            first=(layout.y0, layout.x0),
                            size=(layout.height, layout.width),
                            tile=(layout.tile_h, layout.tile_w),
                            y_stride=layout.y_stride,
                            dense=layout.dense,
                        )
                        number += 1
        self._source = 0
        self._shapes[0] = shapes.pop()
        self._rams[0] = [entries] * self._count(self._shapes[0])

    def write(self, descriptor: Descriptor, output: PassOutput, made: int) -> None:
        """Take in what a pass writes; ``made`` channels a block, of which ``output`` has some."""
        target, shape = 1 - self._source, self._shape(descriptor.block_x, descriptor.block_y)
        if not descriptor.append:
            self._shapes[target] = shape
            self._rams[target] = [{} for _ in range(self._count(shape))]
        elif self._shapes[target] != shape:
            raise ValueError(f"a pass cannot append to blocks of {self._shapes[target]} PEs")
        phases = list(np.ndindex(descriptor.out_sy, descriptor.out_sx))
        for entries, part in zip(self._rams[target], output.blocks, strict=True):
            for number in range(made * len(phases)):
                entries.pop(descriptor.dst_base + number, None)
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
                        tile=(descriptor.ho, descriptor.wo),
                        y_stride=descriptor.out_y_stride,
                        dense=bool(descriptor.out_dense),
                    )

    def _shape(self, block_x: int, block_y: int) -> tuple[int, int]:
        """Return PEs of a block, down and across, at most the grid's."""
        return min(1 << block_y, self._params.pes_y), min(1 << block_x, self._params.pes_x)

    def _count(self, shape: tuple[int, int]) -> int:
        """Return how many blocks of a shape the grid has, whole or not."""
        return -(-self._params.pes_y // shape[0]) * -(-self._params.pes_x // shape[1])
