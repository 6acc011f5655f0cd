"""A run of a program: the compute phases, and what the control unit spends between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.eie.host import StallClass, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.sim.eie.cycles.machine import compute
from zeroskip.sim.eie.cycles.work import ColumnWork

__all__ = ["PassModel", "PassTrace", "run_program"]

# Cycles from the request for a descriptor until it can be taken: two reads, one register.
_DESCRIPTOR_READ = 3
# Cycles of a drain beyond its rows: two more stages.
_DRAIN_STAGES = 2


@dataclass(frozen=True, eq=False)
class PassModel:
    """A pass, as far as time depends on it.

    Parameters
    ----------
    codebook, weights : its number, and weights of it that are loaded.
    drain_rows : accumulators to drain, 0 to keep their sums.
    work : of its columns.
    """

    codebook: int
    weights: int
    drain_rows: int
    work: ColumnWork


@dataclass(frozen=True, eq=False)
class PassTrace:
    """Timeline of a pass, in cycles from the start of the program.

    Parameters
    ----------
    start : the control unit waits for the descriptor.
    compute : the first activation may be broadcast.
    ready : the codebook is complete, so that PEs may issue; not before ``compute``.
    drain : all PEs are done.
    end : the outputs are written, if the pass drains.
    entered, popped, issued : (positions, num_pes) int64, the cycle in which a column enters a
        PE's queue, leaves it, and issues its last entry; -1 if it does not.
    """

    start: int
    compute: int
    ready: int
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
    begins: list[int] | None = None,
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
    begins : gets the cycle in which the scan of each pass begins.

    Returns
    -------
    Cycles from start to the end of the program, which is the first cycle in which the array is
    not running, and (passes, num_pes, stall classes) of them.
    """
    counters = np.zeros((len(passes), params.num_pes, len(stall_classes(params))), np.int64)
    # The cycle of START asks for the first descriptor.
    now, asked = 1, 0
    codebook, complete = None, 0
    for number, (model, scanned) in enumerate(zip(passes, nonzero, strict=True)):
        start = now if number else 0
        taken = max(now, asked + _DESCRIPTOR_READ)
        setup = taken + 1 - now + (number == 0)
        asked = taken
        if codebook != model.codebook:
            codebook, complete = model.codebook, taken + _load(model)
        now = taken + 1
        columns = np.flatnonzero(scanned).astype(np.int32)
        counters[number, :, StallClass.SETUP] = setup
        begin, hold = now, max(0, complete - now)
        arrivals = row_at[number] if number < len(row_at) else None
        if begins is not None:
            begins.append(begin)
        log = None if trace is None else np.full((3, *model.work.issue.shape), -1, np.int32)
        now += compute(
            model.work.issue,
            model.work.padding,
            model.work.after,
            columns,
            scanned.sum(axis=1, dtype=np.int32),
            params.queue_depth,
            params.pointers_first,
            hold,
            counters[number],
            log,
            None if arrivals is None else arrivals - begin,
        )
        drain = now
        if model.drain_rows:
            # The next codebook is loaded meanwhile, once its descriptor is there.
            after = passes[number + 1] if number + 1 < len(passes) else model
            if after.codebook != codebook:
                codebook = after.codebook
                complete = max(now, asked + _DESCRIPTOR_READ) + _load(after)
            counters[number, :, StallClass.DRAIN] = model.drain_rows + _DRAIN_STAGES
            now += model.drain_rows + _DRAIN_STAGES
        if trace is not None and log is not None:
            times = np.where(log < 0, -1, log.astype(np.int64) + begin)
            trace.append(PassTrace(start, begin, begin + hold, drain, now, *times))
    return now, counters


def _load(model: PassModel) -> int:
    """Count the cycles from the request for a codebook until PEs may look weights up in it."""
    return model.weights + 2 if model.weights else 0
