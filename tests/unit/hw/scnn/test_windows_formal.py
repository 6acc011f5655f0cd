"""Proof, for any values and any number of rows and windows, that pooling windows give their maxima.

That a number is the maximum is said without taking one: it is above a bound exactly where one of
the window's values is, whatever the bound. Which window is looked at is left open, too.
"""

from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.support.prove import FAILS, PROVED, any_of, prove
from zeroskip.hw.scnn.params import MOST_POOL, ScnnParams
from zeroskip.hw.scnn.windows import OUTPUT_CYCLES, Windows, outputs_layout

pytest.importorskip("pyosys")

_BITS = 2


def _row_layout(lanes: int) -> data.StructLayout:
    """Lay out what is known of a row of windows, and of the window that is looked at."""
    return data.StructLayout({
        "comes": unsigned(1),
        "last": unsigned(1),
        "there": unsigned(lanes),
        "above": unsigned(1),
        "inside": unsigned(1),
        "row_end": unsigned(1),
        "channel_end": unsigned(1),
    })


class WatchedWindows(wiring.Component):
    """Rows of windows that lie side by side, of which one, ``which``, is looked at.

    Parameters
    ----------
    lanes : outputs that come in a cycle at most.
    late : cycles from a row to what is made of it.
    forgets : that a row is the first of its windows is left out: older maxima stay.

    Members
    -------
    columns, which, bound : In, of the first cycle: columns of a window, the number of one, and what
        its maximum is compared with.
    rows, comes, ends, windows : In, outputs, in cycles in which they come, whether they are the
        last row of their windows, and how many windows there are.
    bad : Out, a maximum is wrong, missing or too many, what else is said of it is not that of its
        last row, or the unit does not say that it is busy.
    """

    columns: Signal
    which: Signal
    bound: Signal
    rows: data.View
    comes: Signal
    ends: Signal
    windows: Signal
    bad: Signal

    def __init__(self, lanes: int, *, late: int = OUTPUT_CYCLES, forgets: bool = False) -> None:
        self._p = ScnnParams(mult_i=lanes, act_bits=_BITS)
        self._late, self._forgets = late, forgets
        super().__init__({
            "columns": In(range(MOST_POOL)),
            "which": In(range(lanes)),
            "bound": In(signed(_BITS)),
            "rows": In(outputs_layout(self._p)),
            "comes": In(1),
            "ends": In(1),
            "windows": In(range(lanes)),
            "bad": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = Windows(self._p)
        # A window's number, and what its maximum is compared with, stay; so do columns, less 1.
        begun, width = Signal(), Signal.like(self.columns)
        which, bound = Signal.like(self.which), Signal.like(self.bound)
        with m.If(~begun):
            m.d.sync += [begun.eq(1), which.eq(self.which), bound.eq(self.bound)]
            with m.If(self.columns < min(self._p.mult_i, MOST_POOL)):
                m.d.sync += width.eq(self.columns)
        m.d.comb += dut.columns.eq(width + 1)
        row = self._offer(m, dut, begun, width, which, bound)

        # What came, and when: the oldest is what the maxima must be of.
        rows: list[Any] = [row]
        for cycle in range(1, self._late + 1):
            rows.append(Signal(row.shape(), name=f"row_{cycle}"))
            m.d.sync += rows[cycle].eq(rows[cycle - 1])
        due = rows[-1]
        ends = due.comes & due.last
        chosen = data.View(dut.o.values.shape(), dut.o.values)[which]
        inside = Array(dut.o.inside[lane] for lane in range(self._p.mult_i))[which]
        looked_at = ends & (due.there >> which)[0]
        wrong = [
            dut.o.there != Mux(ends, due.there, 0),
            looked_at & ((chosen > bound) != due.above),
            looked_at & (inside != due.inside),
            ends & ((dut.o.row_end != due.row_end) | (dut.o.channel_end != due.channel_end)),
            dut.busy != any_of(one.comes for one in rows[1:]),
        ]
        m.d.comb += self.bad.eq(any_of(wrong))
        return m

    def _offer(
        self, m: Module, dut: Windows, begun: Signal, width: Signal, which: Signal, bound: Signal
    ) -> Any:
        """Offer rows of windows, each as often as it likes; return what is known of this one."""
        lanes, rows = self._p.mult_i, self.rows
        opened, above = Signal(), Signal()
        kept, windows = Signal.like(self.windows), Signal.like(self.windows)
        mine = Signal(lanes)
        row: Any = Signal(_row_layout(lanes))
        # All rows of windows have as many.
        m.d.comb += windows.eq(Mux(opened, kept, self.windows))
        with m.Switch(width):
            for columns in range(1, min(lanes, MOST_POOL) + 1):
                most = lanes // columns
                with m.Case(columns - 1):
                    m.d.comb += row.comes.eq(begun & self.comes & (windows < most))
                    for lane in range(most * columns):
                        m.d.comb += [
                            mine[lane].eq(which == lane // columns),
                            dut.i.there[lane].eq(row.comes & (lane // columns <= windows)),
                        ]
        inside = any_of(rows.inside & mine)
        m.d.comb += [
            dut.i.values.eq(rows.values),
            # All of a window is inside, or nothing.
            dut.i.inside.eq(Mux(inside, rows.inside | mine, rows.inside)),
            dut.i.row_end.eq(rows.row_end),
            dut.i.channel_end.eq(rows.channel_end),
            dut.first.eq(~opened & (not self._forgets)),
            dut.last.eq(self.ends),
        ]
        over = any_of(mine[lane] & (rows.values[lane] > bound) for lane in range(lanes))
        m.d.comb += [
            row.last.eq(self.ends),
            *(row.there[number].eq(number <= windows) for number in range(lanes)),
            row.above.eq(over | (above & opened)),
            row.inside.eq(inside),
            row.row_end.eq(rows.row_end),
            row.channel_end.eq(rows.channel_end),
        ]
        with m.If(row.comes):
            m.d.sync += [opened.eq(~self.ends), kept.eq(windows), above.eq(row.above)]
        return row


@pytest.mark.parametrize("lanes", [2, 4])
def test_windows_give_their_maxima_once(lanes: int, tmp_path: Path) -> None:
    answer = prove(WatchedWindows(lanes), tmp_path)
    assert PROVED.split("|")[0] in answer, answer[-2000:]


@pytest.mark.parametrize("wrong", [{"late": OUTPUT_CYCLES + 1}, {"forgets": True}])
def test_the_proof_can_fail(wrong: Any, tmp_path: Path) -> None:
    answer = prove(WatchedWindows(2, **wrong), tmp_path)
    assert FAILS in answer, answer[-2000:]
