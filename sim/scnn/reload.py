"""Count the cycles that the host takes between the runs of an image for SCNN."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ActLoad, ActStore
from zeroskip.compiler.scnn.tiles import EncodedTiles, encode_tiles
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.reload import READ_CYCLES, sram_reloads
from zeroskip.sim.scnn.loads import block_members, encode_loads, members

__all__ = ["conv_reload_cycles"]

Tensors = Mapping[str, NDArray[np.int64]]


def conv_reload_cycles(part: ScnnPart, tensors: Tensors) -> NDArray[np.int64]:
    """Return, per input, the cycles that :class:`.ScnnResult` counts.

    Parameters
    ----------
    part : of a compiled network.
    tensors : (n, C, H, W) int64 by name: the input, and what every layer makes of it.

    Returns
    -------
    (n,) int64. Before the second run and each later one, the host loads SRAMs and activations;
    after each but the last it reads what was stored.
    """
    samples = len(next(iter(tensors.values())))
    # Weights come while runs take them, through a port of their own.
    srams = [{name: sram for name, sram in run.items() if name != "weights"} for run in part.loads]
    cycles = sram_reloads(srams, samples)
    for sample in range(samples):
        here = {name: tensor[sample] for name, tensor in tensors.items()}
        for number, run in enumerate(part.runs):
            if number:
                cycles[sample] += sum(_loaded(part.params, run.loads, here))
            if number < len(part.runs) - 1:
                cycles[sample] += READ_CYCLES * sum(
                    _stored(part.params, store, here) for store in run.stores
                )
    return cycles


def _loaded(params: ScnnParams, loads: tuple[ActLoad, ...], tensors: Tensors) -> Iterator[int]:
    """Count what each load writes, a row per cycle."""
    for load, tiles, blocks in encode_loads(params, loads, tensors):
        yield sum(_held(tiles, place) for _, place in members(params, load.layout, blocks))


def _stored(params: ScnnParams, store: ActStore, tensors: Tensors) -> int:
    """Count the rows that the host reads of a store."""
    blocks = [
        encode_tiles(params, store.layout, tensors[block.tensor][block.start : block.stop])
        if block.start < block.stop
        else None
        for block in store.blocks
    ]
    return sum(
        _held(tiles, place)
        for block, _, place in block_members(params, store.layout)
        if block < len(blocks) and (tiles := blocks[block]) is not None
    )


def _held(tiles: EncodedTiles, place: int) -> int:
    """Count the words and directory entries of a PE."""
    return len(tiles.words[place]) + tiles.starts.shape[1]
