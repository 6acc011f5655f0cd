"""The host's port of an array: layouts of commands, and how they are served."""

import enum as py_enum
from collections.abc import Sequence
from typing import Any, Protocol

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream

__all__ = [
    "ADDR_BITS",
    "COUNTER_BITS",
    "Command",
    "Control",
    "Controlled",
    "Served",
    "command_layout",
    "host_layout",
    "serve_host",
]

COUNTER_BITS = 32
"""Width of a cycle counter, which wraps."""

ADDR_BITS = 24
"""Width of a host address."""


class Control(py_enum.IntEnum):
    """Rows of the control space."""

    COMMAND = 0
    """Write a :class:`Command`."""
    STATUS = 1
    """Bit 0: a run or a clearing is under way. Bit 1: the file that holds the result."""
    VERSION = 2
    """Version of the interface in the low half, number of PEs in the high half of 32 bits."""
    CYCLES = 3
    """Cycles of the last run, from start to the end of the program, modulo 2**32."""


class Command(py_enum.IntFlag):
    """What can be written to ``Control.COMMAND``."""

    START = 1
    """Run the program, from descriptor 0, with its input in activation file 0."""
    CLEAR = 2
    """Set accumulators and counters to 0."""
    KEEP = 4
    """With START: go on with the source file that the last run left, where a network has more
    weights than the SRAMs hold and the host reloads them between runs."""
    CLEAR_COUNTERS = 8
    """Set the counters to 0, and leave accumulators and files as they are."""


def host_layout(bits: int, space: type[enum.Enum]) -> data.StructLayout:
    """Lay out a host command as a PE sees it: write ``data`` to row ``addr`` of a space, or read.

    Parameters
    ----------
    bits : width of the data.
    space : address spaces; ``CONTROL`` is one of them.
    """
    return data.StructLayout({
        "data": unsigned(bits),
        "addr": unsigned(ADDR_BITS),
        "space": space,
        "write": unsigned(1),
    })


def command_layout(host: data.StructLayout) -> data.StructLayout:
    """Lay out a host command, and the number of the PE (or stream) whose memory is meant."""
    return data.StructLayout({"command": host, "pe": unsigned(8)})


class Controlled(Protocol):
    """What runs the program of an array."""

    start: Signal
    keep: Signal
    clear: Signal
    clear_counters: Signal
    running: Signal


class Served(Protocol):
    """An array, as far as the host sees it."""

    cmd: stream.Interface
    rsp: stream.Interface


def serve_host(
    m: Module,
    array: Served,
    sequencer: Controlled,
    host: Any,
    host_pe: Signal,
    host_valid: Signal,
    answers: Sequence[Signal],
    *,
    counting: Value,
    status: Value,
    version: int,
) -> None:
    """Take commands one by one: a write per cycle, a read in four and until it is answered.

    Parameters
    ----------
    m : of the array; what serves the host is added.
    array : whose port it is.
    sequencer : what a :class:`Command` goes to.
    host, host_pe, host_valid : the command in hand, see :func:`host_layout`, the number that came
        with it, and whether it is new.
    answers : of the PEs, a cycle after the command.
    counting : this cycle is one of the run.
    status, version : read from ``Control.STATUS`` and ``Control.VERSION``.
    """
    control_space = host.shape()["space"].shape.CONTROL
    incoming: Any = array.cmd.payload
    command = incoming.command
    # Reads: in `host`, then out of the memory, then in `rsp`.
    reading = Signal()
    fetched = Signal()
    at_rest = (command.space == control_space) | ~sequencer.running
    m.d.comb += array.cmd.ready.eq(~reading & at_rest)
    m.d.sync += [host_valid.eq(0), fetched.eq(host_valid & ~host.write)]
    with m.If(array.cmd.valid & array.cmd.ready):
        m.d.sync += [
            host.eq(command),
            host_pe.eq(incoming.pe),
            host_valid.eq(1),
            reading.eq(~command.write),
        ]
    with m.If(array.rsp.valid & array.rsp.ready):
        m.d.sync += [array.rsp.valid.eq(0), reading.eq(0)]

    control = host_valid & host.write & (host.space == control_space)
    control = control & (host.addr == Control.COMMAND)
    m.d.comb += [
        sequencer.start.eq(control & (host.data & Command.START).any()),
        sequencer.keep.eq((host.data & Command.KEEP).any()),
        sequencer.clear.eq(control & (host.data & Command.CLEAR).any()),
        sequencer.clear_counters.eq(control & (host.data & Command.CLEAR_COUNTERS).any()),
    ]

    cycles = Signal(COUNTER_BITS)
    with m.If(sequencer.start):
        m.d.sync += cycles.eq(0)
    with m.Elif(counting):
        m.d.sync += cycles.eq(cycles + 1)
    from_control = Signal(COUNTER_BITS)
    with m.Switch(host.addr):
        with m.Case(Control.STATUS):
            m.d.comb += from_control.eq(status)
        with m.Case(Control.VERSION):
            m.d.comb += from_control.eq(version | len(answers) << 16)
        with m.Case(Control.CYCLES):
            m.d.comb += from_control.eq(cycles)
    from_pe = Signal.like(answers[0])
    with m.Switch(host_pe):
        for pe, answer in enumerate(answers):
            with m.Case(pe):
                m.d.comb += from_pe.eq(answer)
    with m.If(fetched):
        m.d.sync += [
            array.rsp.valid.eq(1),
            array.rsp.payload.eq(Mux(host.space == control_space, from_control, from_pe)),
        ]
