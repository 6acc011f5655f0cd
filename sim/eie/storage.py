"""What an image keeps in the memories of the array, and how evenly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from zeroskip.base.errors import ImageError
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.cells import SUMS
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.formats import pointer_layout
from zeroskip.sim.eie.streams import (
    ColumnStream,
    column_streams,
    held,
    image_loadings,
    read_program,
)
from zeroskip.sim.memories import MemoryUse
from zeroskip.sim.reload import READ_CYCLES, sram_reloads

__all__ = [
    "LayerStorage",
    "describe_bits",
    "layer_storage",
    "memory_use",
    "per_nonzero",
    "pointer_bits",
    "reload_cycles",
    "stored_bits",
]


@dataclass(frozen=True, eq=False)
class LayerStorage:
    """Entries of a layer in the Spmat SRAMs.

    Parameters
    ----------
    name : of the layer.
    rows, cols, nnz : of its matrix; nnz counts non-zero weights.
    entries : (num_pes,) stored entries, padding included.
    padding : (num_pes,) entries that stand for no weight, only for zeros.
    """

    name: str
    rows: int
    cols: int
    nnz: int
    entries: NDArray[np.int64]
    padding: NDArray[np.int64]

    @property
    def balance(self) -> float:
        """Mean over largest number of entries per PE: 1 if all PEs have the same work."""
        return float(self.entries.mean() / self.entries.max()) if self.entries.any() else 1.0


def layer_storage(part: EiePart) -> tuple[LayerStorage, ...]:
    """Count the entries of each layer by what the SRAMs hold.

    Raises
    ------
    ImageError
        If pointers or entries make no sense.
    """
    passes: list[Sequence[ColumnStream]] = []
    try:
        for words in held(image_loadings(part)):
            program = read_program(words["program"], part.params)
            passes += column_streams(words, part.params, program)
    except ValueError as error:
        raise ImageError(f"the image is damaged: {error}") from error
    shape = len(part.layers), part.params.num_pes
    entries, padding = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for number, streams in zip(part.passes, passes, strict=True):
        for pe, stream in enumerate(streams):
            codes = stream.codes[stream.pointers[0] : stream.pointers[-1]]
            entries[number, pe] += len(codes)
            padding[number, pe] += np.count_nonzero(codes == 0)
    return tuple(
        LayerStorage(
            layer.name, layer.shape[0], layer.shape[1], layer.nonzeros, entries[i], padding[i]
        )
        for i, layer in enumerate(part.layers)
    )


def memory_use(part: EiePart) -> tuple[MemoryUse, ...]:
    """Count the rows that an image uses of every memory."""
    p = part.params

    acts = min(max(part.heights), p.num_acts)
    accs = max(
        descriptor.drain_rows * (1 if descriptor.cell == CellKind.NONE else SUMS)
        for descriptor in part.program
    )
    references = sum(step.src_rows for step in part.program if step.delta)
    states = sum(step.drain_rows for step in part.program if step.cell != CellKind.NONE)
    every = np.ones(p.num_pes, np.int64)
    return (
        MemoryUse("spmat_words", _loaded(part, "spmat").max(axis=0), p.spmat_words),
        MemoryUse("num_pointers", _loaded(part, "ptr_even", "ptr_odd").max(axis=0), p.num_pointers),
        MemoryUse("num_biases", _loaded(part, "bias").max(axis=0), p.num_biases),
        MemoryUse("num_acts", acts * every, p.num_acts),
        MemoryUse("num_accs", accs * every, p.num_accs),
        *([MemoryUse("num_states", states * every, p.num_states)] if p.cells else []),
        *([MemoryUse("num_references", references * every, p.num_references)] if p.delta else []),
        MemoryUse(
            "num_descriptors",
            np.array([max(len(segment.program) for segment in part.segments)]),
            p.num_descriptors,
        ),
    )


def stored_bits(part: EiePart) -> dict[str, int]:
    """Count the bits of SRAM rows in use that say where which weight is."""
    p = part.params
    pointer = Shape.cast(pointer_layout(p)).width
    return {
        "entries": int(_loaded(part, "spmat").sum()) * p.word_bits,
        "pointers": int(_loaded(part, "ptr_even", "ptr_odd").sum()) * pointer,
        "codebooks": len(part.layers) * p.codebook_bits,
    }


def pointer_bits(part: EiePart, layer: int) -> int:
    """Count the bits of the pointers that the passes of a layer read."""
    p = part.params
    columns = [
        descriptor.src_rows * p.num_pes
        for descriptor, number in zip(part.program, part.passes, strict=True)
        if number == layer
    ]
    width = Shape.cast(pointer_layout(p)).width
    # Each column ends where the next begins; the last has a pointer more.
    return p.num_pes * sum(count + 1 for count in columns) * width


def per_nonzero(bits: Mapping[str, int], nnz: int) -> dict[str, float]:
    """Return :func:`stored_bits` over the number of non-zero weights, and their ``sum``."""
    parts = {name: count / nnz for name, count in bits.items()}
    return {**parts, "sum": sum(parts.values())}


def _loaded(part: EiePart, *names: str) -> NDArray[np.int64]:
    """Count the rows that each segment loads to memories of each PE: (segments, num_pes)."""
    return np.array([
        [
            sum(
                len(segment.srams[path].words)
                for path in (f"pe_{pe}/{name}" for name in names)
                if path in segment.srams
            )
            for pe in range(part.params.num_pes)
        ]
        for segment in part.segments
    ])


def describe_bits(per_nonzero: Mapping[str, float]) -> str:
    """Write stored bits per non-zero weight: what they are of, and their sum."""
    parts = [f"{name} {bits:.2f}" for name, bits in per_nonzero.items() if name != "sum"]
    return f"{' + '.join(parts)} = {per_nonzero['sum']:.2f}"


def reload_cycles(part: EiePart, samples: int) -> NDArray[np.int64]:
    """Return, per input, the cycles of the host's commands between segments: (n,).

    Before the second segment and each later one, the host loads SRAMs and activations; after
    each but the last, it may store activations.
    """
    rows = sum(segment.load[1] for segment in part.segments[1:] if segment.load)
    rows += READ_CYCLES * sum(segment.store[1] for segment in part.segments[:-1] if segment.store)
    return sram_reloads(part.loads, samples) + rows * part.params.num_pes
