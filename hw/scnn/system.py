"""SCNN behind the system: from a command list and dense planes in memory to planes in memory."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import connect, flipped

from zeroskip.hw.common.control import CONTROL_SPACE
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
from zeroskip.hw.scnn.turns import BeatsIn, BeatsOut
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
    run uses, an OUTPUT is to wait for the engine and for INPUT (:class:`.Wait`). So is a START for
    an INPUT that may not find room; for another it waits as long as its passes need.

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
        """Make the parts and connect them: longer than other functions, but a list of wires."""
        s, lanes, port = self._s, self._lanes, self.link
        m = Module()
        units = range(s.plane_units)
        in_rows = [TileRows(s, lanes, unit) for unit in units]
        inward = [PlaneIn(s, lanes) for _ in units]
        load = [PlaneLoad(s, unit) for unit in units]
        read = [PlaneRead(s, s.mult_i, unit) for unit in units]
        out_rows = [TileRows(s, lanes, unit) for unit in units]
        outward = [PlaneOut(s, lanes) for _ in units]
        into, out = self._planes(m)
        where = [str(name) for name in out.plane.shape().members]
        # What an INPUT says of its rows, which the system shows only as it begins.
        told = Signal.like(port.in_rows)
        with m.If(port.in_start):
            m.d.sync += told.eq(port.in_rows)
        for unit in units:
            m.submodules[f"in_rows_{unit}"] = in_rows[unit]
            m.submodules[f"plane_in_{unit}"] = inward[unit]
            m.submodules[f"plane_load_{unit}"] = load[unit]
            m.submodules[f"plane_read_{unit}"] = read[unit]
            m.submodules[f"out_rows_{unit}"] = out_rows[unit]
            m.submodules[f"plane_out_{unit}"] = outward[unit]
            connect(m, in_rows[unit].o, inward[unit].rows)
            connect(m, inward[unit].o, load[unit].i)
            connect(m, out_rows[unit].o, outward[unit].rows)
            connect(m, read[unit].o, outward[unit].i)
            m.d.comb += [
                in_rows[unit].go.eq(port.in_start),
                *(in_rows[unit].plane[name].eq(into.plane[name]) for name in where),
                in_rows[unit].spread.eq(into.spread),
                in_rows[unit].memory.eq(into.memory),
                in_rows[unit].rows.eq(told.rows),
                inward[unit].step.eq(into.plane.sx),
                outward[unit].step.eq(out.plane.sx),
                load[unit].go.eq(port.in_start),
                load[unit].plane.eq(into.plane),
                load[unit].spread.eq(into.spread),
                out_rows[unit].go.eq(port.out_start),
                out_rows[unit].plane.eq(out.plane),
                out_rows[unit].spread.eq(out.spread),
                out_rows[unit].memory.eq(out.memory),
                out_rows[unit].rows.eq(port.out_rows.rows),
                read[unit].go.eq(port.out_start),
                read[unit].plane.eq(out.plane),
                read[unit].spread.eq(out.spread),
            ]
        waits = self._join(m, inward, outward, told.addr)
        m.d.comb += [
            port.in_busy.eq(Cat(one.busy for one in (*in_rows, *inward, *load)).any()),
            port.in_lost.eq(Cat(one.lost for one in load).any()),
            port.out_busy.eq(Cat(*(one.busy for one in (*out_rows, *outward, *read)), waits).any()),
        ]
        cmd = self._steer(m, load, read)
        m.submodules.scnn = Instance(
            ARRAY_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_loading=port.in_busy,
            i_weights__payload=port.weights.payload,
            i_weights__valid=port.weights.valid,
            o_weights__ready=port.weights.ready,
            i_cmd__payload=Value.cast(cmd.payload),
            i_cmd__valid=cmd.valid,
            o_cmd__ready=Signal(name="array_ready"),
            o_rsp__payload=read[0].rsp.payload,
            o_rsp__valid=read[0].rsp.valid,
            i_rsp__ready=read[0].rsp.ready,
            o_running=port.running,
            o_lost=port.lost,
            o_out_valid=self.out_valid,
            o_out_pass=self.out_pass,
            o_out_lanes=self.out_lanes,
            o_out_data=self.out_data,
            **self._plane_ports(m, load, read),
        )
        return m

    def _join(
        self, m: Module, inward: list[PlaneIn], outward: list[PlaneOut], base: Value
    ) -> Value:
        """Join units at the memory's port; return whether beats wait on their way out.

        ``base``: the address of what comes in.
        """
        s, lanes, port = self._s, self._lanes, self.link
        bits = self.params.data_bits
        if s.plane_units == 1:
            connect(m, flipped(port.rows_in), inward[0].i)
            connect(m, outward[0].o, flipped(port.rows_out))
            m.d.comb += port.out_mask.eq(outward[0].mask)
            self._ask(m, inward[0].request, port.in_request, base)
            self._ask(m, outward[0].request, port.out_request, port.out_rows.addr)
            return Const(0, 1)
        m.submodules.beats_in = beats_in = BeatsIn(s, lanes, bits)
        m.submodules.beats_out = beats_out = BeatsOut(s, lanes, bits)
        connect(m, flipped(port.rows_in), beats_in.i)
        connect(m, beats_out.o, flipped(port.rows_out))
        for unit in range(s.plane_units):
            connect(m, inward[unit].request, getattr(beats_in, f"rows_{unit}"))
            connect(m, getattr(beats_in, f"o_{unit}"), inward[unit].i)
            connect(m, outward[unit].request, getattr(beats_out, f"rows_{unit}"))
            connect(m, outward[unit].o, getattr(beats_out, f"i_{unit}"))
            m.d.comb += getattr(beats_out, f"mask_{unit}").eq(outward[unit].mask)
        m.d.comb += port.out_mask.eq(beats_out.mask)
        self._ask(m, beats_in.request, port.in_request, base)
        self._ask(m, beats_out.request, port.out_request, port.out_rows.addr)
        return beats_out.busy

    def _plane_ports(
        self, m: Module, load: list[PlaneLoad], read: list[PlaneRead]
    ) -> dict[str, Value]:
        """Return what goes to the array's ports of the units but the first."""
        found: dict[str, Value] = {}
        for unit in range(1, self._s.plane_units):
            cmd = stream.Signature(scnn.command_layout(self._s)).create(path=(f"cmd_{unit}",))
            with m.If(load[unit].busy):
                connect(m, load[unit].cmd, flipped(cmd))
            with m.Else():
                connect(m, read[unit].cmd, flipped(cmd))
            found |= {
                f"i_cmd_{unit}__payload": Value.cast(cmd.payload),
                f"i_cmd_{unit}__valid": cmd.valid,
                f"o_cmd_{unit}__ready": cmd.ready,
                f"o_rsp_{unit}__payload": read[unit].rsp.payload,
                f"o_rsp_{unit}__valid": read[unit].rsp.valid,
                f"i_rsp_{unit}__ready": read[unit].rsp.ready,
            }
        return found

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

    def _steer(self, m: Module, load: list[PlaneLoad], read: list[PlaneRead]) -> stream.Interface:
        """Let the first unit command the array while any moves a plane, else the system."""
        port = self.link
        cmd = stream.Signature(scnn.command_layout(self._s)).create(path=("array_cmd",))
        command: Any = port.cmd.payload.command
        of_planes = (command.space == PLANE_IN) | (command.space == PLANE_OUT)
        # What the array says of the command that it is given would come late. Of those that are not
        # for its control space it is known: no unit asks for more than may be on their way, and all
        # is answered before it is done. While planes are loaded, a run does not hold commands up.
        was_running = Signal()
        m.d.sync += was_running.eq(port.running)
        loading = Cat(one.busy for one in load).any()
        m.d.comb += cmd.ready.eq(~(port.running | was_running) | loading)
        of_control = command.space == CONTROL_SPACE
        # A run begins while its input comes in.
        told = port.cmd.valid & of_control
        with m.If(loading & ~told):
            connect(m, load[0].cmd, flipped(cmd))
        with m.Elif(Cat(one.busy for one in read).any()):
            connect(m, read[0].cmd, flipped(cmd))
        with m.Else():
            m.d.comb += [
                cmd.payload.eq(port.cmd.payload),
                cmd.valid.eq(port.cmd.valid & ~of_planes),
                port.cmd.ready.eq(of_control | of_planes | cmd.ready),
            ]
        return cmd
