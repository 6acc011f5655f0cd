"""SCNN behind the system: from a command list and dense planes in memory to planes in memory."""

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Shape, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Out, connect, flipped

from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.array import ARRAY_MODULE
from zeroskip.hw.scnn.formats import Space
from zeroskip.hw.scnn.params import ScnnParams
from zeroskip.hw.scnn.plane_load import PlaneLoad
from zeroskip.hw.scnn.plane_read import PlaneRead
from zeroskip.hw.scnn.plane_rows import PlaneIn, PlaneOut
from zeroskip.hw.system.chip import SystemChip
from zeroskip.hw.system.formats import ROW_BITS
from zeroskip.hw.system.jobs import Engine, Memory
from zeroskip.hw.system.params import SystemParams
from zeroskip.hw.system.system import System

__all__ = ["PLANES", "SCNN_SYSTEM_MODULE", "ScnnSystem", "plane_words", "scnn_engine", "scnn_lanes"]

SCNN_SYSTEM_MODULE = "scnn_system"

PLANES = 15
"""Number of the space that says where planes are: words of :func:`.plane_load_layout`, lowest
first, then those of :func:`.plane_layout`. LOAD writes it as it writes memories of the array."""

_WORD = 64


def plane_words(p: ScnnParams) -> tuple[int, int]:
    """Count the words of space ``PLANES`` that say where inputs go, and where outputs are."""
    layouts = (scnn.plane_load_layout(p), scnn.plane_layout(p))
    load, read = (-(-Shape.cast(layout).width // _WORD) for layout in layouts)
    return load, read


def scnn_lanes(params: SystemParams, p: ScnnParams) -> int:
    """Count the values of a row, which takes a beat."""
    return params.data_bits // p.act_bits


def scnn_engine(params: SystemParams, p: ScnnParams) -> Engine:
    """Say what the system has to know of an SCNN array, the space of its planes among it."""
    words = scnn.sram_files(p)
    memories = {
        Space[name.upper()]: Memory(number, *words[f"stream_0/{name}" if prefix else name])
        for name, number, prefix in (
            ("program", 1, False),
            ("codebook", 1, False),
            ("tap", 1, False),
            ("weight", p.num_streams, True),
            ("block", p.num_streams, True),
            ("bias", p.num_streams, True),
        )
    }
    return Engine(
        command=scnn.command_layout(p),
        memories={**memories, PLANES: Memory(1, sum(plane_words(p)), _WORD)},
        rows=(1 << ROW_BITS) - 1,
        row_bits=scnn_lanes(params, p) * p.act_bits,
    )


class ScnnSystem(SystemChip):
    """The system, the SCNN array as an instance of its Verilog module, and its planes' units.

    INPUT compresses a plane into the activation RAMs, and OUTPUT reads one; a START waits for both.
    As both use RAMs that a run uses, an INPUT or OUTPUT is to wait for the engine, and an INPUT for
    outputs (:class:`.Wait`).

    Parameters
    ----------
    params : of the port to memory.
    scnn_params : of the array.

    Members
    -------
    lost : Out, values or outputs found no room in an activation RAM.
    out_valid, out_pass, out_lanes, out_data : Out, outputs as they are made, see
        :class:`.ScnnArray`; the others are those of :class:`.SystemChip`.
    """

    lost: Signal
    out_valid: Signal
    out_pass: Signal
    out_lanes: Signal
    out_data: Signal

    def __init__(self, params: SystemParams, scnn_params: ScnnParams) -> None:
        self._s, self._lanes = scnn_params, scnn_lanes(params, scnn_params)
        observed = {
            "lost": Out(1),
            "out_valid": Out(1),
            "out_pass": Out(scnn_params.descriptor_addr_bits),
            "out_lanes": Out(scnn_params.mult_i),
            "out_data": Out(scnn_params.num_pes * scnn_params.mult_i * scnn_params.act_bits),
        }
        super().__init__(params, scnn_engine(params, scnn_params), observed)

    def elaborate(self, platform: object) -> Module:
        s, lanes = self._s, self._lanes
        m = Module()
        system = self.add_system(m)
        m.submodules.plane_in = inward = PlaneIn(s.act_bits, lanes)
        m.submodules.plane_load = load = PlaneLoad(s)
        m.submodules.plane_read = read = PlaneRead(s)
        m.submodules.plane_out = outward = PlaneOut(s, lanes)
        connect(m, system.rows_in, inward.i)
        connect(m, inward.o, load.i)
        connect(m, read.o, outward.i)
        connect(m, outward.o, system.rows_out)
        lost = Signal()
        m.d.comb += [
            system.in_busy.eq(inward.busy | load.busy),
            inward.start.eq(system.in_start),
            inward.rows.eq(system.in_rows.rows),
            inward.wanted.eq(load.busy),
            load.go.eq(system.in_start),
            outward.start.eq(system.out_start),
            outward.rows.eq(system.out_rows.rows),
            outward.reading.eq(read.busy),
            read.go.eq(outward.go),
            self.lost.eq(lost | load.lost),
        ]
        cmd = self._steer(m, system, load, read)
        m.submodules.scnn = Instance(
            ARRAY_MODULE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_cmd__payload=Value.cast(cmd.payload),
            i_cmd__valid=cmd.valid,
            o_cmd__ready=cmd.ready,
            o_rsp__payload=read.rsp.payload,
            o_rsp__valid=read.rsp.valid,
            i_rsp__ready=read.rsp.ready,
            o_running=self.running,
            o_lost=lost,
            o_out_valid=self.out_valid,
            o_out_pass=self.out_pass,
            o_out_lanes=self.out_lanes,
            o_out_data=self.out_data,
        )
        return m

    def _steer(
        self, m: Module, system: System, load: PlaneLoad, read: PlaneRead
    ) -> stream.Interface:
        """Let who moves a plane command the array, else the system; keep where planes are."""
        s = self._s
        cmd = stream.Signature(scnn.command_layout(s)).create(path=("array_cmd",))
        command: Any = system.cmd.payload.command
        of_planes = command.space == PLANES
        load_words, read_words = plane_words(s)
        words = Signal((load_words + read_words) * _WORD, name="planes")
        m.d.comb += [
            load.plane.eq(words[: Shape.cast(scnn.plane_load_layout(s)).width]),
            read.plane.eq(words[load_words * _WORD :][: Shape.cast(scnn.plane_layout(s)).width]),
        ]
        with m.If(load.busy):
            connect(m, load.cmd, flipped(cmd))
        with m.Elif(read.busy):
            connect(m, read.cmd, flipped(cmd))
        with m.Else():
            m.d.comb += [
                cmd.payload.eq(system.cmd.payload),
                cmd.valid.eq(system.cmd.valid & ~of_planes),
                system.cmd.ready.eq(cmd.ready | of_planes),
            ]
            with m.If(system.cmd.valid & of_planes):
                for word in range(load_words + read_words):
                    with m.If(command.addr == word):
                        m.d.sync += words.word_select(word, _WORD).eq(command.data)
        return cmd
