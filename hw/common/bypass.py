"""Bypass from a sum to the next one: an SRAM's row that was read before it was written."""

from amaranth.hdl import Module, Mux, Signal, Value

__all__ = ["bypass"]


def bypass(m: Module, stored: Value, total: Signal, again: Value, name: str) -> Value:
    """Return what to add to: what was read of a row, or the sum that is on its way there.

    Of a row that is added to in two cycles in a row, the SRAM is read in the cycle in which the
    first sum is made: one too early. At a distance of two cycles it holds the sum.

    Parameters
    ----------
    m : of the adder.
    stored : what the SRAM gives in this cycle.
    total : the sum that is made in this cycle.
    again : this cycle's row is that of the cycle before, which was added to; from a register, as
        rows are compared a cycle ahead, out of the path of the sum.
    name : of the register that keeps the sum.
    """
    before = Signal.like(total, name=name, reset_less=True)
    m.d.sync += before.eq(total)
    return Mux(again, before, stored)
