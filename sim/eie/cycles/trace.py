"""What every PE worked on and when, for one input of an image."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.compiler.eie.part import EiePart
from zeroskip.sim.eie.cycles.image import image_segments, scanner
from zeroskip.sim.eie.cycles.program import PassTrace, run_program
from zeroskip.sim.eie.cycles.work import ColumnWork

__all__ = ["TracedPass", "trace_image"]


@dataclass(frozen=True, eq=False)
class TracedPass:
    """A pass of the program in time.

    Parameters
    ----------
    layer : number of its layer.
    offset : cycles of the runs of programs before this one.
    times : see :class:`.PassTrace`.
    work : cycles of each column, by position.
    columns : (positions,) index, in the layer, of the column at each position; -1 if none is.
    """

    layer: int
    offset: int
    times: PassTrace
    work: ColumnWork
    columns: NDArray[np.int64]


def trace_image(part: EiePart, vectors: Sequence[NDArray[np.int64]]) -> list[TracedPass]:
    """Trace the run of one input; of a sequence, of all its steps.

    Parameters
    ----------
    part : of a compiled network.
    vectors : as for :func:`.run_image`.

    Returns
    -------
    The passes of all segments, in order.
    """
    num_pes, nonzero = part.params.num_pes, scanner(part, vectors)
    index = [_columns_at(positions, num_pes) for positions in part.placement]
    found: list[TracedPass] = []
    offset = 0
    # Of a recurrent network, the steps are runs of the same program.
    for sample, (passes, scans) in itertools.product(range(len(vectors[0])), image_segments(part)):
        times: list[PassTrace] = []
        scanned = [nonzero(sample, scan) for scan in scans]
        spent, _ = run_program(passes, scanned, part.params, times)
        for model, time, scan in zip(passes, times, scans, strict=True):
            columns = index[scan.vector][scan.rows].reshape(-1)
            found.append(TracedPass(scan.layer, offset, time, model.work, columns))
        offset += spent
    return found


def _columns_at(positions: NDArray[np.int64], num_pes: int) -> NDArray[np.int64]:
    """Return (rows, num_pes) columns of a vector, where they stand."""
    columns = np.full((int(positions.max()) // num_pes + 1) * num_pes, -1, np.int64)
    columns[positions] = np.arange(len(positions))
    return columns.reshape(-1, num_pes)
