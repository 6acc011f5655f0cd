"""A port for a unit that moves planes: its PEs' activation RAMs, and nothing else."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.common.host_port import take_commands
from zeroskip.hw.common.queue import Queue
from zeroskip.hw.scnn.formats import HOST_READS, command_layout, host_bits, host_layout
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["PlanePort"]


class PlanePort(wiring.Component):
    """Takes the commands of a unit as the host's port does, beside which it works.

    Members
    -------
    cmd : ``In(stream(command_layout))``, to the spaces ACT and DIRECTORY of the unit's PEs, which
        is not looked at; while a run is under way, only writes of what it waits for.
    rsp : ``Out(stream(host_bits))``, an answer to each that reads.
    host, pe, valid : Out, the command in hand, the PE that it is for, and whether it is new.
    late_pe : Out, of the command before.
    answer : In, of that PE.
    """

    cmd: stream.Interface
    rsp: stream.Interface
    host: data.View
    pe: Signal
    valid: Signal
    late_pe: Signal
    answer: Signal

    def __init__(self, params: ScnnParams) -> None:
        self._p = params
        super().__init__({
            "cmd": In(stream.Signature(command_layout(params))),
            "rsp": Out(stream.Signature(host_bits(params))),
            "host": Out(host_layout(params)),
            "pe": Out(8),
            "valid": Out(1),
            "late_pe": Out(8),
            "answer": In(host_bits(params)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.answers = answers = Queue(host_bits(self._p), HOST_READS, head=True)
        hand = self.host, self.pe, self.valid
        fetched, _, late_pe = take_commands(
            m, self.cmd, self.rsp, answers, hand, Const(1), HOST_READS
        )
        m.d.comb += [
            self.late_pe.eq(late_pe),
            answers.i.valid.eq(fetched),
            answers.i.payload.eq(self.answer),
        ]
        return m
