"""Count what PEs read and write of their memories, from what they work on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.ir.cells import SUMS
from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.formats import PEEPHOLE_BIASES
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.image import image_segments, scanner
from zeroskip.sim.eie.cycles.program import PassModel
from zeroskip.sim.eie.cycles.work import ColumnWork

__all__ = ["Accesses", "Held", "pass_accesses", "program_accesses"]

_NOTHING = -1


@dataclass(frozen=True)
class Accesses:
    """How often something takes place, in all PEs together.

    Parameters
    ----------
    scanned : activations that are read of a source file: a row is one in each PE.
    columns : activations that are broadcast; each reaches all PEs.
    pointers : reads of a bank of pointers; one that is there is not read again.
    queued : columns that enter a queue.
    words : Spmat words that are read; one in which the column before it ended is there.
    issued : entries that are issued, padding included.
    useful : entries with a weight: each is a product, and a read and a write of an accumulator.
    drained : accumulators that become outputs, or arguments of a cell's functions: a read and a
        write of each, and a read of a bias.
    outputs : activations that are written.
    units : hidden units that are drained: five values of the table, three products, and a read and
        a write of a state, see :class:`.Cell`.
    peepholes : of these, such as have peepholes: three products more, of weights that are read of
        the biases, and two more reads of a state.
    compared : of the activations that are scanned, those of which changes are: each with a read of
        its reference.
    renewed : references that are written.
    kept, resumed : words that take the place of a bias: those that are written, and read.
    """

    scanned: float = 0
    columns: float = 0
    pointers: float = 0
    queued: float = 0
    words: float = 0
    issued: float = 0
    useful: float = 0
    drained: float = 0
    outputs: float = 0
    units: float = 0
    peepholes: float = 0
    compared: float = 0
    renewed: float = 0
    kept: float = 0
    resumed: float = 0

    def __add__(self, other: "Accesses") -> "Accesses":
        """Add up."""
        counts = asdict(other)
        return Accesses(**{name: count + counts[name] for name, count in asdict(self).items()})


class Held:
    """What SRAMs of PEs have at their outputs; a row that is there is not read again.

    Parameters
    ----------
    params : of the array, whose memories were just loaded.
    """

    def __init__(self, params: EieParams) -> None:
        self._p = params
        self._words = np.full(params.num_pes, _NOTHING)
        self._pointers = {parity: _NOTHING for parity in range(2)}

    def pointers(self, columns: NDArray[np.int64]) -> int:
        """Count the reads of both banks of all PEs for pointers of these numbers, in order."""
        reads = 0
        for parity in self._pointers:
            # The bank of even pointers has the end of an odd column.
            rows = columns + (1 - parity) >> 1
            before = np.concatenate([[self._pointers[parity]], rows[:-1]])
            reads += int(np.count_nonzero(rows != before))
            if rows.size:
                self._pointers[parity] = int(rows[-1])
        return reads * self._p.num_pes

    def words(self, work: ColumnWork, columns: NDArray[np.int64]) -> int:
        """Count the reads of words of all PEs for columns at these positions, in order."""
        count, first = work.words[columns], work.first[columns]
        reads = 0
        for pe in range(self._p.num_pes):
            filled = count[:, pe] > 0
            begin = first[filled, pe].astype(np.int64)
            end = begin + count[filled, pe] - 1
            before = np.concatenate([[self._words[pe]], end[:-1]])
            reads += int(count[:, pe].sum() - np.count_nonzero(begin == before[: len(begin)]))
            if end.size:
                self._words[pe] = end[-1]
        return reads


def pass_accesses(
    model: PassModel,
    nonzero: NDArray[np.bool_],
    params: EieParams,
    held: Held,
    *,
    delta: bool = False,
    begins: bool = False,
) -> Accesses:
    """Count the accesses of a pass.

    Parameters
    ----------
    model : what the PEs have to do for each column.
    nonzero : (rows, num_pes), which of the scanned activations are not 0.
    params : of the array.
    held : what the SRAMs have at their outputs.
    delta : it is over changes.
    begins : its run begins a sequence.
    """
    columns, work = np.flatnonzero(nonzero), model.work
    issued, padding = work.issue[columns].sum(), work.padding[columns].sum()
    filled = np.count_nonzero(work.entries[columns])
    outputs = model.drain_rows * params.num_pes
    drained = outputs * (SUMS if model.is_cell else 1)
    is_peephole = model.cell == CellKind.PEEPHOLE
    # Weights of peepholes go the way of biases.
    kept = delta * (drained + is_peephole * len(PEEPHOLE_BIASES["weights"]) * outputs)
    compared = nonzero.size * delta
    return Accesses(
        scanned=nonzero.size,
        columns=len(columns),
        pointers=held.pointers(columns + model.pointer),
        queued=int(filled) if params.pointers_first else len(columns) * params.num_pes,
        words=held.words(work, columns),
        issued=int(issued),
        useful=int(issued - padding),
        drained=drained,
        outputs=outputs,
        units=outputs if model.is_cell else 0,
        peepholes=outputs * is_peephole,
        compared=compared,
        renewed=compared if begins else len(columns) * delta,
        kept=kept,
        resumed=0 if begins else kept,
    )


def program_accesses(part: EiePart, vectors: Sequence[NDArray[np.int64]]) -> list[Accesses]:
    """Count the accesses of each layer, all inputs together.

    Parameters are those of :func:`.run_image`.
    """
    nonzero, samples = scanner(part, vectors), len(vectors[0])
    begins = frozenset(part.graph.sequences(samples).starts.tolist())
    found, held = [Accesses()] * len(part.layers), Held(part.params)
    for sample in range(samples):
        for passes, scans in image_segments(part):
            # Nothing is loaded between the steps of a sequence.
            if sample in begins:
                held = Held(part.params)
            for model, scan in zip(passes, scans, strict=True):
                scanned = nonzero(sample, scan)
                found[scan.layer] += pass_accesses(
                    model,
                    scanned,
                    part.params,
                    held,
                    delta=scan.threshold is not None,
                    begins=sample in begins,
                )
    return found
