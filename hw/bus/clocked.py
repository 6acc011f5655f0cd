"""Chip below a top that has a clock and a reset of its own."""

from typing import Any

from amaranth.hdl import ClockDomain, Module, Signal, Value

__all__ = ["place_chip"]


def place_chip(m: Module, chip: Any, clk: Signal, rst: Value) -> Any:
    """Make a chip a part of a top, whose clock and reset it gets.

    Parameters
    ----------
    m : of the top.
    chip : a component, see :class:`.SystemChip`.
    clk, rst : clock, and reset, active high.

    Returns
    -------
    The chip.
    """
    domain: Any = ClockDomain("sync")
    m.domains.sync = domain
    m.submodules.chip = chip
    domain.clk = clk
    m.d.comb += domain.rst.eq(rst)
    return chip
