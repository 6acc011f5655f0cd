"""The EIE array: PEs, the tree that finds non-zeros, central control, and the host port."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.host_port import serve_host
from zeroskip.hw.eie.ccu import Ccu
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
from zeroskip.hw.eie.scan import Scan

__all__ = ["ARRAY_MODULE", "PE_MODULE", "EieArray"]

ARRAY_MODULE = "eie_array"
PE_MODULE = "eie_pe"


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

    def __init__(self, params: EieParams) -> None:
        self._p = params
        super().__init__({
            "cmd": In(stream.Signature(command_layout(params))),
            "rsp": Out(stream.Signature(host_bits(params))),
            "running": Out(1),
            "out_valid": Out(1),
            "out_pass": Out(params.descriptor_addr_bits),
            "out_row": Out(params.act_addr_bits),
            "out_data": Out(params.num_pes * params.act_bits),
        })

    def elaborate(self, platform: object) -> Module:
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
        answers = []
        for pe in range(p.num_pes):
            answer = Signal(max(p.act_bits, COUNTER_BITS), name=f"answer_{pe}")
            host_en = Signal(name=f"host_en_{pe}")
            m.d.comb += host_en.eq(host_valid & (host_pe == pe))
            m.submodules[f"pe_{pe}"] = Instance(
                PE_MODULE,
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_control=c.as_value(),
                i_codebook=ccu.codebook,
                i_broadcast=scan.broadcast.as_value(),
                i_broadcast_en=scan.broadcast_en,
                o_room=room[pe],
                o_busy=busy[pe],
                i_scan_read=scan.read,
                i_scan_row=scan.row,
                i_scan_take=scan.take,
                i_grant=lnzd.grant[pe],
                o_pending=lnzd.pending[pe],
                o_candidate=lnzd.value.word_select(pe, p.act_bits),
                i_blocked=scan.blocked,
                i_scanned=scan.done,
                i_host=host.as_value(),
                i_host_en=host_en,
                o_host_data=answer,
                o_output_data=self.out_data.word_select(pe, p.act_bits),
            )
            answers.append(answer)

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
        )
        write = host_valid & host.write
        m.d.comb += [
            ccu.load_program.eq(write & (host.space == Space.PROGRAM)),
            ccu.load_codebook.eq(write & (host.space == Space.CODEBOOK)),
            ccu.load_row.eq(host.addr),
            ccu.load_data.eq(host.data),
        ]
        return m
