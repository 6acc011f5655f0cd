"""Read-modify-write of one SRAM row per cycle, any order of rows, without a bubble."""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.add import add
from zeroskip.hw.common.bypass import bypass
from zeroskip.hw.common.sram import has_short_paths, sram

__all__ = ["AccumRam"]


class AccumRam(wiring.Component):
    """Add one addend per cycle to a row of an SRAM (EIE's destination registers, section IV).

    A row that is added to in two adjacent cycles is read before its first sum is written: see
    :func:`.bypass` (the paper's bypass from adder output to adder input).

    Members
    -------
    add, add_row : In, a row to add to is named this cycle;
    addend : In, the addend of the row that was named in the cycle before.
    read, read_row : In, read a row; only while nothing is added (``busy`` and ``add`` low).
    read_data : Out, the row read in the cycle before.
    clear, clear_row : In, write 0 to a row; only while nothing is added.
    busy : Out, an addition is under way.
    """

    add: Signal
    add_row: Signal
    addend: Signal
    read: Signal
    read_row: Signal
    read_data: Signal
    clear: Signal
    clear_row: Signal
    busy: Signal

    def __init__(self, shape: ShapeLike, depth: int, row_bits: int) -> None:
        self._shape = Shape.cast(shape)
        self._depth = depth
        super().__init__({
            "add": In(1),
            "add_row": In(row_bits),
            "addend": In(self._shape),
            "read": In(1),
            "read_row": In(row_bits),
            "read_data": Out(self._shape),
            "clear": In(1),
            "clear_row": In(row_bits),
            "busy": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = sram(self._shape, self._depth, "rows")
        read, write = rows.read_port(), rows.write_port()

        # w_: the cycle in which the sum is made and written.
        w_valid = Signal()
        w_row = Signal(len(self.add_row), reset_less=True)
        w_again = Signal(reset_less=True)
        w_sum = Signal(self._shape)
        m.d.sync += [
            w_valid.eq(self.add),
            w_row.eq(self.add_row),
            w_again.eq(w_valid & (self.add_row == w_row)),
        ]
        read_row = Mux(self.read, self.read_row, self.add_row)
        if has_short_paths(platform):
            # What reads may be far away; what adds is near.
            read_row = Mux(self.add, self.add_row, self.read_row)
        old = bypass(m, read.data, w_sum, w_again, "b_sum")
        m.d.comb += [
            read.en.eq(self.add | self.read),
            read.addr.eq(read_row),
            self.read_data.eq(read.data),
            w_sum.eq(add(m, self.addend, old, self._shape.width, platform=platform)),
            write.en.eq(w_valid | self.clear),
            write.addr.eq(Mux(self.clear, self.clear_row, w_row)),
            write.data.eq(Mux(self.clear, 0, w_sum)),
            self.busy.eq(w_valid),
        ]
        return m
