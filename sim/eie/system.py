"""EIE with a port to memory, as simulation sees it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hw.common.formats import CellKind
from zeroskip.hw.eie.ccu import sweep_bits
from zeroskip.hw.eie.control import CELL_STAGES, SLOTS
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.eie.cycles.program import PassModel, read_ahead, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.state import EieState, RunLog
from zeroskip.sim.machine import ListMachine
from zeroskip.sim.system.state import ArrayCycles, RunCycles
from zeroskip.sim.system.units import ChipStates

__all__ = ["EieLists"]


class EieLists(ListMachine):
    """EIE as command lists run it."""

    def state(self, params: EieParams, port: SystemParams) -> EieState:
        del port
        return EieState(params)

    def array_cycles(self, params: EieParams, weights: Sequence[Any]) -> ArrayCycles:
        del weights
        return _EieCycles(params)

    def clearing(self, params: EieParams) -> int:
        return (1 << sweep_bits(params)) + 4


class _EieCycles(ArrayCycles):
    """Counts the cycles of runs, one after the other, on an array that has been cleared."""

    def __init__(self, params: EieParams) -> None:
        self._p = params
        # The last pass, and the cycle before it began.
        self._last: PassModel | None = None
        self._turn = 0

    def clear(self, weights: int) -> None:
        del weights
        self._last, self._turn = None, 0

    def run(
        self,
        run: RunLog,
        arrivals: NDArray[np.int64],
        begin: int,
        loaded: int,
        chip: ChipStates,
    ) -> RunCycles:
        """Count the cycles of a run, see :meth:`.ArrayCycles.run`."""
        del chip
        passes = [
            PassModel(
                None if self._p.plain else descriptor.codebook,
                descriptor.last_code,
                descriptor.drain_rows if descriptor.drain else 0,
                column_work(streams, self._p),
                CellKind(descriptor.get("cell")),
            )
            for descriptor, streams in zip(run.program, run.streams, strict=True)
        ]
        # The passes before the first swap scan what came in.
        row_at: list[NDArray[np.int64] | None] = []
        for descriptor in run.program:
            if descriptor.get("recur"):
                row_at.append(None)
                continue
            row_at.append(arrivals[descriptor.src_base : descriptor.src_base + descriptor.src_rows])
            if descriptor.swap:
                break
        if self._last is None or loaded > self._turn:
            ready = read_ahead(loaded + 2 - begin, None, passes[0])
        else:
            ready = read_ahead(self._turn - begin, self._last, passes[0])
        times: list[tuple[int, int]] = []
        cycles, _ = run_program(
            passes,
            run.nonzero,
            self._p,
            row_at=row_at,
            ready=ready,
            times=times,
            saturated=run.saturated,
        )
        self._last, self._turn = passes[-1], begin + times[-1][0] - 1
        drains = np.array([drain for _, drain in times])
        made = np.zeros(self._p.num_acts, np.int64)
        for model, descriptor, drain in zip(passes, run.program, drains, strict=True):
            rows = np.arange(model.drain_rows)
            if model.is_cell:
                first = drain + CELL_STAGES[model.cell] + 1
                made[descriptor.dst_base + rows] = first + SLOTS[model.cell] * rows
                continue
            # It is read, added to its bias, and written; files of other layers are none's concern.
            made[descriptor.dst_base + rows] = drain + rows + 3
        return RunCycles(cycles, drains, made)
