"""Scan of the source activations, and the broadcast of every one that is not zero."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.eie.formats import broadcast_layout
from zeroskip.hw.eie.params import EieParams

__all__ = ["Scan"]


class Scan(wiring.Component):
    """Go through the source files row by row; broadcast the non-zeros in order of position.

    The PEs hold one row as candidates, and the next one at their files' outputs: it follows in
    the cycle in which the last candidate is taken, so a broadcast can go out in every cycle. A
    row without non-zeros costs one cycle, unless the broadcast waits: an activation more is taken
    meanwhile, so that what goes to all PEs does not wait for what comes from all of them.

    Members
    -------
    start, src_base, src_rows, ptr_base : In, begin a scan, see ``descriptor_layout``.
    done : Out, nothing is left to scan or to broadcast; not valid in the cycle of ``start``.
    flush : In, abandon the scan.
    read, row, take : Out, to the files, see ``ActRw``.
    pending, last, value, pe : In, from the LNZD tree. ``grant`` : Out, to it.
    broadcast, offered : Out, an activation, for all PEs.
    room : In, every PE can take a broadcast.
    broadcast_en : Out, all take it in this cycle; else it waits for room.
    first, delta : In, of an array with delta: with ``start``, the pass is the first of a run; it
        scans changes.
    scan_reference, take_reference : Out, likewise: rows of the references of ``row``, and of the
        row that waits for ``take``.
    lacking : In, with a third activation file: ``row`` cannot be read yet.
    waiting : Out, so nothing is read, though there is room for a row.
    """

    start: Signal
    src_base: Signal
    src_rows: Signal
    ptr_base: Signal
    done: Signal
    flush: Signal
    read: Signal
    row: Signal
    take: Signal
    pending: Signal
    last: Signal
    value: Signal
    pe: Signal
    grant: Signal
    broadcast: data.View
    offered: Signal
    room: Signal
    broadcast_en: Signal
    lacking: Signal
    waiting: Signal
    first: Signal
    delta: Signal
    scan_reference: Signal
    take_reference: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        row, column = params.act_addr_bits, params.pointer_addr_bits
        changes = {
            "first": In(1),
            "delta": In(1),
            "scan_reference": Out(params.reference_addr_bits),
            "take_reference": Out(params.reference_addr_bits),
        }
        super().__init__({
            **(changes if params.delta else {}),
            **({"lacking": In(1), "waiting": Out(1)} if params.streams else {}),
            "start": In(1),
            "src_base": In(row),
            "src_rows": In(row + 1),
            "ptr_base": In(column),
            "done": Out(1),
            "flush": In(1),
            "read": Out(1),
            "row": Out(row),
            "take": Out(1),
            "pending": In(1),
            "last": In(1),
            "value": In(signed(params.value_bits)),
            "pe": In(params.pe_bits),
            "grant": Out(1),
            "broadcast": Out(broadcast_layout(params)),
            "offered": Out(1),
            "room": In(1),
            "broadcast_en": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        p = self._p
        m = Module()
        left = Signal(p.act_addr_bits + 1)
        # r_: the row at the files' outputs; c_: the candidates; n_: what is behind the broadcast.
        r_valid = Signal()
        r_column = Signal(p.pointer_addr_bits, reset_less=True)
        c_column = Signal(p.pointer_addr_bits, reset_less=True)
        n_valid = Signal()
        n_broadcast = Signal(broadcast_layout(p), reset_less=True)
        new = Signal.like(n_broadcast)
        free = Signal()
        read = (left != 0) & (~r_valid | self.take)
        if p.streams:
            m.d.comb += self.waiting.eq(read & self.lacking)
            read &= ~self.lacking
        m.d.comb += [
            self.broadcast_en.eq(self.offered & self.room),
            self.grant.eq(self.pending & ~n_valid),
            new.value.eq(self.value),
            new.column.eq(c_column + self.pe),
            free.eq(~self.offered | self.room),
            self.take.eq(r_valid & (~self.pending | (self.grant & self.last))),
            self.read.eq(read),
            self.done.eq((left == 0) & ~r_valid & ~self.pending & ~self.offered),
        ]
        with m.If(self.read):
            m.d.sync += [left.eq(left - 1), self.row.eq(self.row + 1), r_valid.eq(1)]
        with m.Elif(self.take):
            m.d.sync += r_valid.eq(0)
        with m.If(self.take):
            m.d.sync += [c_column.eq(r_column), r_column.eq(r_column + p.num_pes)]
        with m.If(free):
            m.d.sync += [self.offered.eq(n_valid | self.grant), n_valid.eq(0)]
            with m.If(n_valid | self.grant):
                m.d.sync += self.broadcast.eq(Mux(n_valid, n_broadcast, new))
        with m.Elif(self.grant):
            m.d.sync += [n_valid.eq(1), n_broadcast.eq(new)]
        with m.If(self.start):
            m.d.sync += [
                left.eq(self.src_rows),
                self.row.eq(self.src_base),
                r_column.eq(self.ptr_base),
            ]
        if p.delta:
            with m.If(self.read & self.delta):
                m.d.sync += [
                    self.scan_reference.eq(self.scan_reference + 1),
                    self.take_reference.eq(self.scan_reference),
                ]
            with m.If(self.start & self.first):
                m.d.sync += self.scan_reference.eq(0)
        with m.If(self.flush):
            m.d.sync += [left.eq(0), r_valid.eq(0), self.offered.eq(0), n_valid.eq(0)]
        return m
