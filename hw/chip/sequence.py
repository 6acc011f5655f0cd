"""The chip's sequence: run SCNN, hand its outputs over, run EIE."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.chip.formats import Go

__all__ = ["Sequence"]


class _State(enum.Enum, shape=3):
    IDLE = 0
    SCNN_START = 1
    SCNN_RUN = 2
    HANDOFF_START = 3
    HANDOFF_RUN = 4
    EIE_START = 5
    EIE_RUN = 6


class Sequence(wiring.Component):
    """Do the parts that a command names, one after the other.

    Outputs that SCNN has lost are not handed over: the sequence then ends, see ``Go``.

    Members
    -------
    go, parts : In, begin with the parts of a :class:`.Go`; only while not ``busy``.
    busy : Out, a sequence is under way.
    scnn_start, eie_start : Out, send the engine the command to start.
    scnn_ready, eie_ready : In, the engine takes a command in this cycle.
    scnn_running, eie_running : In, the engine is at work.
    scnn_lost : In, outputs of SCNN's last run found no room.
    handoff_go : Out, begin the handoff.
    handoff_busy : In, it is at work.
    """

    go: Signal
    parts: Signal
    busy: Signal
    scnn_start: Signal
    scnn_ready: Signal
    scnn_running: Signal
    scnn_lost: Signal
    handoff_go: Signal
    handoff_busy: Signal
    eie_start: Signal
    eie_ready: Signal
    eie_running: Signal

    def __init__(self) -> None:
        super().__init__({
            "go": In(1),
            "parts": In(len(Go)),
            "busy": Out(1),
            "scnn_start": Out(1),
            "scnn_ready": In(1),
            "scnn_running": In(1),
            "scnn_lost": In(1),
            "handoff_go": Out(1),
            "handoff_busy": In(1),
            "eie_start": Out(1),
            "eie_ready": In(1),
            "eie_running": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(_State)
        parts = Signal(len(Go))
        m.d.comb += [
            self.busy.eq(state != _State.IDLE),
            self.scnn_start.eq(state == _State.SCNN_START),
            self.eie_start.eq(state == _State.EIE_START),
        ]
        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += parts.eq(self.parts)
                with m.If(self.go):
                    m.d.sync += state.eq(_first(self.parts))
            # An engine says that it runs from the cycle after it took the command.
            with m.Case(_State.SCNN_START), m.If(self.scnn_ready):
                m.d.sync += state.eq(_State.SCNN_RUN)
            with m.Case(_State.SCNN_RUN), m.If(~self.scnn_running):
                m.d.sync += state.eq(Mux(self.scnn_lost, _State.IDLE, _first(parts & ~Go.SCNN)))
            # SCNN may be in a run that was started by a command of its own.
            with m.Case(_State.HANDOFF_START), m.If(~self.scnn_running):
                m.d.comb += self.handoff_go.eq(~self.scnn_lost)
                m.d.sync += state.eq(Mux(self.scnn_lost, _State.IDLE, _State.HANDOFF_RUN))
            with m.Case(_State.HANDOFF_RUN), m.If(~self.handoff_busy):
                m.d.sync += state.eq(_first(parts & Go.EIE))
            with m.Case(_State.EIE_START), m.If(self.eie_ready):
                m.d.sync += state.eq(_State.EIE_RUN)
            with m.Case(_State.EIE_RUN), m.If(~self.eie_running):
                m.d.sync += state.eq(_State.IDLE)
        return m


def _first(parts: Value) -> Value:
    """Find the state that begins the first part of a sequence; IDLE if there is none."""
    return Mux(
        parts[0],
        _State.SCNN_START,
        Mux(parts[1], _State.HANDOFF_START, Mux(parts[2], _State.EIE_START, _State.IDLE)),
    )
