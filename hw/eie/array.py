"""The EIE array: PEs, the tree that finds non-zeros, central control, and the host port."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.host_port import serve_host
from zeroskip.hw.eie.ccu import Ccu
from zeroskip.hw.eie.control import rows_layout
from zeroskip.hw.eie.formats import (
    VERSION,
    command_layout,
    host_bits,
    host_layout,
    readable_rows,
)
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.lnzd import LnzdTree
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.eie.rows import LoadRows, StoreRows
from zeroskip.hw.eie.scan import Scan

__all__ = ["ARRAY_MODULE", "IDLE_ROWS", "PE_MODULE", "EieArray"]

ARRAY_MODULE = "eie_array"
PE_MODULE = "eie_pe"
IDLE_ROWS = ("in_start", "rows_in__valid", "out_start", "rows_out__ready")
"""Inputs of an array with three activation files that are 0 where no rows stream."""


class EieArray(wiring.Component):
    """N PEs under one control (EIE, figure 4).

    The PEs are instances of one Verilog module (``PE_MODULE``, converted on its own from
    :class:`.Pe`): a design of 64 equal PEs then costs the text and the compile time of
    one. Amaranth's simulator needs the PEs put in the places of the instances.

    Members
    -------
    cmd : ``In(stream(command_layout))``, host commands, which take effect in their order. Those
        to memories wait while a run is under way, those to the control space do not.
    rsp : ``Out(stream(host_bits))``, one answer per read command; 0 to one of what cannot be read,
        see ``readable_rows`` and ``StatusBit.BAD_READ``.
    running : Out, a run or a clearing is under way.
    in_start, in_base, in_rows : In, with a third activation file: load rows into the free one;
        only while not ``in_busy``. From the cycle after a command was taken at ``cmd``, what is
        free is known as the command leaves it. A scan of the file waits for rows still to come.
    rows_in : ``In(stream)``, the rows, PE 0's activation in the low bits; one in every cycle.
    in_busy : Out, rows are still to come.
    out_start, out_base, out_rows, out_dest : In, with a third file: send rows of the file that now
        is the source, or with ``out_dest`` the destination; only while not ``out_busy``.
    out_follow : In, with a third file: send rows of the result instead. During a run that is the
        destination: each row leaves when it has been made, and no drain waits. The run's pass must
        drain or have drained (``out_drains``), and later ones write the rows behind its.
    out_drains : Out, with a third file: pass ``out_pass`` of a run drains.
    rows_out : ``Out(stream)``, the rows; one in every cycle.
    out_busy : Out, rows have not been taken yet. A load into their file, and a scan of it or
        a drain into it, wait, and so do the host's commands to activation files. A
        ``Command.CLEAR`` leaves the rows that have not come, or not been taken yet.
    out_valid, out_pass, out_row, out_data : Out, outputs as they are written to the destination
        files: the number of the descriptor, the files' row, and PE 0's output in the low bits.
    """

    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal
    out_valid: Signal
    out_pass: Signal
    out_row: Signal
    out_data: Signal
    in_start: Signal
    in_base: Signal
    in_rows: Signal
    rows_in: stream.Interface
    in_busy: Signal
    out_start: Signal
    out_base: Signal
    out_rows: Signal
    out_dest: Signal
    out_follow: Signal
    out_drains: Signal
    rows_out: stream.Interface
    out_busy: Signal

    def __init__(self, params: EieParams) -> None:
        self._p = params
        row, lanes = params.act_addr_bits, params.num_pes * params.act_bits
        streams: dict[str, Any] = {
            "in_start": In(1),
            "in_base": In(row),
            "in_rows": In(row + 1),
            "rows_in": In(stream.Signature(lanes)),
            "in_busy": Out(1),
            "out_start": In(1),
            "out_base": In(row),
            "out_rows": In(row + 1),
            "out_dest": In(1),
            "out_follow": In(1),
            "out_drains": Out(1),
            "rows_out": Out(stream.Signature(lanes)),
            "out_busy": Out(1),
        }
        super().__init__({
            **(streams if params.streams else {}),
            "cmd": In(stream.Signature(command_layout(params))),
            "rsp": Out(stream.Signature(host_bits(params))),
            "running": Out(1),
            "out_valid": Out(1),
            "out_pass": Out(params.descriptor_addr_bits),
            "out_row": Out(params.act_addr_bits),
            "out_data": Out(params.num_pes * params.act_bits),
        })

    def elaborate(self, platform: object) -> Module:
        """Make the parts and connect them: longer than other functions, but a list of wires."""
        p = self._p
        m = Module()
        m.submodules.ccu = ccu = Ccu(p)
        m.submodules.scan = scan = Scan(p)
        m.submodules.lnzd = lnzd = LnzdTree(p)
        c = ccu.control
        host = Signal(host_layout(p))
        host_pe = Signal(8)
        host_valid = Signal()
        room = Signal(p.num_pes)
        busy = Signal(p.num_pes)
        answers = [
            Signal(max(p.act_bits, COUNTER_BITS), name=f"answer_{pe}") for pe in range(p.num_pes)
        ]
        rows = Signal(rows_layout(p))
        shared: dict[str, Any] = {} if p.plain else {"i_codebook": ccu.codebook}
        if p.streams:
            shared |= {"i_rows": rows.as_value()}
        if p.delta:
            shared |= {
                "i_scan_reference": scan.scan_reference,
                "i_take_reference": scan.take_reference,
            }
        for pe in range(p.num_pes):
            m.submodules[f"pe_{pe}"] = Instance(
                PE_MODULE,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_control=c.as_value(),
                i_broadcast=scan.broadcast.as_value(),
                i_offered=scan.offered,
                i_broadcast_en=scan.broadcast_en,
                o_room=room[pe],
                o_busy=busy[pe],
                i_scan_read=scan.read,
                i_scan_row=scan.row,
                i_scan_take=scan.take,
                i_grant=lnzd.grant[pe],
                o_pending=lnzd.pending[pe],
                o_candidate=lnzd.value.word_select(pe, p.value_bits),
                i_scanned=scan.done,
                i_host=host.as_value(),
                o_host_data=answers[pe],
                **shared,
                **self._pe_ports(m, pe),
            )

        work = ccu.pass_descriptor
        m.d.comb += [
            scan.start.eq(ccu.pass_start),
            scan.src_base.eq(work.src_base),
            scan.src_rows.eq(work.src_rows),
            scan.ptr_base.eq(work.ptr_base),
            scan.flush.eq(c.flush),
            scan.pending.eq(lnzd.o_pending),
            scan.last.eq(lnzd.o_last),
            scan.value.eq(lnzd.o_value),
            scan.pe.eq(lnzd.o_pe),
            scan.room.eq(room.all()),
            lnzd.o_grant.eq(scan.grant),
            ccu.pass_done.eq(scan.done & ~busy.any()),
            self.out_valid.eq(c.act_write),
            self.out_pass.eq(c.descriptor),
            self.out_row.eq(c.act_row),
        ]
        if p.delta:
            m.d.comb += [scan.first.eq(c.descriptor == 0), scan.delta.eq(c.cells.delta)]
        acts = host_valid & (host.space == Space.ACT)
        held = self._stream_rows(m, ccu, scan, rows, acts) if p.streams else None
        serve_host(
            m,
            self,
            ccu.run,
            host,
            host_pe,
            host_valid,
            answers,
            readable=readable_rows(p),
            version=VERSION,
            held=held,
        )
        write = host_valid & host.write
        m.d.comb += [
            ccu.load_program.eq(write & (host.space == Space.PROGRAM)),
            ccu.load_codebook.eq(write & (host.space == Space.CODEBOOK)),
            ccu.load_row.eq(host.addr),
            ccu.load_data.eq(host.data),
        ]
        return m

    def _pe_ports(self, m: Module, pe: int) -> dict[str, Any]:
        """Return the ports of a PE that are its own part of the array's."""
        bits = self._p.act_bits
        # From a register, as it has a long way to go.
        host_en = Signal(name=f"host_en_{pe}")
        taken = self.cmd.valid & self.cmd.ready
        m.d.sync += host_en.eq(taken & (self.cmd.payload.pe == pe))
        streams = (
            {
                "i_in_data": self.rows_in.payload.word_select(pe, bits),
                "o_out_data": self.rows_out.payload.word_select(pe, bits),
            }
            if self._p.streams
            else {}
        )
        return {
            "i_host_en": host_en,
            "o_output_data": self.out_data.word_select(pe, bits),
            **streams,
        }

    def _stream_rows(self, m: Module, ccu: Ccu, scan: Scan, rows: Any, host_acts: Value) -> Value:
        """Let rows stream in and out; return whether the host's command at the port waits.

        Parameters
        ----------
        m, ccu, scan : of the array, and in it.
        rows : to the PEs, see ``rows_layout``.
        host_acts : the command in hand reads or writes an activation.
        """
        c, incoming = ccu.control, self.cmd.payload
        m.submodules.load_rows = load = LoadRows(self._p)
        m.submodules.store_rows = store = StoreRows(self._p)
        # The rows that leave are those that the run under way makes.
        follows = Signal()
        follow = self.out_follow & ccu.at_work
        scanned = c.source
        if self._p.cells:
            scanned = Mux(c.cells.recur, c.destination, c.source)
        m.d.sync += follows.eq(Mux(self.out_start, follow, follows & ccu.at_work))
        unmade = follows & ccu.at_work & (store.row >= ccu.made)
        m.d.comb += [
            load.start.eq(self.in_start),
            load.base.eq(self.in_base),
            load.rows.eq(self.in_rows),
            load.which.eq(ccu.free),
            load.flush.eq(ccu.run.clear),
            load.hold.eq(host_acts | store.uses(load.file)),
            load.valid.eq(self.rows_in.valid),
            self.rows_in.ready.eq(load.ready),
            self.in_busy.eq(load.busy),
            store.start.eq(self.out_start),
            store.base.eq(self.out_base),
            store.rows.eq(self.out_rows),
            store.which.eq(Mux(self.out_dest | follow, c.destination, c.source)),
            store.flush.eq(ccu.run.clear),
            store.hold.eq(host_acts | unmade),
            store.ready.eq(self.rows_out.ready),
            self.rows_out.valid.eq(store.valid),
            self.out_busy.eq(store.busy),
            self.out_drains.eq(ccu.drains),
            rows.in_en.eq(load.en),
            rows.in_file.eq(load.file),
            rows.in_row.eq(load.row),
            rows.out_en.eq(store.en),
            rows.out_file.eq(store.file),
            rows.out_row.eq(store.row),
            rows.waiting.eq(scan.waiting),
            scan.lacking.eq(load.lacks(scanned, scan.row) | store.uses(scanned)),
            ccu.taken.eq(load.uses(c.destination) | (store.uses(c.destination) & ~follows)),
        ]
        return self.out_busy & (incoming.command.space == Space.ACT)
