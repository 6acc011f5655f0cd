"""Make the words that the host loads into the activation RAMs of the SCNN array."""

from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.compiler.engine import SramData
from zeroskip.compiler.scnn.run import ActLoad, TileLayout
from zeroskip.compiler.scnn.tiles import EncodedTiles, encode_tiles
from zeroskip.hw.scnn.formats import act_word_layout, directory_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = [
    "block_count",
    "block_members",
    "encode_loads",
    "loaded_planes",
    "loaded_rams",
    "members",
]


def block_members(params: ScnnParams, layout: TileLayout) -> Iterator[tuple[int, int, int]]:
    """Give the block of each PE, its number in the grid, and its place in the block."""
    across = -(-params.pes_x >> layout.block_x)
    for pe in range(params.num_pes):
        y, x = divmod(pe, params.pes_x)
        block = (y >> layout.block_y) * across + (x >> layout.block_x)
        inside_y, inside_x = y % (1 << layout.block_y), x % (1 << layout.block_x)
        yield block, pe, (inside_y << layout.block_x) + inside_x


def block_count(params: ScnnParams, layout: TileLayout) -> int:
    """Count the blocks of PEs, whole or not."""
    return -(-params.pes_x >> layout.block_x) * -(-params.pes_y >> layout.block_y)


def members(
    params: ScnnParams, layout: TileLayout, blocks: Container[int]
) -> Iterator[tuple[int, int]]:
    """Give the number in the grid, and the place in its block, of each PE of some blocks."""
    for block, pe, place in block_members(params, layout):
        if block in blocks:
            yield pe, place


def loaded_planes(
    load: ActLoad, tensors: Mapping[str, NDArray[np.int64]], block: int, blocks: int
) -> NDArray[np.int64]:
    """Return the planes (C, H, W) that one of ``blocks`` blocks gets, by name of their tensors."""
    shape = tensors[load.channels[0].tensor].shape[1:]
    some = [tensors[part.tensor][part.start : part.stop] for part in load.of_block(block, blocks)]
    return np.concatenate([np.zeros((0, *shape), np.int64), *some])


def encode_loads(
    params: ScnnParams, loads: Sequence[ActLoad], tensors: Mapping[str, NDArray[np.int64]]
) -> Iterator[tuple[ActLoad, EncodedTiles, range]]:
    """Compress what a run reads, (C, H, W) by name.

    Yields
    ------
    Of each load: for all blocks of PEs, or one after the other, what they get, and their numbers.
    """
    for load in loads:
        blocks = block_count(params, load.layout)
        for some in [range(at, at + 1) for at in range(blocks)] if load.dealt else [range(blocks)]:
            values = loaded_planes(load, tensors, some.start, blocks)
            tiles = encode_tiles(params, load.layout, values, load.word)
            yield load, tiles.padded(load.each(blocks) * load.layout.sy * load.layout.sx), some


def loaded_rams(
    params: ScnnParams, loads: Sequence[ActLoad], tensors: Mapping[str, NDArray[np.int64]]
) -> dict[tuple[int, str], SramData]:
    """Return what the activation RAM of each PE and its directory hold once all is loaded.

    Returns
    -------
    By number of the PE, and ``act`` or ``directory``.
    """
    widths = {
        "act": Shape.cast(act_word_layout(params)).width,
        "directory": Shape.cast(directory_layout(params)).width,
    }
    rams = {
        (pe, name): np.zeros((0, -(-width // 64)), np.uint64)
        for pe in range(params.num_pes)
        for name, width in widths.items()
    }
    for load, tiles, blocks in encode_loads(params, loads, tensors):
        directory = tiles.directory(params)
        for pe, place in members(params, load.layout, blocks):
            parts = {
                "act": (int(tiles.starts[place, 0]), tiles.words[place]),
                "directory": (load.base, directory[place][:, None]),
            }
            for name, (row, words) in parts.items():
                memory = rams[pe, name]
                grown = np.zeros((max(len(memory), row + len(words)), memory.shape[1]), np.uint64)
                grown[: len(memory)] = memory
                grown[row : row + len(words), : words.shape[1]] = words
                rams[pe, name] = grown
    return {key: SramData(words, widths[key[1]]) for key, words in rams.items()}
