"""SCNN behind the system: from a command list and dense planes in memory to planes in memory."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import connect, flipped

from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.array import ARRAY_MODULE
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_load import PlaneLoad
from zeroskip.hw.scnn.plane_read import PlaneRead
from zeroskip.hw.scnn.plane_rows import PlaneIn, PlaneOut
from zeroskip.hw.scnn.planes import (
    PLANE_IN,
    PLANE_OUT,
    PLANE_WORD_BITS,
    plane_in_layout,
    plane_out_layout,
    plane_spaces,
    scnn_lanes,
)
from zeroskip.hw.scnn.tile_rows import TileRows
from zeroskip.hw.system.chip import EngineUnit
from zeroskip.hw.system.formats import ROW_BITS
from zeroskip.hw.system.jobs import Engine, Memory
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.register_map import engine_sizes

__all__ = ["ScnnUnit", "scnn_engine"]


def scnn_engine(params: SystemParams, p: ScnnParams) -> Engine:
    """Say what the system has to know of an SCNN array, the spaces of its planes among it."""
    words = scnn.sram_files(p)
    memories = {
        Space[name.upper()]: Memory(number, *words[f"stream_0/{name}" if prefix else name])
        for name, number, prefix in (
            ("program", 1, False),
            ("codebook", 1, False),
            ("tap", 1, False),
            ("bias", p.num_streams, True),
        )
    }
    return Engine(
        command=scnn.command_layout(p),
        memories={**memories, **plane_spaces(p)},
        rows=(1 << ROW_BITS) - 1,
        row_bits=params.data_bits,
        stream_bits=Packing.of(p).beat,
        asks=True,
        sizes=engine_sizes("scnn", p),
    )


class ScnnUnit(EngineUnit):
    """The SCNN array as an instance of its Verilog module, and its planes' units.

    INPUT compresses a plane into the activation RAMs, and OUTPUT reads one. As both use RAMs that a
    run uses, an OUTPUT is to wait for the engine, and a START and an OUTPUT for INPUT
    (:class:`.Wait`).

    Parameters
    ----------
    params : of the port to memory.
    scnn_params : of the array.

    Members
    -------
    out_valid, out_pass, out_lanes, out_data : Out, outputs as they are made, see
        :class:`.ScnnArray`; ``link`` is that of :class:`.EngineUnit`.
    """

    out_valid: Signal
    out_pass: Signal
    out_lanes: Signal
    out_data: Signal

    def __init__(self, params: SystemParams, scnn_params: ScnnParams) -> None:
        self._s, self._lanes = scnn_params, scnn_lanes(params, scnn_params)
        observed = {
            "valid": 1,
            "pass": scnn_params.descriptor_addr_bits,
            "lanes": scnn_params.mult_i,
            "data": scnn_params.num_pes * scnn_params.mult_i * scnn_params.act_bits,
        }
        super().__init__(params, scnn_engine(params, scnn_params), observed)

    def elaborate(self, platform: object) -> Module:
        s, lanes, port = self._s, self._lanes, self.link
        m = Module()
        m.submodules.in_rows = in_rows = TileRows(s, lanes)
        m.submodules.plane_in = inward = PlaneIn(s, lanes)
        m.submodules.plane_load = load = PlaneLoad(s)
        m.submodules.plane_read = read = PlaneRead(s, s.mult_i)
        m.submodules.out_rows = out_rows = TileRows(s, lanes)
        m.submodules.plane_out = outward = PlaneOut(s, lanes)
        connect(m, in_rows.o, inward.rows)
        connect(m, flipped(port.rows_in), inward.i)
        connect(m, inward.o, load.i)
        connect(m, out_rows.o, outward.rows)
        connect(m, read.o, outward.i)
        connect(m, outward.o, flipped(port.rows_out))
        # What an INPUT says of its rows, which the system shows only as it begins.
        told = Signal.like(port.in_rows)
        with m.If(port.in_start):
            m.d.sync += told.eq(port.in_rows)
        self._ask(m, inward.request, port.in_request, told.addr)
        self._ask(m, outward.request, port.out_request, port.out_rows.addr)
        into, out = self._planes(m)
        where = [str(name) for name in out.plane.shape().members]
        m.d.comb += [
            port.in_busy.eq(in_rows.busy | inward.busy | load.busy),
            port.in_lost.eq(load.lost),
            in_rows.go.eq(port.in_start),
            *(in_rows.plane[name].eq(into.plane[name]) for name in where),
            in_rows.spread.eq(into.spread),
            in_rows.memory.eq(into.memory),
            in_rows.rows.eq(told.rows),
            inward.step.eq(into.plane.sx),
            outward.step.eq(out.plane.sx),
            load.go.eq(port.in_start),
            load.plane.eq(into.plane),
            load.spread.eq(into.spread),
            port.out_busy.eq(out_rows.busy | outward.busy | read.busy),
            port.out_mask.eq(outward.mask),
            out_rows.go.eq(port.out_start),
            out_rows.plane.eq(out.plane),
            out_rows.spread.eq(out.spread),
            out_rows.memory.eq(out.memory),
            out_rows.rows.eq(port.out_rows.rows),
            read.go.eq(port.out_start),
            read.plane.eq(out.plane),
            read.spread.eq(out.spread),
        ]
        cmd = self._steer(m, load, read)
        m.submodules.scnn = Instance(
            ARRAY_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_weights__payload=port.weights.payload,
            i_weights__valid=port.weights.valid,
            o_weights__ready=port.weights.ready,
            i_cmd__payload=Value.cast(cmd.payload),
            i_cmd__valid=cmd.valid,
            o_cmd__ready=cmd.ready,
            o_rsp__payload=read.rsp.payload,
            o_rsp__valid=read.rsp.valid,
            i_rsp__ready=read.rsp.ready,
            o_running=port.running,
            o_lost=port.lost,
            o_out_valid=self.out_valid,
            o_out_pass=self.out_pass,
            o_out_lanes=self.out_lanes,
            o_out_data=self.out_data,
        )
        return m

    def _ask(
        self, m: Module, row: stream.Interface, request: stream.Interface, base: Value
    ) -> None:
        """Turn rows of tiles into requests, behind the address of the command."""
        shift = self.params.beat_shift
        m.d.comb += [
            request.payload.addr.eq(base + (row.payload.beat << shift)),
            request.payload.beats.eq(row.payload.beats),
            request.valid.eq(row.valid),
            row.ready.eq(request.ready),
        ]

    def _planes(self, m: Module) -> tuple[Any, Any]:
        """Keep where planes are; return that of inputs and that of outputs."""
        port, found = self.link, list[Any]()
        command: Any = port.cmd.payload.command
        for space, layout in (
            (PLANE_IN, plane_in_layout(self._s)),
            (PLANE_OUT, plane_out_layout(self._s)),
        ):
            count = plane_spaces(self._s)[space].rows
            words = Signal(count * PLANE_WORD_BITS, name=f"planes_{space}")
            with m.If(port.cmd.valid & port.cmd.ready & (command.space == space)):
                for word in range(count):
                    with m.If(command.addr == word):
                        m.d.sync += words.word_select(word, PLANE_WORD_BITS).eq(command.data)
            found.append(data.View(layout, words[: layout.size]))
        return found[0], found[1]

    def _steer(self, m: Module, load: PlaneLoad, read: PlaneRead) -> stream.Interface:
        """Let who moves a plane command the array, else the system."""
        port = self.link
        cmd = stream.Signature(scnn.command_layout(self._s)).create(path=("array_cmd",))
        command: Any = port.cmd.payload.command
        of_planes = (command.space == PLANE_IN) | (command.space == PLANE_OUT)
        with m.If(load.busy):
            connect(m, load.cmd, flipped(cmd))
        with m.Elif(read.busy):
            connect(m, read.cmd, flipped(cmd))
        with m.Else():
            m.d.comb += [
                cmd.payload.eq(port.cmd.payload),
                cmd.valid.eq(port.cmd.valid & ~of_planes),
                port.cmd.ready.eq(cmd.ready | of_planes),
            ]
        return cmd
