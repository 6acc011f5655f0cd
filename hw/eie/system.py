"""EIE behind the system: from a command list and rows in memory to rows in memory."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Signal, Value

from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.array import ARRAY_MODULE
from zeroskip.hw.eie.host import Space
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.system.chip import EngineUnit
from zeroskip.hw.system.formats import word_bytes
from zeroskip.hw.system.jobs import Engine, Memory
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import engine_sizes

__all__ = ["EieUnit", "eie_engine"]


def eie_engine(p: EieParams) -> Engine:
    """Say what the system has to know of an EIE array."""
    rows = {
        Space.PROGRAM: (1, eie.DESCRIPTOR_WORDS * p.num_descriptors),
        **({} if p.plain else {Space.CODEBOOK: (1, p.num_descriptors * p.num_codes)}),
        Space.SPMAT: (p.num_pes, p.spmat_words),
        Space.POINTER: (p.num_pes, p.num_pointers),
        Space.BIAS: (p.num_pes, p.num_biases),
    }
    bits = eie.load_bits(p)
    return Engine(
        command=eie.command_layout(p),
        memories={int(space): Memory(*rows[space], bits[space]) for space in rows},
        rows=p.num_acts,
        row_bits=p.num_pes * _lane_bits(p),
        sizes=engine_sizes("eie", p),
    )


def _lane_bits(p: EieParams) -> int:
    """Return the width of an activation in memory."""
    return 8 * word_bytes(p.act_bits)


class EieUnit(EngineUnit):
    """The EIE array as an instance of its own Verilog module, behind the system.

    In memory an activation takes the next power of two of bytes, with its sign.

    Parameters
    ----------
    params : of the port to memory.
    eie_params : of the array, which has three activation files.

    Members
    -------
    out_valid, out_pass, out_row, out_data : Out, its outputs as they are made, see
        :class:`.EieArray`; ``link`` is that of :class:`.EngineUnit`.
    """

    out_valid: Signal
    out_pass: Signal
    out_row: Signal
    out_data: Signal

    def __init__(self, params: SystemParams, eie_params: EieParams) -> None:
        self._e = eie_params
        observed = {
            "valid": 1,
            "pass": eie_params.descriptor_addr_bits,
            "row": eie_params.act_addr_bits,
            "data": eie_params.num_pes * eie_params.act_bits,
        }
        super().__init__(params, eie_engine(eie_params), observed)

    def elaborate(self, platform: object) -> Module:
        e, port = self._e, self.link
        m = Module()
        row, rows, lane = e.act_addr_bits, e.act_addr_bits + 1, _lane_bits(e)
        leaving = Signal(e.num_pes * e.act_bits, name="leaving")
        m.d.comb += port.pass_number.eq(self.out_pass)
        for pe in range(e.num_pes):
            value = leaving.word_select(pe, e.act_bits).as_signed()
            m.d.comb += port.rows_out.payload.word_select(pe, lane).eq(value)
        coming = Cat(
            port.rows_in.payload.word_select(pe, lane)[: e.act_bits] for pe in range(e.num_pes)
        )
        m.submodules.eie = Instance(
            ARRAY_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_cmd__payload=Value.cast(port.cmd.payload),
            i_cmd__valid=port.cmd.valid,
            o_cmd__ready=port.cmd.ready,
            o_rsp__valid=Signal(name="rsp_valid"),
            o_rsp__payload=Signal(eie.host_bits(e), name="rsp_payload"),
            i_rsp__ready=1,
            o_running=port.running,
            i_in_start=port.in_start,
            i_in_base=port.in_rows.base[:row],
            i_in_rows=port.in_rows.rows[:rows],
            o_in_busy=port.in_busy,
            i_rows_in__payload=coming,
            i_rows_in__valid=port.rows_in.valid,
            o_rows_in__ready=port.rows_in.ready,
            i_out_start=port.out_start,
            i_out_base=port.out_rows.base[:row],
            i_out_rows=port.out_rows.rows[:rows],
            i_out_dest=port.out_rows.dest,
            i_out_follow=port.out_rows.follow,
            o_out_drains=port.pass_drains,
            o_out_busy=Signal(name="out_busy"),
            o_rows_out__payload=leaving,
            o_rows_out__valid=port.rows_out.valid,
            i_rows_out__ready=port.rows_out.ready,
            o_out_valid=self.out_valid,
            o_out_pass=self.out_pass,
            o_out_row=self.out_row,
            o_out_data=self.out_data,
        )
        return m
