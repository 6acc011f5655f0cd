"""Drain: at the end of a pass, turn accumulators into outputs, one local row per cycle."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.sram import has_short_paths
from zeroskip.hw.eie.params import EieParams

__all__ = ["Drain"]


class Drain(wiring.Component):
    """Walk the accumulators of all PEs in step, along the three stages of ``ActRw``.

    Takes ``rows + 2`` cycles.

    Members
    -------
    start, rows, bias_base, dst_base : In, begin, see ``descriptor_layout``. With short paths, what
        comes with ``start`` stands from the cycle before it to the one behind it.
    flush : In, abandon.
    done : Out, in the last cycle of the drain, and while there is none.
    acc_read, acc_row, bias_row : Out, stage 1, read accumulator and bias.
    clear, clear_row : Out, stage 2, clear the accumulator.
    write, write_row : Out, stage 3, write the output.
    """

    start: Signal
    rows: Signal
    bias_base: Signal
    dst_base: Signal
    flush: Signal
    done: Signal
    acc_read: Signal
    acc_row: Signal
    bias_row: Signal
    clear: Signal
    clear_row: Signal
    write: Signal
    write_row: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        acc, act, bias = params.acc_addr_bits, params.act_addr_bits, params.bias_addr_bits
        super().__init__({
            "start": In(1),
            "rows": In(acc + 1),
            "bias_base": In(bias),
            "dst_base": In(act),
            "flush": In(1),
            "done": Out(1),
            "acc_read": Out(1),
            "acc_row": Out(acc),
            "bias_row": Out(bias),
            "clear": Out(1),
            "clear_row": Out(acc),
            "write": Out(1),
            "write_row": Out(act),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(self._p.acc_addr_bits + 1)
        if has_short_paths(platform):
            # `start` is known late in its cycle, and `acc_read` has a long way to all PEs, so it
            # is a register. What a read needs stands before; what a write needs may come later.
            over, loads, loads_writes = ~self.acc_read, ~self.acc_read, Signal(name="started")
            m.d.sync += loads_writes.eq(self.start)
            with m.If(self.start):
                m.d.sync += self.acc_read.eq(1)
            with m.Elif(left == 1):
                m.d.sync += self.acc_read.eq(0)
            with m.If(self.flush):
                m.d.sync += self.acc_read.eq(0)
        else:
            over, loads, loads_writes = left == 0, self.start, self.start
            m.d.comb += self.acc_read.eq(left != 0)
        m.d.comb += self.done.eq(over & ~self.clear)
        m.d.sync += [
            self.clear.eq(self.acc_read),
            self.clear_row.eq(self.acc_row),
            self.write.eq(self.clear),
        ]
        with m.If(self.acc_read):
            m.d.sync += [
                left.eq(left - 1),
                self.acc_row.eq(self.acc_row + 1),
                self.bias_row.eq(self.bias_row + 1),
            ]
        with m.If(self.write):
            m.d.sync += self.write_row.eq(self.write_row + 1)
        with m.If(loads):
            m.d.sync += [
                left.eq(self.rows),
                self.acc_row.eq(0),
                self.bias_row.eq(self.bias_base),
            ]
        with m.If(loads_writes):
            m.d.sync += self.write_row.eq(self.dst_base)
        with m.If(self.flush):
            m.d.sync += [left.eq(0), self.clear.eq(0), self.write.eq(0)]
        return m
