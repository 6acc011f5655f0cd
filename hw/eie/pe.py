"""Processing element: one multiplier with its share of rows, and everything that feeds it."""

import enum
from typing import Any

from amaranth.hdl import C, Module, Mux, ResetInserter, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from zeroskip.hw.common.counters import Counters
from zeroskip.hw.common.formats import COUNTER_BITS, CellKind
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.common.sram import has_short_paths
from zeroskip.hw.eie.act_rw import ActRw
from zeroskip.hw.eie.arithm import Arithm
from zeroskip.hw.eie.cell import Cell
from zeroskip.hw.eie.control import Phase, control_layout, rows_layout
from zeroskip.hw.eie.formats import broadcast_layout, host_layout, work_layout
from zeroskip.hw.eie.host import Space, StallClass, stall_classes
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.ptr_read import PtrRead
from zeroskip.hw.eie.spmat_read import SpmatRead

__all__ = ["Pe"]


class Pe(wiring.Component):
    """One PE of the array (EIE, figure 4).

    Work goes activation queue -> pointer read -> Spmat read -> arithmetic unit; with
    ``pointers_first`` the queue comes after the pointers, where columns without entries are
    already gone.

    Members
    -------
    control, codebook : In, from the central control unit, see ``Ccu``.
    broadcast, offered : In, an activation and its column, which stay until all PEs have room.
    broadcast_en : In, they have, and it is taken: only while ``offered`` and ``room``.
    room : Out, the PE can take a broadcast.
    busy : Out, work is in the queue or a pipeline.
    scan_read, scan_row, scan_take, grant, pending, candidate : see ``ActRw``.
    scanned : In, no broadcast is to come.
    host, host_en : In, a host command for this PE.
    host_data : Out, the answer to a read command of the cycle before.
    output_data : Out, the output that is written to the destination file in this cycle.
    rows : In, with a third activation file, see ``rows_layout``.
    scan_reference, take_reference : In, of an array with delta: see ``Scan``.
    in_data, out_data : In and Out, the activations that stream in and out.
    """

    control: data.View
    codebook: Signal
    broadcast: data.View
    offered: Signal
    broadcast_en: Signal
    room: Signal
    busy: Signal
    scan_read: Signal
    scan_row: Signal
    scan_take: Signal
    grant: Signal
    pending: Signal
    candidate: Signal
    scanned: Signal
    host: data.View
    host_en: Signal
    host_data: Signal
    output_data: Signal
    rows: data.View
    in_data: Signal
    out_data: Signal
    scan_reference: Signal
    take_reference: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        act = signed(params.act_bits)
        streams = {"rows": In(rows_layout(params)), "in_data": In(act), "out_data": Out(act)}
        row = params.reference_addr_bits
        super().__init__({
            **({"scan_reference": In(row), "take_reference": In(row)} if params.delta else {}),
            **(streams if params.streams else {}),
            "control": In(control_layout(params)),
            **({} if params.plain else {"codebook": In(params.codebook_bits)}),
            "broadcast": In(broadcast_layout(params)),
            "offered": In(1),
            "broadcast_en": In(1),
            "room": Out(1),
            "busy": Out(1),
            "scan_read": In(1),
            "scan_row": In(params.act_addr_bits),
            "scan_take": In(1),
            "grant": In(1),
            "pending": Out(1),
            "candidate": Out(signed(params.value_bits)),
            "scanned": In(1),
            "host": In(host_layout(params)),
            "host_en": In(1),
            "host_data": Out(max(params.act_bits, COUNTER_BITS)),
            "output_data": Out(signed(params.act_bits)),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the parts and connect them: longer than other functions, but a list of wires."""
        p = self._p
        m = Module()
        c = self.control
        flushed = ResetInserter(c.flush)
        queue_layout = work_layout(p) if p.pointers_first else broadcast_layout(p)
        # Whether a column has entries is known late in the cycle in which its pointers are read.
        queue = Queue(queue_layout, p.queue_depth, late=p.pointers_first)
        pointers, spmat, arithm = PtrRead(p), SpmatRead(p), Arithm(p)
        acts = ActRw(p, early=has_short_paths(platform))
        m.submodules.act_queue = flushed(queue)
        m.submodules.ptr_read = flushed(pointers)
        m.submodules.spmat_read = flushed(spmat)
        m.submodules.arithm = flushed(arithm)
        m.submodules.act_rw = flushed(acts)

        self._queue_columns(m, queue, pointers, spmat)
        near = self._near(m, platform)
        waiting = queue.o.valid | pointers.full | spmat.issued
        m.d.comb += [
            self.busy.eq(waiting | arithm.busy),
            arithm.valid.eq(spmat.issued & ~spmat.padding),
            arithm.code.eq(spmat.code),
            arithm.row.eq(spmat.row),
            arithm.value.eq(spmat.value),
            arithm.read.eq(c.acc_read),
            arithm.read_row.eq(self._drained_row(m, platform)),
            arithm.clear.eq(near.clear),
            arithm.clear_row.eq(near.clear_row),
            acts.source.eq(c.source),
            acts.scan_read.eq(self.scan_read),
            acts.scan_row.eq(self.scan_row),
            acts.scan_take.eq(self.scan_take),
            acts.grant.eq(self.grant),
            self.pending.eq(acts.pending),
            self.candidate.eq(acts.candidate),
            acts.bias_read.eq(c.acc_read | c.cells.weight_read if p.peepholes else c.acc_read),
            acts.bias_row.eq(c.bias_row),
            acts.acc.eq(
                Mux(c.cells.weight, 0, arithm.read_data) if p.peepholes else arithm.read_data
            ),
            acts.shift.eq(near.shift),
            acts.activation.eq(near.activation),
            acts.write.eq(c.act_write),
            acts.write_row.eq(c.act_row),
            self.output_data.eq(acts.output_data),
        ]
        if has_short_paths(platform):
            m.d.comb += acts.between.eq(near.phase == Phase.IDLE)
        if not p.plain:
            m.d.comb += arithm.codebook.eq(self.codebook)
        if p.streams:
            m.d.comb += [
                acts.destination.eq(c.destination),
                acts.rows.eq(self.rows),
                acts.in_data.eq(self.in_data),
                self.out_data.eq(acts.out_data),
            ]
        saturated = self._add_cell(m, flushed(Cell(p)), acts, near) if p.cells else C(0, 1)
        if p.delta:
            m.d.comb += [
                acts.delta.eq(c.cells.delta),
                acts.threshold.eq(c.cells.threshold),
                acts.begin.eq(c.cells.begin),
                acts.scan_reference.eq(self.scan_reference),
                acts.take_reference.eq(self.take_reference),
            ]
        self._connect_host(m, pointers, spmat, acts)
        if p.counters:
            self._count(m, spmat, waiting, acts, saturated)
        else:
            m.d.comb += self.host_data.eq(acts.host_data)
        return m

    def _queue_columns(self, m: Module, queue: Queue, pointers: PtrRead, spmat: SpmatRead) -> None:
        """Let a broadcast activation wait in the queue, before its pointers are read or behind."""
        entry = stream.Signature(broadcast_layout(self._p)).create(path=("entry",))
        m.d.comb += [entry.payload.eq(self.broadcast), entry.valid.eq(self.broadcast_en)]
        if self._p.pointers_first:
            connect(m, entry, pointers.i)
            connect(m, queue.o, spmat.i)
            # The column in the pointer unit may need an entry, too. So its entry is always free
            # when it gets there, and the pointers' memories need not wait for what they read; nor
            # for whether all PEs have room, as nothing else can be read meanwhile.
            m.d.comb += [
                self.room.eq(Mux(pointers.full, queue.spare, queue.i.ready)),
                pointers.ahead.eq(self.offered),
                queue.i.payload.eq(pointers.o.payload),
                queue.i.valid.eq(pointers.o.valid),
                pointers.o.ready.eq(1),
            ]
        else:
            connect(m, entry, queue.i)
            connect(m, queue.o, pointers.i)
            connect(m, pointers.o, spmat.i)
            m.d.comb += [self.room.eq(queue.i.ready), pointers.ahead.eq(queue.o.valid)]

    def _near(self, m: Module, platform: object) -> Any:
        """Return the control for what may be a cycle late: with short paths, out of a register.

        It has a long way to come. Shift and activation stand from a pass's begin, long before its
        first output is made; a sum that was drained is not asked for until the next pass, so
        that it may be cleared a cycle later; and the host's commands, which wait for the end of a
        run, come to the PE a cycle after they were taken.
        """
        c = self.control
        if not has_short_paths(platform):
            return c
        near = Signal(c.shape(), name="near_control")
        m.d.sync += near.eq(c)
        return near

    def _drained_row(self, m: Module, platform: object) -> Value:
        """Return the row of the accumulator to drain: with short paths, counted here.

        The row that the control counts has a long way to come to the accumulators, whose words then
        go on into registers in the same cycle. Drains of cells take rows in another order.
        """
        c = self.control
        if not has_short_paths(platform) or self._p.cells:
            return c.acc_row
        row = Signal.like(c.acc_row, name="drained_row")
        m.d.sync += row.eq(Mux(c.acc_read, row + 1, 0))
        return row

    def _add_cell(self, m: Module, cell: Any, acts: ActRw, near: Any) -> Value:
        """Add the unit that makes hidden units of sums; return whether a state is beyond its range.

        ``near`` is the control of :meth:`_near`.
        """
        c = self.control
        m.submodules.cell = cell
        m.d.comb += [
            cell.cells.eq(c.cells),
            cell.total.eq(acts.total),
            cell.shift.eq(near.shift),
            acts.scan_other.eq(c.cells.recur),
            acts.scan_blank.eq(c.cells.blank),
            acts.write_unit.eq(c.cells.kind != CellKind.NONE),
            acts.unit.eq(cell.output),
        ]
        return cell.saturated

    def _connect_host(self, m: Module, pointers: PtrRead, spmat: SpmatRead, acts: ActRw) -> None:
        """Let host commands write the memories, and read activations."""
        host = self.host
        write = self.host_en & host.write
        m.d.comb += [
            spmat.load_en.eq(write & (host.space == Space.SPMAT)),
            spmat.load_addr.eq(host.addr),
            spmat.load_data.eq(host.data),
            pointers.load_en.eq(write & (host.space == Space.POINTER)),
            pointers.load_addr.eq(host.addr),
            pointers.load_data.eq(host.data),
            acts.load_bias.eq(write & (host.space == Space.BIAS)),
            acts.load_act.eq(write & (host.space == Space.ACT)),
            acts.load_row.eq(host.addr),
            acts.load_data.eq(host.data),
            acts.host_read.eq(self.host_en & ~host.write & (host.space == Space.ACT)),
        ]

    def _count(
        self, m: Module, spmat: SpmatRead, waiting: Value, acts: ActRw, saturated: Value
    ) -> None:
        """Attribute the cycle to a stall class, and answer the host's reads of counters."""
        c = self.control
        classes = stall_classes(self._p)
        m.submodules.counters = counters = Counters(self._p, classes)
        # As an enumeration, so that waves show names.
        stall_class = Signal(enum.IntEnum("StallClass", [(c.name, c.value) for c in classes]))
        with m.If(c.phase == Phase.SETUP):
            m.d.comb += stall_class.eq(StallClass.SETUP)
        with m.Elif(c.phase == Phase.DRAIN):
            m.d.comb += stall_class.eq(StallClass.DRAIN)
            if self._p.cells:
                with m.If(saturated):
                    m.d.comb += stall_class.eq(StallClass.SATURATED)
        with m.Elif(spmat.issued):
            m.d.comb += [
                counters.useful.eq(~spmat.padding),
                stall_class.eq(Mux(spmat.padding, StallClass.PADDING, StallClass.USEFUL)),
            ]
        with m.Elif(waiting):
            m.d.comb += stall_class.eq(StallClass.FETCH)
        with m.Elif(self.scanned):
            m.d.comb += stall_class.eq(StallClass.TAIL)
        with m.Else():
            blocked = self.offered & ~self.broadcast_en
            m.d.comb += stall_class.eq(Mux(blocked, StallClass.BLOCKED, StallClass.STARVED))
            if self._p.streams:
                with m.If(self.rows.waiting & ~blocked):
                    m.d.comb += stall_class.eq(StallClass.MEMORY)
        m.d.comb += [
            counters.count.eq(c.phase != Phase.IDLE),
            counters.descriptor.eq(c.descriptor),
            counters.stall_class.eq(stall_class),
        ]
        answer = counters.serve(m, c, self.host, self.host_en, Space.COUNTER, acts.host_data)
        m.d.comb += self.host_data.eq(answer)
