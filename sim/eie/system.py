"""EIE with a port to memory, as simulation sees it."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.system.flow import FLOW as SYSTEM
from zeroskip.flow.system.flow import SystemDesign
from zeroskip.hw.common.counters import counter_addr_bits
from zeroskip.hw.eie.host import stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.eie.cycles.program import PassModel, run_program
from zeroskip.sim.eie.cycles.work import column_work
from zeroskip.sim.eie.state import EieState, RunLog
from zeroskip.sim.machine import ChipDesign, ListMachine

__all__ = ["EieLists"]


class EieLists(ListMachine):
    """EIE as command lists run it."""

    def state(self, params: EieParams) -> EieState:
        return EieState(params)

    def count_run(self, params: EieParams, run: RunLog, arrivals: NDArray[np.int64]) -> int:
        passes = [
            PassModel(
                descriptor.codebook,
                descriptor.last_code,
                descriptor.drain_rows if descriptor.drain else 0,
                column_work(streams, params),
            )
            for descriptor, streams in zip(run.program, run.streams, strict=True)
        ]
        # The passes before the first swap scan what came in.
        row_at: list[NDArray[np.int64]] = []
        for descriptor in run.program:
            row_at.append(arrivals[descriptor.src_base : descriptor.src_base + descriptor.src_rows])
            if descriptor.swap:
                break
        cycles, _ = run_program(passes, run.nonzero, params, row_at=row_at)
        return cycles

    def chip(self, params: EieParams, port: SystemParams) -> ChipDesign:
        swept = max(params.acc_addr_bits, counter_addr_bits(params, stall_classes(params)))
        return ChipDesign(SYSTEM.modules(SystemDesign(params, port)), clearing=(1 << swept) + 4)
