"""Choose how tensors lie in memory, so that moves of their parts take few beats."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zeroskip.compiler.ir.graph import QuantConv, QuantGraph
from zeroskip.compiler.scnn.run import Channels, ScnnRun, TileLayout

__all__ = ["MemoryLayout", "count_beats", "layouts_of_rows", "memory_layouts"]

_MOST_ROOM = 2
"""A tensor takes this many times the room that its values need, at most."""

_ROW_BYTES = 256
"""Bytes of which a row of all channels has a whole number, for parts whose rows are of other
sizes."""

_Part = tuple[Channels, TileLayout]


@dataclass(frozen=True)
class MemoryLayout:
    """How a tensor lies in memory: channels (phases of them), rows, columns; or rows first.

    Parameters
    ----------
    phases : down and across, each of which is like a channel.
    channels, height, width : with phases apart.
    tile : columns of what has beats of its own, or lies in one beat with others: tiles of PEs, or
        rows; 0 if there is nothing between values.
    tiles : of a row; the last has what is left of it. With one, there is nothing between them,
        and ``tile`` may be the whole row, which then begins in a beat, or a part of one.
    lanes : values of a beat.
    row : values from a row of all channels to the next, if rows come first, then channels; else 0.
    """

    phases: tuple[int, int]
    channels: int
    height: int
    width: int
    tile: int
    tiles: int
    lanes: int
    row: int = 0

    @property
    def step(self) -> int:
        """Values from a tile of a row to the next: whole beats, or a half, a quarter of one, ..."""
        widest = max(self.tile, self._rest)
        return min(self.lanes, 1 << (widest - 1).bit_length()) * -(-self.tile // self.lanes)

    @property
    def _rest(self) -> int:
        """Columns of the last tile of a row."""
        return self.width - (self.tiles - 1) * self.tile

    @property
    def pitch(self) -> int:
        """Values from a row to the next."""
        if self.row:
            return self.row
        if not self.tile:
            return self.width
        part = min(self.step, self.lanes)
        return (self.tiles - 1) * self.step + -(-self._rest // part) * part

    @property
    def channel(self) -> int:
        """Values from a channel to the next."""
        return self.width if self.row else self.height * self.pitch

    @property
    def size(self) -> int:
        """Values that there is room for."""
        return self.height * self.row or self.channels * self.channel

    def column(self, x: Any) -> Any:
        """Return the place of a column in its row."""
        if not self.tile:
            return x
        before = np.minimum(x // self.tile, self.tiles - 1)
        return before * self.step + x - before * self.tile

    def apart(self, part: Channels, layout: TileLayout) -> _Part:
        """Return channels of the tensor, and how PEs store them, with phases apart."""
        sy, sx = self.phases
        if self.phases == (1, 1):
            return part, layout
        return replace(part, start=part.start * sy * sx, stop=part.stop * sy * sx), replace(
            layout,
            sy=1,
            sx=1,
            tile_h=layout.tile_h // sy,
            tile_w=layout.tile_w // sx,
            y0=layout.y0 // sy,
            x0=layout.x0 // sx,
            height=-(-layout.height // sy),
            width=-(-layout.width // sx),
        )

    def where(self, first: int, part: Channels, layout: TileLayout) -> dict[str, int]:
        """Return fields of :func:`.plane_memory_layout`, with phases apart.

        ``first`` is the tensor's first value.
        """
        row = part.start * self.channel + layout.y0 * self.pitch
        return {
            "first": first + row + int(self.column(layout.x0)),
            "tile_x": self.step if self.tiles > 1 else layout.tile_w,
            "tile_y": layout.tile_h * self.pitch,
            "block": 0,
            "block_row": 0,
            "channel": self.channel,
            "row": self.pitch,
            "rows": layout.sy * self.pitch,
        }


def count_beats(where: Mapping[str, int], layout: TileLayout, channels: range, lanes: int) -> int:
    """Count the beats that a block's values lie in, row by row of its tiles.

    Parameters
    ----------
    where : fields of :func:`.plane_memory_layout`.
    layout : how PEs store them.
    channels : counted from the first.
    lanes : values of a beat.
    """
    columns = [layout.part(pe)[1] for pe in range(1 << layout.block_x)]
    # Where rows of a phase begin, and how far it is from there to the end of the tile.
    begins = [
        (place * where["tile_x"] + phase, part.stop - part.start - phase)
        for place, part in enumerate(columns)
        for phase in range(min(layout.sx, part.stop - part.start))
    ]
    x, left = np.array(begins, np.int64).reshape(-1, 2).T
    y = np.arange(layout.height)[:, None]
    first = np.array(channels)[:, None, None] * where["channel"] + y * where["row"] + x
    lane = (where["first"] + first) % lanes
    return int(((lane + left + lanes - 1) // lanes).sum())


def memory_layouts(
    graph: QuantGraph[QuantConv], runs: Sequence[ScnnRun], lanes: int, shared: Collection[str]
) -> dict[str, MemoryLayout]:
    """Say how each tensor lies, of which runs move anything.

    One that is moved in the same phases wherever it is moved lies in these phases, each like a
    channel, so that what is moved lies side by side; rows and columns that a phase lacks are zeros.
    One that is moved in tiles of the same columns has each tile of a row in beats of its own, or
    none in parts of two beats if they are shorter, where fewer beats are moved then, unless that
    takes much more room.

    Parameters
    ----------
    graph, runs : of the part.
    lanes : values of a beat.
    shared : tensors that have neither, as others know them.
    """
    moved: dict[str, list[_Part]] = {}
    for run in runs:
        for load in run.loads:
            for part in load.channels:
                moved.setdefault(part.tensor, []).append((part, load.layout))
        for store in run.stores:
            whole = [part for part in store.blocks if part.start < part.stop]
            every = replace(whole[0], stop=whole[-1].stop)
            moved.setdefault(every.tensor, []).append((every, store.layout))
    plain = set(shared)
    if not plain.isdisjoint(graph.outputs):
        # They are one tensor in memory.
        plain |= set(graph.outputs)
    found: dict[str, MemoryLayout] = {}
    for name, parts in moved.items():
        lies = MemoryLayout((1, 1), *graph.shape(name), tile=0, tiles=1, lanes=lanes)
        if name not in plain and name not in graph.outputs:
            lies = _in_phases(lies, parts)
        found[name] = lies if name in plain else _in_tiles(lies, parts)
    return found


def layouts_of_rows(graph: QuantGraph[QuantConv], lanes: int, bits: int) -> dict[str, MemoryLayout]:
    """Say how outputs lie whose rows others take as steps: a row of all of them, then the next.

    Parameters
    ----------
    graph : of the part.
    lanes, bits : values of a beat, and bits of a value there.
    """
    shapes = {name: graph.shape(name) for name in graph.outputs}
    whole = sum(channels * width for channels, _, width in shapes.values())
    size = _ROW_BYTES * 8 // bits
    row = -(-whole // size) * size
    return {
        name: MemoryLayout((1, 1), *shape, tile=0, tiles=1, lanes=lanes, row=row)
        for name, shape in shapes.items()
    }


def _in_phases(lies: MemoryLayout, moved: Sequence[_Part]) -> MemoryLayout:
    """Put the phases apart that a tensor is moved in."""
    strides = {
        # Where zeros of the plane are stored, those that a phase lacks may not be.
        (layout.sy, layout.sx)
        if layout.y0 % layout.sy == layout.x0 % layout.sx == 0 and not layout.dense
        else (1, 1)
        for _, layout in moved
    }
    if len(strides) > 1:
        return lies
    ((sy, sx),) = strides
    return replace(
        lies,
        phases=(sy, sx),
        channels=lies.channels * sy * sx,
        height=-(-lies.height // sy),
        width=-(-lies.width // sx),
    )


def _in_tiles(lies: MemoryLayout, moved: Sequence[_Part]) -> MemoryLayout:
    """Keep rows, or tiles of a row, from lying in more beats than they need, where that pays."""
    parts = [lies.apart(*one) for one in moved]
    rows = replace(lies, tile=lies.width)
    some = [one for one in (rows, *_tiles_apart(lies, parts)) if one.size <= _MOST_ROOM * lies.size]

    def beats(one: MemoryLayout) -> int:
        return sum(
            count_beats(
                one.where(0, part, layout), layout, range(part.stop - part.start), one.lanes
            )
            for part, layout in parts
        )

    return min([lies, *some], key=beats)


def _tiles_apart(lies: MemoryLayout, parts: Sequence[_Part]) -> tuple[MemoryLayout, ...]:
    """Return the layout with tiles apart; none if parts have different ones, or cut into them."""
    tiles = {layout.tile_w for _, layout in parts}
    if len(tiles) > 1 or any(layout.x0 % layout.tile_w for _, layout in parts):
        return ()
    tile = min(*tiles, lies.width)
    count = -(-lies.width // tile)
    if any(layout.walk_w > layout.tile_w for _, layout in parts):
        # The last tile of a block ends with the row.
        counts = {1 << layout.block_x for _, layout in parts if layout.width == lies.width}
        if len(counts) > 1 or any(layout.width < lies.width for _, layout in parts):
            return ()
        (count,) = counts
    return (replace(lies, tile=tile, tiles=count),)
