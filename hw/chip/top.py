"""The chip: SCNN, EIE, what hands activations over between them, and one host port."""

from amaranth.hdl import ClockSignal, Instance, Module, Mux, ResetSignal, Shape, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.chip.formats import (
    HANDOFF_WORDS,
    Engine,
    Go,
    Register,
    chip_command_layout,
    chip_host_bits,
    handoff_layout,
    register_layout,
)
from zeroskip.hw.chip.handoff import Handoff
from zeroskip.hw.common.control import Command, Control, StatusBit
from zeroskip.hw.common.host_port import status_word
from zeroskip.hw.eie import formats as eie
from zeroskip.hw.eie.params import EieParams
from zeroskip.hw.scnn import formats as scnn
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["CHIP_MODULE", "Chip"]

CHIP_MODULE = "chip"
EIE_MODULE = "eie_array"
SCNN_MODULE = "scnn_array"


class _State(enum.Enum, shape=3):
    IDLE = 0
    SCNN_START = 1
    SCNN_RUN = 2
    HANDOFF = 3
    EIE_START = 4
    EIE_RUN = 5


class Chip(wiring.Component):
    """Both engines, as instances of their Verilog modules, and a sequence that joins them.

    Commands take effect in their order. While a sequence is under way, those to the engines wait,
    so the host may send the commands that read its result at once; the chip's status does not.
    Outputs that SCNN has lost are not handed over: the sequence then ends, see ``Go``.

    Members
    -------
    cmd : ``In(stream(chip_command_layout))``, host commands.
    rsp : ``Out(stream(chip_host_bits))``, one answer per read command.
    running : Out, a sequence, or one of the engines, is at work.
    scnn_out_*, eie_out_* : Out, the engines' outputs as they are made, for observation.
    """

    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal
    scnn_out_valid: Signal
    scnn_out_pass: Signal
    scnn_out_data: Signal
    eie_out_valid: Signal
    eie_out_pass: Signal
    eie_out_row: Signal
    eie_out_data: Signal

    def __init__(self, scnn_params: ScnnParams, eie_params: EieParams) -> None:
        s, e = self._s, self._e = scnn_params, eie_params
        super().__init__({
            "cmd": In(stream.Signature(chip_command_layout(s, e))),
            "rsp": Out(stream.Signature(chip_host_bits(s, e))),
            "running": Out(1),
            "scnn_out_valid": Out(1),
            "scnn_out_pass": Out(s.descriptor_addr_bits),
            "scnn_out_data": Out(s.num_pes * s.act_bits),
            "eie_out_valid": Out(1),
            "eie_out_pass": Out(e.descriptor_addr_bits),
            "eie_out_row": Out(e.act_addr_bits),
            "eie_out_data": Out(e.num_pes * e.act_bits),
        })

    def elaborate(self, platform: object) -> Module:
        s, e = self._s, self._e
        m = Module()
        m.submodules.handoff = handoff = Handoff(s, e)
        scnn_cmd = stream.Signature(scnn.command_layout(s)).create(path=("scnn_cmd",))
        scnn_rsp = stream.Signature(scnn.host_bits(s)).create(path=("scnn_rsp",))
        eie_cmd = stream.Signature(eie.command_layout(e)).create(path=("eie_cmd",))
        eie_rsp = stream.Signature(eie.host_bits(e)).create(path=("eie_rsp",))
        scnn_running = Signal()
        scnn_lost = Signal()
        eie_running = Signal()
        for name, module, cmd, rsp, running, outs in (
            ("scnn", SCNN_MODULE, scnn_cmd, scnn_rsp, scnn_running, ("valid", "pass", "data")),
            ("eie", EIE_MODULE, eie_cmd, eie_rsp, eie_running, ("valid", "pass", "row", "data")),
        ):
            observed = {f"o_out_{out}": getattr(self, f"{name}_out_{out}") for out in outs}
            if name == "scnn":
                observed["o_lost"] = scnn_lost
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
                **observed,
            )

        state = Signal(_State)
        todo = Signal(3)
        keep = Signal()
        config = Signal(64 * HANDOFF_WORDS)
        idle = state == _State.IDLE
        starting = (state == _State.SCNN_START) | (state == _State.EIE_START)
        m.d.comb += [
            handoff.config.eq(config[: Shape.cast(handoff_layout(s)).width]),
            self.running.eq(~idle | scnn_running | eie_running),
        ]

        # A read is answered before the next command is taken, so answers keep their order.
        asked = Signal(Engine)
        reading = Signal()
        engine, command = self.cmd.payload.engine, self.cmd.payload.command
        register = data.View(register_layout(), command[: register_layout().size])
        writes = Signal()
        free = idle & ~reading
        with m.Switch(engine):
            with m.Case(Engine.SCNN):
                m.d.comb += [
                    writes.eq(scnn_cmd.payload.command.write),
                    self.cmd.ready.eq(free & scnn_cmd.ready),
                ]
            with m.Case(Engine.EIE):
                m.d.comb += [
                    writes.eq(eie_cmd.payload.command.write),
                    self.cmd.ready.eq(free & eie_cmd.ready),
                ]
            with m.Default():
                m.d.comb += [
                    writes.eq(register.write),
                    self.cmd.ready.eq(~reading & (idle | ~register.write)),
                ]
        with m.If(self.cmd.valid & self.cmd.ready & ~writes):
            m.d.sync += [reading.eq(1), asked.eq(engine)]

        start_scnn = Signal(scnn.command_layout(s))
        start_eie = Signal(eie.command_layout(e))
        m.d.comb += [
            start_scnn.command.write.eq(1),
            start_scnn.command.space.eq(scnn.Space.CONTROL),
            start_scnn.command.addr.eq(Control.COMMAND),
            start_scnn.command.data.eq(Command.START | Mux(keep, Command.KEEP, 0)),
            start_eie.command.write.eq(1),
            start_eie.command.space.eq(eie.Space.CONTROL),
            start_eie.command.addr.eq(Control.COMMAND),
            start_eie.command.data.eq(Command.START),
        ]
        with m.If(starting):
            m.d.comb += [
                scnn_cmd.payload.eq(start_scnn),
                scnn_cmd.valid.eq(state == _State.SCNN_START),
                eie_cmd.payload.eq(start_eie),
                eie_cmd.valid.eq(state == _State.EIE_START),
            ]
        with m.Elif(handoff.busy):
            m.d.comb += [
                scnn_cmd.payload.eq(handoff.scnn_cmd.payload),
                scnn_cmd.valid.eq(handoff.scnn_cmd.valid),
                handoff.scnn_cmd.ready.eq(scnn_cmd.ready),
                eie_cmd.payload.eq(handoff.eie_cmd.payload),
                eie_cmd.valid.eq(handoff.eie_cmd.valid),
                handoff.eie_cmd.ready.eq(eie_cmd.ready),
            ]
        with m.Else():
            m.d.comb += [
                scnn_cmd.payload.eq(command),
                scnn_cmd.valid.eq(self.cmd.valid & free & (engine == Engine.SCNN)),
                eie_cmd.payload.eq(command),
                eie_cmd.valid.eq(self.cmd.valid & free & (engine == Engine.EIE)),
            ]
        m.d.comb += [
            handoff.scnn_rsp.payload.eq(scnn_rsp.payload),
            handoff.scnn_rsp.valid.eq(scnn_rsp.valid & handoff.busy),
        ]

        answer = Signal(64)
        with m.If(handoff.busy):
            m.d.comb += scnn_rsp.ready.eq(handoff.scnn_rsp.ready)
        with m.If(reading):
            with m.Switch(asked):
                with m.Case(Engine.SCNN):
                    m.d.comb += [
                        self.rsp.payload.eq(scnn_rsp.payload),
                        self.rsp.valid.eq(scnn_rsp.valid),
                        scnn_rsp.ready.eq(self.rsp.ready),
                    ]
                with m.Case(Engine.EIE):
                    m.d.comb += [
                        self.rsp.payload.eq(eie_rsp.payload),
                        self.rsp.valid.eq(eie_rsp.valid),
                        eie_rsp.ready.eq(self.rsp.ready),
                    ]
                with m.Default():
                    m.d.comb += [self.rsp.payload.eq(answer), self.rsp.valid.eq(1)]
            with m.If(self.rsp.valid & self.rsp.ready):
                m.d.sync += reading.eq(0)

        taken = self.cmd.valid & self.cmd.ready
        written = taken & (engine == Engine.CHIP) & register.write
        bad_read = Signal()
        of_chip = (engine != Engine.SCNN) & (engine != Engine.EIE)
        with m.If(taken & of_chip & ~register.write):
            with m.If((engine == Engine.CHIP) & (register.addr == Register.STATUS)):
                m.d.sync += answer.eq(
                    status_word({
                        StatusBit.RUNNING: self.running,
                        StatusBit.LOST: scnn_lost,
                        StatusBit.BAD_READ: bad_read,
                        StatusBit.SEQUENCE: ~idle,
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

        begun = Signal()
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(written & (register.addr == Register.COMMAND)):
                m.d.sync += [todo.eq(register.data), keep.eq((register.data & Go.KEEP).any())]
                m.d.sync += state.eq(_first(register.data))
            # An engine says that it runs from the cycle after it took the command.
            with m.Case(_State.SCNN_START), m.If(scnn_cmd.ready):
                m.d.sync += state.eq(_State.SCNN_RUN)
            with m.Case(_State.SCNN_RUN), m.If(~scnn_running):
                m.d.sync += state.eq(Mux(scnn_lost, _State.IDLE, _first(todo & ~Go.SCNN)))
            # SCNN may be in a run that was started by a command of its own.
            with m.Case(_State.HANDOFF), m.If(~scnn_running & ~handoff.busy):
                m.d.comb += handoff.go.eq(~begun & ~scnn_lost)
                m.d.sync += begun.eq(handoff.go)
                with m.If(~handoff.go):
                    m.d.sync += state.eq(Mux(scnn_lost, _State.IDLE, _first(todo & Go.EIE)))
            with m.Case(_State.EIE_START), m.If(eie_cmd.ready):
                m.d.sync += state.eq(_State.EIE_RUN)
            with m.Case(_State.EIE_RUN), m.If(~eie_running):
                m.d.sync += state.eq(_State.IDLE)
        return m


def _first(todo: Value) -> Value:
    """Find the state that begins the first part of a sequence; IDLE if there is none."""
    return Mux(
        todo[0],
        _State.SCNN_START,
        Mux(todo[1], _State.HANDOFF, Mux(todo[2], _State.EIE_START, _State.IDLE)),
    )
