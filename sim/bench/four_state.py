"""Watch for X: what no two-state simulation can show."""

import os
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from zeroskip.sim.rtl.watched import WATCHED

__all__ = ["guard_of", "start_watch"]


def start_watch(dut: Any) -> None:
    """Fail the test on the first X at a port from now on, in the middle of a cycle.

    What goes with a ``valid`` (``cmd__payload`` with ``cmd__valid``, ``out_data`` with
    ``out_valid``) may be X while that is 0. All else never is: each ``valid``, ``ready`` and
    ``running``, clock and reset.
    """
    if ports := os.environ.get(WATCHED, "").split():
        cocotb.start_soon(_watch(dut, ports))


def guard_of(port: str, ports: Sequence[str]) -> str | None:
    """Return the ``valid`` that says when a port means something; None if it always does."""
    if port.endswith(("valid", "ready")):
        return None
    stems = [port.removesuffix("valid") for port in ports if port.endswith("valid")]
    found = [stem for stem in stems if port.startswith(stem)]
    return max(found, key=len) + "valid" if found else None


async def _watch(dut: Any, ports: list[str]) -> None:
    watched = [(port, getattr(dut, port), guard_of(port, ports)) for port in ports]
    guards = {guard: getattr(dut, guard) for _, _, guard in watched if guard}
    while True:
        await FallingEdge(dut.clk)
        for name, handle, guard in watched:
            if guard is None or guards[guard].value == 1:
                value = handle.value
                assert value.is_resolvable, f"{name} is {value}"
