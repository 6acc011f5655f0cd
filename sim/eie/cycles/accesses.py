"""Count what PEs read and write of their memories, from what they work on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.engine import EiePart
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.image import image_segments, placed_inputs
from zeroskip.sim.eie.cycles.program import PassModel

__all__ = ["Accesses", "pass_accesses", "program_accesses"]


@dataclass(frozen=True)
class Accesses:
    """How often something takes place, in all PEs together.

    Parameters
    ----------
    scanned : activations that are read of a source file: a row is one in each PE.
    columns : activations that are broadcast; each reaches all PEs.
    pointers : reads of a bank of pointers.
    queued : columns that enter a queue.
    words : Spmat words that are read.
    issued : entries that are issued, padding included.
    useful : entries with a weight: each is a product, and a read and a write of an accumulator.
    drained : accumulators that become outputs: a read and a write of each, a read of a bias, and
        a write of an activation.
    """

    scanned: float = 0
    columns: float = 0
    pointers: float = 0
    queued: float = 0
    words: float = 0
    issued: float = 0
    useful: float = 0
    drained: float = 0

    def __add__(self, other: "Accesses") -> "Accesses":
        """Add up."""
        counts = asdict(other)
        return Accesses(**{name: count + counts[name] for name, count in asdict(self).items()})


def pass_accesses(model: PassModel, scanned: NDArray[np.bool_], params: EieParams) -> Accesses:
    """Count the accesses of a pass.

    Parameters
    ----------
    model : what the PEs have to do for each column.
    scanned : (rows, num_pes), which of the scanned activations are not 0.
    params : of the array.
    """
    columns, work = np.flatnonzero(scanned), model.work
    issued, padding = work.issue[columns].sum(), work.padding[columns].sum()
    taken = len(columns) * params.num_pes
    filled = np.count_nonzero(work.entries[columns])
    return Accesses(
        scanned=scanned.size,
        columns=len(columns),
        pointers=2 * taken,
        queued=int(filled) if params.pointers_first else taken,
        words=int(work.words[columns].sum()),
        issued=int(issued),
        useful=int(issued - padding),
        drained=model.drain_rows * params.num_pes,
    )


def program_accesses(part: EiePart, layer_inputs: Sequence[NDArray[np.int64]]) -> list[Accesses]:
    """Count the accesses of each layer, all inputs together.

    Parameters are those of :func:`.run_image`.
    """
    vectors = placed_inputs(part, layer_inputs)
    found = [Accesses()] * len(part.layers)
    for passes, scans in image_segments(part):
        for model, scan in zip(passes, scans, strict=True):
            for sample in vectors[scan.vector][:, scan.rows]:
                found[scan.layer] += pass_accesses(model, sample, part.params)
    return found
