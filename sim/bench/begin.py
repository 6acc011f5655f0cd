"""Begin a bench: read its job, start clock and reset, record the outputs."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.types import LogicArray

from zeroskip.sim.bench.four_state import start_watch

__all__ = ["PERIOD_NS", "read_job", "record", "reset", "unsigned"]

PERIOD_NS = 10


def read_job() -> tuple[Path, dict[str, Any]]:
    """Return the job's folder, and its description, see :mod:`zeroskip.sim.rtl.jobs`."""
    folder = Path(os.environ["ZEROSKIP_JOB"])
    return folder, json.loads((folder / "job.json").read_text())


async def reset(dut: Any) -> None:
    """Start the clock of ``dut``, and give the reset; its host is there already."""
    dut.rst.value = 1
    Clock(dut.clk, PERIOD_NS, unit="ns").start(start_high=False)
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    start_watch(dut)


def unsigned(handle: Any) -> int:
    """Read a signal; one of a single bit, as an array at the end of its ranges has, is no vector.

    Parameters
    ----------
    handle : of the signal.
    """
    value = handle.value
    return value.to_unsigned() if isinstance(value, LogicArray) else int(value)


async def record(
    clk: Any, valid: Any, fields: Sequence[Any], recorded: list[tuple[int, ...]]
) -> None:
    """Append ``fields`` of the outputs, unsigned, in every cycle in which they are ``valid``."""
    while True:
        await RisingEdge(valid)
        await RisingEdge(clk)
        while valid.value:
            recorded.append(tuple(unsigned(field) for field in fields))
            await RisingEdge(clk)
