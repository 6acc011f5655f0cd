"""Define how tensors lie on the array while they stay there, and where they can go from there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from zeroskip.compiler.ir.graph import Pair
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["Link", "Placement", "axis_places", "block_sizes", "placements"]


@dataclass(frozen=True, order=True)
class Placement:
    """Block and tile of the PEs that own a tensor.

    Parameters
    ----------
    block_y, block_x : log2 of the PEs down and across that share a plane.
    tile_h, tile_w : rows and columns of the plane that a PE owns.
    """

    block_y: int
    block_x: int
    tile_h: int
    tile_w: int

    def blocks(self, params: ScnnParams) -> int:
        """Count the blocks, each of which owns channels of its own."""
        down, across = block_sizes(params.pes_y), block_sizes(params.pes_x)
        return (params.pes_y // down[self.block_y]) * (params.pes_x // across[self.block_x])

    def reads(self, owner: "Placement", stride: Pair, params: ScnnParams) -> bool:
        """Tell if a layer of a stride, whose outputs lie here, can read a tensor of an owner."""
        down = (self.block_y, self.tile_h), (owner.block_y, owner.tile_h)
        across = (self.block_x, self.tile_w), (owner.block_x, owner.tile_w)
        return (
            _reach(*down, stride[0], params.pes_y) > 0
            and _reach(*across, stride[1], params.pes_x) > 0
        )

    def parts(self, owner: "Placement") -> Pair:
        """Count the owners' tiles, down and across, that are one tile of a layer that reads."""
        return 1 + owner.block_y - self.block_y, 1 + owner.block_x - self.block_x

    def pooled(self, windows: Pair) -> "Placement | None":
        """Return where the maxima of windows lie that no tile shares; None if tiles share some."""
        if self.tile_h % windows[0] or self.tile_w % windows[1]:
            return None
        return replace(self, tile_h=self.tile_h // windows[0], tile_w=self.tile_w // windows[1])

    def words(self, stride: Pair, params: ScnnParams) -> int:
        """Count the words of a phase of a channel if no activation is 0."""
        return -(-(self.tile_h // stride[0]) * (self.tile_w // stride[1]) // params.mult_i)


def _reach(here: Pair, there: Pair, stride: int, pes: int) -> int:
    """Count the tiles (block, size) of owners in one of a reader in one direction; 0: not whole."""
    sizes = block_sizes(pes)
    if there[1] % stride:
        return 0
    # A PE without neighbours reads all that there is, and makes whatever that gives.
    alone = sizes[here[0]] == 1
    if there[0] == here[0] and (alone or there[1] == here[1] * stride):
        return 1
    halves = there[0] == here[0] + 1 and sizes[there[0]] == 2 * sizes[here[0]]
    return 2 if halves and (alone or 2 * there[1] == here[1] * stride) else 0


@cache
def block_sizes(pes: int) -> Mapping[int, int]:
    """Return the PEs of a block in one direction, by block size in log2: all of those are whole."""
    most = (pes - 1).bit_length()
    sizes = {size: min(1 << size, pes) for size in range(most + 1)}
    return {size: count for size, count in sizes.items() if pes % count == 0}


@dataclass(frozen=True)
class Link:
    """A layer that reads one cluster of tensors and makes one of another, in one direction.

    Parameters
    ----------
    source, target : numbers of the clusters.
    stride : of the layer.
    least : by block size in log2, the fewest outputs of a PE.
    """

    source: int
    target: int
    stride: int
    least: dict[int, int]


_SLACK = 4
"""A tile may be longer than it must be by this share of it, or by two."""


_SPILL = 4
"""The last PE of a block may hold this share of a tile more, the inverse, of what is loaded."""


def axis_places(
    planes: Sequence[int], links: Sequence[Link], pes: int, loaded: Sequence[bool]
) -> list[set[Pair]]:
    """Find the blocks and tiles of each cluster of tensors that may be worth a try.

    These are the smallest tiles on each block, and those that follow from them before and behind.

    Parameters
    ----------
    planes : rows, or columns, of each cluster.
    links : the layers between them.
    pes : of the grid.
    loaded : of each cluster, whether it is loaded and not made on the array.

    Returns
    -------
    Of each cluster (block in log2, tile).
    """
    sizes = block_sizes(pes)
    least = [{block: -(-plane // count) for block, count in sizes.items()} for plane in planes]
    for link in links:
        for block, size in link.least.items():
            least[link.target][block] = max(least[link.target].get(block, 0), size)
    found = [set(tiles.items()) for tiles in least]
    lowest = [
        {block: _spilling(planes[number], sizes[block]) for block in tiles}
        if loaded[number]
        else tiles
        for number, tiles in enumerate(least)
    ]

    def add(cluster: int, block: int, tile: int, stride: int = 1) -> bool:
        if block not in sizes:
            return False
        low = least[cluster][block]
        most = low + (max(2, low // _SLACK) if sizes[block] > 1 else stride - 1)
        if not lowest[cluster][block] <= tile <= most or (block, tile) in found[cluster]:
            return False
        found[cluster].add((block, tile))
        return True

    more = True
    while more:
        more = False
        for link in links:
            for block, tile in list(found[link.target]):
                more |= add(link.source, block, tile * link.stride)
                if sizes[block] == 1:
                    whole = -(-least[link.source][block] // link.stride) * link.stride
                    more |= add(link.source, block, whole, link.stride)
                if tile % 2 == 0:
                    more |= add(link.source, block + 1, tile // 2 * link.stride)
            for block, tile in list(found[link.source]):
                if tile % link.stride == 0:
                    more |= add(link.target, block, tile // link.stride)
                    more |= add(link.target, block - 1, 2 * tile // link.stride)
    return found


def _spilling(plane: int, pes: int) -> int:
    """Find the smallest tile of PEs the last of which may hold more, in one direction."""
    return -(-plane // pes) if pes == 1 else -(-plane * _SPILL // (pes * _SPILL + 1))


def placements(rows: set[Pair], columns: set[Pair], params: ScnnParams) -> Iterator[Placement]:
    """Combine what is possible down and across, as far as there are streams for the blocks."""
    for block_y, tile_h in sorted(rows):
        for block_x, tile_w in sorted(columns):
            place = Placement(block_y, block_x, tile_h, tile_w)
            if place.blocks(params) <= params.num_streams:
                yield place
