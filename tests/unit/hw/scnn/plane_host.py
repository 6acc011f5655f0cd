"""A plane in the activation RAMs of an array, as a host of it reads and writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.run import TileLayout
from zeroskip.compiler.scnn.tiles import EncodedTiles, encode_tiles
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.bench.pysim import random_gaps

PARAMS = ScnnParams(
    pes_x=3, pes_y=2, num_streams=6, mult_i=2, act_words=256, num_channels=32, run_bits=2
)


@dataclass(frozen=True)
class Shape:
    """How a plane lies in the PEs of a block; ``extra`` positions lie between rows.

    What is left of it behind the last PE's tile is that PE's.
    """

    block_x: int
    block_y: int
    tile_h: int
    tile_w: int
    height: int
    width: int
    extra: int
    sy: int = 1
    sx: int = 1
    dense: bool = False

    @property
    def layout(self) -> TileLayout:
        """The compiler's layout."""
        return TileLayout(
            block_x=self.block_x,
            block_y=self.block_y,
            tile_h=self.tile_h,
            tile_w=self.tile_w,
            sy=self.sy,
            sx=self.sx,
            y_stride=self.tile_w // self.sx + self.extra,
            y0=0,
            x0=0,
            height=self.height,
            width=self.width,
            dense=self.dense,
        )

    def fields(self, base: int, channels: int) -> dict[str, int]:
        """Fields that configurations of reading and of loading share."""
        full_x, full_y = (
            (1 << block) - 1 if size > tile << block else size // tile
            for size, tile, block in (
                (self.width, self.tile_w, self.block_x),
                (self.height, self.tile_h, self.block_y),
            )
        )
        return {
            "base": base,
            "channels": channels * self.sy * self.sx,
            "sx": self.sx,
            "sy": self.sy,
            "wo": self.tile_w,
            "ho": self.tile_h,
            "y_stride": self.layout.y_stride,
            "full_x": full_x,
            "rem_x": self.width - full_x * self.tile_w,
            "full_y": full_y,
            "rem_y": self.height - full_y * self.tile_h,
            "block_x": self.block_x,
            "block_y": self.block_y,
        }

    def place(self, pe: int) -> tuple[int, int]:
        """Return a PE's row and column in its block."""
        y, x = divmod(pe, PARAMS.pes_x)
        return y % (1 << self.block_y), x % (1 << self.block_x)

    def rows(self, values: NDArray[np.int64]) -> list[list[int]]:
        """Order the rows of tiles PE by PE; each block has all of ``values``."""
        out: list[list[int]] = []
        for pe in range(PARAMS.num_pes):
            y, x = self.place(pe)
            tile = values[:, y * self.tile_h :, x * self.tile_w :]
            if y < (1 << self.block_y) - 1:
                tile = tile[:, : self.tile_h]
            if x < (1 << self.block_x) - 1:
                tile = tile[:, :, : self.tile_w]
            for channel, a, b in product(range(len(tile)), range(self.sy), range(self.sx)):
                out += tile[channel, a :: self.sy, b :: self.sx].tolist()
        return [row for row in out if row]

    def groups(self, values: NDArray[np.int64], lanes: int, seed: int) -> list[dict[str, Any]]:
        """Cut the rows to groups of up to ``lanes`` values, anyhow."""
        rng = np.random.default_rng(seed)
        out: list[dict[str, Any]] = []
        for row in self.rows(values):
            at = 0
            while at < len(row):
                group = row[at : at + int(rng.integers(1, lanes + 1))]
                at += len(group)
                padded = group + [99] * (lanes - len(group))
                out.append({"values": padded, "count": len(group)})
        return out


def draw(shape: Shape, density: float, seed: int = 7) -> NDArray[np.int64]:
    """Draw three channels of values."""
    rng = np.random.default_rng(seed)
    size = (3, shape.height, shape.width)
    return rng.integers(-99, 99, size) * (rng.random(size) < density)


def reader(
    shape: Shape, values: NDArray[np.int64], *, first: int, base: int
) -> Callable[[Any, int, int], int]:
    """Answer reads of an array that holds ``values`` from row ``first`` on."""
    tiles: EncodedTiles = encode_tiles(PARAMS, shape.layout, values, first)
    directory = tiles.directory(PARAMS)

    def read(space: Any, pe: int, addr: int) -> int:
        y, x = shape.place(pe)
        place = (y << shape.block_x) + x
        if space == Space.DIRECTORY:
            return int(directory[place, addr - base])
        assert space == Space.ACT
        return sum(int(limb) << 64 * i for i, limb in enumerate(tiles.words[place][addr - first]))

    return read


async def answer_reads(
    ctx: Any, cmd: Any, rsp: Any, read: Callable[[Any, int, int], int], seed: int
) -> None:
    """Serve a host port for ever, with pauses before commands and answers."""
    pauses = random_gaps(seed, 3)
    # No `until` or `repeat`: a monitor is cut off in the middle, and they must not be.
    while True:
        for _ in range(next(pauses) + 1):
            await ctx.tick()
        ctx.set(cmd.ready, 1)
        valid, payload = False, None
        while not valid:
            _, _, valid, payload = await ctx.tick().sample(cmd.valid, cmd.payload)
        assert payload is not None
        ctx.set(cmd.ready, 0)
        for _ in range(next(pauses) + 1):
            await ctx.tick()
        command = payload.command
        assert not command.write
        ctx.set(rsp.payload, read(command.space, payload.pe, command.addr))
        ctx.set(rsp.valid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(rsp.ready)
        ctx.set(rsp.valid, 0)
