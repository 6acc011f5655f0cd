"""A run of a program: the compute phases, and what the control unit spends between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.eie.formats import StallClass
from hw.eie.params import EieParams
from sim.cycles.machine import compute
from sim.cycles.work import ColumnWork

__all__ = ["PassModel", "run_program"]

# Cycles from the request for a descriptor until it can be taken: two reads, one register.
_DESCRIPTOR_READ = 3
# Cycles of a drain beyond its rows: two more stages.
_DRAIN_STAGES = 2


@dataclass(frozen=True, eq=False)
class PassModel:
    """A pass, as far as time depends on it.

    Parameters
    ----------
    codebook : its number.
    drain_rows : accumulators to drain, 0 to keep their sums.
    work : of its columns.
    """

    codebook: int
    drain_rows: int
    work: ColumnWork


def run_program(
    passes: Sequence[PassModel], nonzero: Sequence[NDArray[np.bool_]], params: EieParams
) -> tuple[int, NDArray[np.int64]]:
    """Run passes one after the other.

    Parameters
    ----------
    passes : at least one.
    nonzero : per pass (rows, num_pes), which of the scanned activations are not 0.
    params : of the array.

    Returns
    -------
    Cycles from start to the end of the program, and (passes, num_pes, stall classes) of them.
    """
    counters = np.zeros((len(passes), params.num_pes, len(StallClass)), np.int64)
    # The cycle of START asks for the first descriptor.
    now, asked = 1, 0
    held, complete = None, 0
    for number, (one, scanned) in enumerate(zip(passes, nonzero, strict=True)):
        taken = max(now, asked + _DESCRIPTOR_READ)
        setup = taken + 1 - now + (number == 0)
        asked = taken
        if held != one.codebook:
            held, complete = one.codebook, taken + params.num_codes + 2
        now = taken + 1
        columns = np.flatnonzero(scanned).astype(np.int32)
        counters[number, :, StallClass.SETUP] = setup
        now += compute(
            one.work.issue,
            one.work.padding,
            one.work.after,
            columns,
            scanned.sum(axis=1, dtype=np.int32),
            params.queue_depth,
            params.pointers_first,
            max(0, complete - now),
            counters[number],
        )
        if one.drain_rows:
            # The next codebook is loaded meanwhile, once its descriptor is there.
            if number + 1 < len(passes) and passes[number + 1].codebook != held:
                held = passes[number + 1].codebook
                complete = max(now, asked + _DESCRIPTOR_READ) + params.num_codes + 2
            counters[number, :, StallClass.DRAIN] = one.drain_rows + _DRAIN_STAGES
            now += one.drain_rows + _DRAIN_STAGES
    return now, counters
