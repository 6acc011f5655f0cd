"""What the image of a CNN keeps in the memories of the SCNN array, and how its layers lie there."""

from dataclasses import dataclass

import numpy as np

from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ScnnDescriptor
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
    passes : of all runs.
    block : PEs across and down that share a plane and a weight stream.
    tile : largest tile of outputs of a PE, columns and rows.
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
    kc: int
    rows: int
    bus_words: int


def layer_mappings(part: ScnnPart) -> tuple[LayerMapping, ...]:
    """Say how every layer lies on the array."""
    p, found = part.params, []
    for number, layer in enumerate(part.layers):
        passes = [
            (run, descriptor)
            for run, every in enumerate(part.runs)
            for descriptor, made in zip(every.program, every.passes, strict=True)
            if made == number
        ]
        descriptors = [descriptor for _, descriptor in passes]
        found.append(
            LayerMapping(
                name=layer.name,
                runs=len({run for run, _ in passes}),
                passes=len(passes),
                block=(
                    max(min(1 << descriptor.block_x, p.pes_x) for descriptor in descriptors),
                    max(min(1 << descriptor.block_y, p.pes_y) for descriptor in descriptors),
                ),
                tile=(
                    max(descriptor.wo for descriptor in descriptors),
                    max(descriptor.ho for descriptor in descriptors),
                ),
                kc=max(descriptor.kc for descriptor in descriptors),
                rows=max(_rows(descriptor, p) for descriptor in descriptors),
                bus_words=sum(_bus_words(descriptor, p) for descriptor in descriptors),
            )
        )
    return tuple(found)


def _rows(step: ScnnDescriptor, p: ScnnParams) -> int:
    """Count the rows up to the last that a pass writes, if no activation is 0 and it may."""
    channels = ((step.groups - 1) * step.kc + step.kc_last) * step.drain
    phase = -(-step.ho // step.out_sy) * -(-step.wo // step.out_sx)
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
