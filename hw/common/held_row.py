"""Leave out reads of the row that an SRAM still has at its output."""

from typing import Any

from amaranth.hdl import Module, Signal, Value

__all__ = ["read_once"]


def read_once(m: Module, read: Any, wanted: Value, row: Value, spoiled: Value, name: str) -> None:
    """Read a row when it is wanted, unless it was the last one that was read.

    An SRAM keeps at its output what it has read, so that another read of the row would only take
    energy.

    Parameters
    ----------
    m : of the memory.
    read : port that nothing else reads from.
    wanted, row : in this cycle, the row is to be at the output in the next.
    spoiled : a row is written, which may be that one.
    name : begins the names of the registers.
    """
    held = Signal(name=f"{name}_held")
    held_row = Signal(len(read.addr), name=f"{name}_held_row", reset_less=True)
    same = Signal(name=f"{name}_same")
    m.d.comb += [
        same.eq(held & (row[: len(read.addr)] == held_row)),
        read.addr.eq(row),
        read.en.eq(wanted & ~same),
    ]
    with m.If(read.en):
        m.d.sync += [held.eq(1), held_row.eq(row)]
    with m.If(spoiled):
        m.d.sync += held.eq(0)
