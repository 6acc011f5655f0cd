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
from zeroskip.sim.eie.state import RunLog
from zeroskip.sim.machine import ChipDesign

__all__ = ["count_run", "eie_chip"]


def count_run(params: EieParams, log: RunLog, arrivals: NDArray[np.int64]) -> int:
    """Count the cycles of a run, see :meth:`.Machine.count_run`."""
    passes = [
        PassModel(
            descriptor.codebook,
            descriptor.last_code,
            descriptor.drain_rows if descriptor.drain else 0,
            column_work(streams, params),
        )
        for descriptor, streams in zip(log.program, log.streams, strict=True)
    ]
    # The passes before the first swap scan what came in.
    row_at: list[NDArray[np.int64]] = []
    for descriptor in log.program:
        row_at.append(arrivals[descriptor.src_base : descriptor.src_base + descriptor.src_rows])
        if descriptor.swap:
            break
    cycles, _ = run_program(passes, log.nonzero, params, row_at=row_at)
    return cycles


def eie_chip(params: EieParams, port: SystemParams) -> ChipDesign:
    """Make the chip, see :meth:`.Machine.chip`."""
    swept = max(params.acc_addr_bits, counter_addr_bits(params, stall_classes(params)))
    return ChipDesign(SYSTEM.modules(SystemDesign(params, port)), clearing=(1 << swept) + 4)
