"""EIE behind the system: from a command list and rows in memory to rows in memory."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Out

from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.array import ARRAY_MODULE
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.chip import SystemChip
from zeroskip.hw.system.jobs import Engine, Memory
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import engine_sizes

__all__ = ["SYSTEM_MODULE", "EieSystem", "eie_engine"]

SYSTEM_MODULE = "eie_system"


def eie_engine(p: EieParams) -> Engine:
    """Say what the system has to know of an EIE array."""
    rows = {
        Space.PROGRAM: (1, eie.DESCRIPTOR_WORDS * p.num_descriptors),
        Space.CODEBOOK: (1, p.num_descriptors * p.num_codes),
        Space.SPMAT: (p.num_pes, p.spmat_words),
        Space.POINTER: (p.num_pes, p.num_pointers),
        Space.BIAS: (p.num_pes, p.num_biases),
    }
    bits = eie.load_bits(p)
    return Engine(
        command=eie.command_layout(p),
        memories={int(space): Memory(*rows[space], bits[space]) for space in rows},
        rows=p.num_acts,
        row_bits=p.num_pes * p.act_bits,
        sizes=engine_sizes("eie", p),
    )


class EieSystem(SystemChip):
    """The system, and the EIE array as an instance of its own Verilog module.

    Parameters
    ----------
    params : of the port to memory.
    eie_params : of the array, which has three activation files.

    Members
    -------
    out_valid, out_pass, out_row, out_data : Out, its outputs as they are made, see
        :class:`.EieArray`; the others are those of :class:`.SystemChip`.
    """

    out_valid: Signal
    out_pass: Signal
    out_row: Signal
    out_data: Signal

    def __init__(self, params: SystemParams, eie_params: EieParams) -> None:
        self._e = eie_params
        observed = {
            "out_valid": Out(1),
            "out_pass": Out(eie_params.descriptor_addr_bits),
            "out_row": Out(eie_params.act_addr_bits),
            "out_data": Out(eie_params.num_pes * eie_params.act_bits),
        }
        super().__init__(params, eie_engine(eie_params), observed)

    def elaborate(self, platform: object) -> Module:
        e = self._e
        m = Module()
        system = self.add_system(m)
        m.d.comb += system.pass_number.eq(self.out_pass)
        row, rows = e.act_addr_bits, e.act_addr_bits + 1
        m.submodules.eie = Instance(
            ARRAY_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            **_consumer("cmd", system.cmd),
            o_rsp__valid=Signal(name="rsp_valid"),
            o_rsp__payload=Signal(eie.host_bits(e), name="rsp_payload"),
            i_rsp__ready=1,
            o_running=self.running,
            i_in_start=system.in_start,
            i_in_base=system.in_rows.base[:row],
            i_in_rows=system.in_rows.rows[:rows],
            o_in_busy=system.in_busy,
            **_consumer("rows_in", system.rows_in),
            i_out_start=system.out_start,
            i_out_base=system.out_rows.base[:row],
            i_out_rows=system.out_rows.rows[:rows],
            i_out_dest=system.out_rows.dest,
            i_out_follow=system.out_rows.follow,
            o_out_drains=system.pass_drains,
            o_out_busy=Signal(name="out_busy"),
            o_rows_out__payload=system.rows_out.payload,
            o_rows_out__valid=system.rows_out.valid,
            i_rows_out__ready=system.rows_out.ready,
            o_out_valid=self.out_valid,
            o_out_pass=self.out_pass,
            o_out_row=self.out_row,
            o_out_data=self.out_data,
        )
        return m


def _consumer(name: str, port: stream.Interface) -> dict[str, Any]:
    """Connect an instance's stream that takes what ``port`` gives."""
    return {
        f"i_{name}__payload": Value.cast(port.payload),
        f"i_{name}__valid": port.valid,
        f"o_{name}__ready": port.ready,
    }
