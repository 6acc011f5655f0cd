"""What the image of a CNN keeps in the memories of the SCNN array, and how its layers lie there."""

from dataclasses import dataclass

import numpy as np

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.fuse import made_layer
from zeroskip.compiler.scnn.run import ScnnDescriptor, written_tile
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.sim.memories import MemoryUse

__all__ = ["LayerMapping", "layer_mappings", "scnn_memory_use"]


@dataclass(frozen=True)
class LayerMapping:
    """How a layer lies on the array.

    Parameters
    ----------
    name : of the layer.
    runs : in which it is at work.
    passes : of all runs; 0 of a pooling that the passes of the layer before make.
    block : PEs across and down that share a plane and a weight stream.
    tile : largest tile of outputs of a PE, columns and rows.
    fused : passes of the layer before make some of it, or all.
    kc : most output channels of a group.
    rows : of a PE's activation RAM up to the last that it writes, if no activation is 0, or that it
        may write.
    bus_words : that each position gets over the bus, if none is 0; 0 if PEs read their own RAM.
    """

    name: str
    runs: int
    passes: int
    block: tuple[int, int]
    tile: tuple[int, int]
    fused: bool
    kc: int
    rows: int
    bus_words: int


def layer_mappings(part: ScnnPart) -> tuple[LayerMapping, ...]:
    """Say how every layer lies on the array."""
    p, found = part.params, []
    every = [
        (run, step, layer, made_layer(part.graph, layer, output))
        for run, one in enumerate(part.runs)
        for step, layer, output in zip(one.program, one.passes, one.outputs, strict=True)
    ]
    for number, layer in enumerate(part.layers):
        own, along = (
            [(run, step) for run, step, *layers in every if layers[which] == number]
            for which in (0, 1)
        )
        fused = [one for one in along if one not in own]
        tiles = [(step.ho, step.wo) for _, step in own]
        tiles += [written_tile(step) for _, step in fused]
        descriptors = [step for _, step in own + fused]
        found.append(
            LayerMapping(
                name=layer.name,
                runs=len({run for run, _ in own + fused}),
                passes=len(own),
                block=(
                    max(min(1 << descriptor.block_x, p.pes_x) for descriptor in descriptors),
                    max(min(1 << descriptor.block_y, p.pes_y) for descriptor in descriptors),
                ),
                tile=(max(columns for _, columns in tiles), max(rows for rows, _ in tiles)),
                fused=bool(fused),
                kc=max(descriptor.kc for descriptor in descriptors),
                rows=max(_rows(descriptor, p) for descriptor in descriptors),
                bus_words=sum(_bus_words(step, p) for _, step in own),
            )
        )
    return tuple(found)


def _rows(step: ScnnDescriptor, p: ScnnParams) -> int:
    """Count the rows up to the last that a pass writes, if no activation is 0 and it may."""
    channels = ((step.groups - 1) * step.kc + step.kc_last) * step.drain
    tile_h, tile_w = written_tile(step)
    phase = -(-tile_h // step.out_sy) * -(-tile_w // step.out_sx)
    rows = channels * step.out_sy * step.out_sx * -(-phase // p.mult_i)
    return min(step.dst_word + rows, step.dst_limit)


def _bus_words(step: ScnnDescriptor, p: ScnnParams) -> int:
    """Count the words that a position gets in all groups of a pass, if no activation is 0."""
    if not step.bus:
        return 0
    tiles = 1 << step.src_block_x + step.src_block_y - step.block_x - step.block_y
    owners = -(-p.pes_x >> step.src_block_x) * -(-p.pes_y >> step.src_block_y)
    words = tiles * -(-step.ho * step.wo // (tiles * p.mult_i))
    return step.groups * owners * step.src_entries * words


def scnn_memory_use(part: ScnnPart) -> tuple[MemoryUse, ...]:
    """Count the rows that an image uses of every memory, at most at a time."""
    p = part.params

    def loaded(name: str) -> list[int]:
        """Count the rows of each stream's memory, or of the one of the array."""
        paths = [name] if name in ("tap", "codebook") else []
        paths = paths or [f"stream_{stream}/{name}" for stream in range(p.num_streams)]
        return [
            max((len(run.srams[path].words) for run in part.runs if path in run.srams), default=0)
            for path in paths
        ]

    books = [-(-rows // p.num_codes) for rows in loaded("codebook")]
    descriptors = [max(len(run.program) for run in part.runs)]
    rows = [max(mapping.rows for mapping in layer_mappings(part))]
    return tuple(
        MemoryUse(name, np.array(used, np.int64), size)
        for name, used, size in (
            ("act_words", rows, p.act_words),
            ("num_biases", loaded("bias"), p.num_biases),
            ("num_taps", loaded("tap"), p.num_taps),
            ("num_codebooks", books, p.num_codebooks),
            ("num_descriptors", descriptors, p.num_descriptors),
        )
    )
