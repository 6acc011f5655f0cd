"""The chip: SCNN, EIE, what hands activations over between them, and one host port."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import (
    ClockSignal,
    Const,
    Instance,
    Module,
    ResetSignal,
    Shape,
    Signal,
    Value,
)
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from zeroskip.hw.chip.formats import (
    HANDOFF_WORDS,
    Engine,
    Register,
    chip_command_layout,
    chip_host_bits,
    handoff_layout,
    register_layout,
)
from zeroskip.hw.chip.handoff import Handoff
from zeroskip.hw.chip.sequence import Sequence
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.common.host_port import status_word
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie import host as eie_host
from zeroskip.hw.eie.array import IDLE_ROWS
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.packing import Packing
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["CHIP_MODULE", "Chip"]

CHIP_MODULE = "chip"
EIE_MODULE = "eie_array"
SCNN_MODULE = "scnn_array"


@dataclass(frozen=True)
class _Engine:
    """An engine's host port, whether it is at work, and the command that starts it."""

    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal
    start: data.View


class Chip(wiring.Component):
    """Both engines, as instances of their Verilog modules, and a sequence that joins them.

    Commands take effect in their order. While a sequence is under way, those to the engines wait,
    so the host may send the commands that read its result at once; the chip's status does not.

    Members
    -------
    weights : ``In(stream(beat))``, SCNN's packed weights, see :class:`.ScnnArray`. They do not go
        through the host's commands, as they have to come while a sequence is under way.
    cmd : ``In(stream(chip_command_layout))``, host commands.
    rsp : ``Out(stream(chip_host_bits))``, one answer per read command.
    running : Out, a sequence, or one of the engines, is at work.
    scnn_out_*, eie_out_* : Out, the engines' outputs as they are made, for observation.
    """

    weights: stream.Interface
    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal
    scnn_out_valid: Signal
    scnn_out_pass: Signal
    scnn_out_lanes: Signal
    scnn_out_data: Signal
    eie_out_valid: Signal
    eie_out_pass: Signal
    eie_out_row: Signal
    eie_out_data: Signal

    def __init__(self, scnn_params: ScnnParams, eie_params: EieParams) -> None:
        s, e = self._s, self._e = scnn_params, eie_params
        super().__init__({
            "weights": In(stream.Signature(Packing.of(s).beat)),
            "cmd": In(stream.Signature(chip_command_layout(s, e))),
            "rsp": Out(stream.Signature(chip_host_bits(s, e))),
            "running": Out(1),
            "scnn_out_valid": Out(1),
            "scnn_out_pass": Out(s.descriptor_addr_bits),
            "scnn_out_lanes": Out(s.mult_i),
            "scnn_out_data": Out(s.num_pes * s.mult_i * s.act_bits),
            "eie_out_valid": Out(1),
            "eie_out_pass": Out(e.descriptor_addr_bits),
            "eie_out_row": Out(e.act_addr_bits),
            "eie_out_data": Out(e.num_pes * e.act_bits),
        })

    def elaborate(self, platform: object) -> Module:
        s, e = self._s, self._e
        m = Module()
        m.submodules.handoff = handoff = Handoff(s, e)
        m.submodules.sequence = sequence = Sequence()
        lost = Signal(name="scnn_lost")
        others = {
            "o_lost": lost,
            "i_weights__payload": self.weights.payload,
            "i_weights__valid": self.weights.valid,
            "o_weights__ready": self.weights.ready,
        }
        to_scnn = self._make_engine(
            m, "scnn", SCNN_MODULE, (scnn.command_layout(s), scnn.host_bits(s)), others
        )
        idle = {f"i_{name}": Const(0, 1) for name in IDLE_ROWS} if e.streams else {}
        to_eie = self._make_engine(
            m, "eie", EIE_MODULE, (eie.command_layout(e), eie.host_bits(e)), idle
        )
        self._connect_sequence(m, sequence, handoff, to_scnn, to_eie)
        m.d.comb += sequence.scnn_lost.eq(lost)

        # A read is answered before the next command is taken, so answers keep their order.
        reading = Signal()
        asked = Signal(Engine)
        free = ~sequence.busy & ~reading
        engine, command = self.cmd.payload.engine, self.cmd.payload.command
        register = data.View(register_layout(), command[: register_layout().size])
        writes = Signal()
        with m.Switch(engine):
            for number, port in ((Engine.SCNN, to_scnn), (Engine.EIE, to_eie)):
                with m.Case(number):
                    m.d.comb += [
                        writes.eq(port.cmd.payload.command.write),
                        self.cmd.ready.eq(free & port.cmd.ready),
                    ]
            with m.Default():
                m.d.comb += [
                    writes.eq(register.write),
                    self.cmd.ready.eq(~reading & (~sequence.busy | ~register.write)),
                ]
        taken = self.cmd.valid & self.cmd.ready
        with m.If(taken & ~writes):
            m.d.sync += [reading.eq(1), asked.eq(engine)]
        self._steer(m, sequence, handoff, reading, to_scnn, to_eie)

        of_chip = (engine != Engine.SCNN) & (engine != Engine.EIE)
        answer = self._serve_registers(m, taken & of_chip, register, sequence, lost, handoff)
        with m.If(handoff.busy):
            m.d.comb += to_scnn.rsp.ready.eq(handoff.scnn_rsp.ready)
        with m.If(reading):
            with m.Switch(asked):
                for number, port in ((Engine.SCNN, to_scnn), (Engine.EIE, to_eie)):
                    with m.Case(number):
                        m.d.comb += [
                            self.rsp.payload.eq(port.rsp.payload),
                            self.rsp.valid.eq(port.rsp.valid),
                            port.rsp.ready.eq(self.rsp.ready),
                        ]
                with m.Default():
                    m.d.comb += [self.rsp.payload.eq(answer), self.rsp.valid.eq(1)]
            with m.If(self.rsp.valid & self.rsp.ready):
                m.d.sync += reading.eq(0)
        return m

    def _connect_sequence(
        self,
        m: Module,
        sequence: Sequence,
        handoff: Handoff,
        to_scnn: _Engine,
        to_eie: _Engine,
    ) -> None:
        """Connect the sequence with what it starts, and make the commands that start engines."""
        for engine, space, command in (
            (to_scnn, scnn.Space, Command.START),
            (to_eie, eie_host.Space, Command.START),
        ):
            start: Any = engine.start.command
            m.d.comb += [
                start.write.eq(1),
                start.space.eq(space.CONTROL),
                start.addr.eq(Control.COMMAND),
                start.data.eq(command),
            ]
        m.d.comb += [
            sequence.scnn_ready.eq(to_scnn.cmd.ready),
            sequence.scnn_running.eq(to_scnn.running),
            sequence.handoff_busy.eq(handoff.busy),
            sequence.eie_ready.eq(to_eie.cmd.ready),
            sequence.eie_running.eq(to_eie.running),
            handoff.go.eq(sequence.handoff_go),
            handoff.scnn_rsp.payload.eq(to_scnn.rsp.payload),
            handoff.scnn_rsp.valid.eq(to_scnn.rsp.valid & handoff.busy),
            self.running.eq(sequence.busy | to_scnn.running | to_eie.running),
        ]

    def _steer(
        self,
        m: Module,
        sequence: Sequence,
        handoff: Handoff,
        reading: Signal,
        to_scnn: _Engine,
        to_eie: _Engine,
    ) -> None:
        """Let the handoff, the sequence or the host command an engine."""
        for number, port, starts, handed in (
            (Engine.SCNN, to_scnn, sequence.scnn_start, handoff.scnn_cmd),
            (Engine.EIE, to_eie, sequence.eie_start, handoff.eie_cmd),
        ):
            with m.If(handoff.busy):
                connect(m, handed, flipped(port.cmd))
            with m.Elif(sequence.busy):
                m.d.comb += [port.cmd.payload.eq(port.start), port.cmd.valid.eq(starts)]
            with m.Else():
                m.d.comb += [
                    port.cmd.payload.eq(self.cmd.payload.command),
                    port.cmd.valid.eq(
                        self.cmd.valid & ~reading & (self.cmd.payload.engine == number)
                    ),
                ]

    def _make_engine(
        self,
        m: Module,
        name: str,
        module: str,
        port: tuple[data.StructLayout, int],
        others: Mapping[str, Value],
    ) -> _Engine:
        """Instantiate an engine, whose port has (layout of commands, bits of an answer)."""
        layout, bits = port
        cmd = stream.Signature(layout).create(path=(f"{name}_cmd",))
        rsp = stream.Signature(bits).create(path=(f"{name}_rsp",))
        running = Signal(name=f"{name}_running")
        outs = {
            f"o_{member.removeprefix(f'{name}_')}": getattr(self, member)
            for member in self.signature.members
            if member.startswith(f"{name}_out_")
        }
        m.submodules[name] = Instance(
            module,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_cmd__payload=Value.cast(cmd.payload),
            i_cmd__valid=cmd.valid,
            o_cmd__ready=cmd.ready,
            o_rsp__payload=Value.cast(rsp.payload),
            o_rsp__valid=rsp.valid,
            i_rsp__ready=rsp.ready,
            o_running=running,
            **outs,
            **others,
        )
        return _Engine(cmd, rsp, running, Signal(layout, name=f"start_{name}"))

    def _serve_registers(
        self,
        m: Module,
        taken: Value,
        register: Any,
        sequence: Sequence,
        lost: Signal,
        handoff: Handoff,
    ) -> Signal:
        """Carry out commands to the chip itself; return the answer to the last read.

        An engine that does not exist has no registers: to read one of them is a bad read.
        """
        answer = Signal(64)
        bad_read = Signal()
        config = Signal(64 * HANDOFF_WORDS)
        of_chip = self.cmd.payload.engine == Engine.CHIP
        written = taken & of_chip & register.write
        m.d.comb += [
            handoff.config.eq(config[: Shape.cast(handoff_layout(self._s)).width]),
            sequence.go.eq(written & (register.addr == Register.COMMAND)),
            sequence.parts.eq(register.data),
        ]
        with m.If(taken & ~register.write):
            with m.If(of_chip & (register.addr == Register.STATUS)):
                m.d.sync += answer.eq(
                    status_word({
                        StatusBit.RUNNING: self.running,
                        StatusBit.LOST: lost,
                        StatusBit.BAD_READ: bad_read,
                        StatusBit.SEQUENCE: sequence.busy,
                    })
                )
            with m.Else():
                m.d.sync += [answer.eq(0), bad_read.eq(1)]
        with m.If(written):
            with m.If(register.addr == Register.STATUS):
                m.d.sync += bad_read.eq(bad_read & ~(register.data & StatusBit.BAD_READ).any())
            for word in range(HANDOFF_WORDS):
                with m.If(register.addr == Register.HANDOFF + word):
                    m.d.sync += config.word_select(word, 64).eq(register.data)
        return answer
