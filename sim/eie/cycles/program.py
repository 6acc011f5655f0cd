"""A run of a program: the compute phases, and what the control unit spends between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.control import CELL_STAGES, SLOTS
from zeroskip.hw.eie.host import StallClass, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.machine import compute
from zeroskip.sim.eie.cycles.work import ColumnWork

__all__ = ["PassModel", "PassTrace", "read_ahead", "run_program"]

# Cycles from the request for a descriptor until it is there: two reads, one register.
_DESCRIPTOR_READ = 3
# Cycles of a drain beyond its rows: two more stages.
_DRAIN_STAGES = 2


@dataclass(frozen=True, eq=False)
class PassModel:
    """A pass, as far as time depends on it.

    Parameters
    ----------
    codebook, weights : its number, and weights of it that are loaded; None of plain weights, of
        which none are.
    drain_rows : accumulators to drain, or hidden units of a cell; 0 to keep their sums.
    work : of its columns.
    cell : whose hidden units are drained.
    pointer : number of the first one's pointer.
    """

    codebook: int | None
    weights: int
    drain_rows: int
    work: ColumnWork
    cell: CellKind = CellKind.NONE
    pointer: int = 0

    @property
    def is_cell(self) -> bool:
        """Hidden units are drained."""
        return self.cell != CellKind.NONE

    @property
    def drain_cycles(self) -> int:
        """Cycles of the drain."""
        if not self.drain_rows:
            return 0
        if self.is_cell:
            return SLOTS[self.cell] * (self.drain_rows - 1) + CELL_STAGES[self.cell] + 1
        return self.drain_rows + _DRAIN_STAGES


@dataclass(frozen=True, eq=False)
class PassTrace:
    """Timeline of a pass, in cycles from the start of the program.

    Parameters
    ----------
    start : the control unit waits for the descriptor and its codebook.
    compute : the first activation may be broadcast.
    drain : all PEs are done.
    end : the outputs are written, if the pass drains.
    entered, popped, issued : (positions, num_pes) int64, the cycle in which a column enters a
        PE's queue, leaves it, and issues its last entry; -1 if it does not.
    """

    start: int
    compute: int
    drain: int
    end: int
    entered: NDArray[np.int64]
    popped: NDArray[np.int64]
    issued: NDArray[np.int64]


def run_program(
    passes: Sequence[PassModel],
    nonzero: Sequence[NDArray[np.bool_]],
    params: EieParams,
    trace: list[PassTrace] | None = None,
    *,
    row_at: Sequence[NDArray[np.int64] | None] = (),
    times: list[tuple[int, int]] | None = None,
    ready: int = 0,
    saturated: Sequence[NDArray[np.int64] | None] = (),
) -> tuple[int, NDArray[np.int64]]:
    """Run passes one after the other.

    Parameters
    ----------
    passes : at least one.
    nonzero : per pass (rows, num_pes), which of the scanned activations are not 0.
    params : of the array.
    trace : gets a trace of each pass; without it, none is recorded.
    row_at : of the first passes, (rows,) the cycle in which each scanned row streams in; below 0
        before the program starts. None where all rows are there. The cycle after ``Command.START``
        took effect is 0, as of the counters.
    times : gets of each pass the cycle in which its scan begins, and that in which its drain does.
    ready : the cycle in which the first descriptor and its codebook are there, see
        :func:`read_ahead`; behind a clearing, that is before the program starts.

    saturated : per pass (num_pes,), how many states were beyond their range; None if none can be.

    Returns
    -------
    Cycles from start to the end of the program, which is the first cycle in which the array is
    not running, and (passes, num_pes, stall classes) of them.
    """
    counters = np.zeros((len(passes), params.num_pes, len(stall_classes(params))), np.int64)
    now = 1
    for number, (model, scanned) in enumerate(zip(passes, nonzero, strict=True)):
        start = now if number else 0
        turn = max(now, ready)
        counters[number, :, StallClass.SETUP] = turn + 1 - start
        begin = turn + 1
        following = passes[number + 1] if number + 1 < len(passes) else model
        ready = read_ahead(turn, model, following)
        arrivals = row_at[number] if number < len(row_at) else None
        if arrivals is None:
            arrivals = np.full(len(scanned), -1)
        log = np.full((0, 0, 0) if trace is None else (3, *model.work.issue.shape), -1, np.int32)
        drain = begin + compute(
            model.work.issue,
            model.work.padding,
            model.work.after,
            np.flatnonzero(scanned).astype(np.int32),
            scanned.sum(axis=1, dtype=np.int32),
            params.queue_depth,
            params.pointers_first,
            counters[number],
            log,
            arrivals - begin,
        )
        if times is not None:
            times.append((begin, drain))
        now = drain
        counters[number, :, StallClass.DRAIN] = model.drain_cycles
        now += model.drain_cycles
        beyond = saturated[number] if number < len(saturated) else None
        if beyond is not None:
            counters[number, :, StallClass.DRAIN] -= beyond
            counters[number, :, StallClass.SATURATED] = beyond
        if trace is not None:
            logged = np.where(log < 0, -1, log.astype(np.int64) + begin)
            trace.append(PassTrace(start, begin, drain, now, *logged))
    return now, counters


def read_ahead(asked: int, held: PassModel | None, model: PassModel) -> int:
    """Tell in which cycle a descriptor and its codebook are there.

    Parameters
    ----------
    asked : the cycle in which the descriptor is asked for: that before the pass ahead of it
        begins, of a run's first descriptor the last pass of the run before; or the second behind
        that in which a word of program or codebooks was taken at the host port.
    held : a pass whose codebook is there; None if none is.
    model : the pass of the descriptor.
    """
    there = asked + _DESCRIPTOR_READ
    if model.codebook is None or (held is not None and held.codebook == model.codebook):
        return there
    # The first is read in the next cycle; the last is there two cycles behind that of its read.
    return there + (model.weights + 2 if model.weights else 1)
