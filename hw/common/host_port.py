"""The host's port of an array: how commands are served."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, Protocol

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import connect, flipped

from zeroskip.hw.common.control import CONTROL_SPACE, Command, Control, StatusBit
from zeroskip.hw.common.formats import COUNTER_BITS
from zeroskip.hw.common.params import address_bits
from zeroskip.hw.common.queue import Queue

__all__ = [
    "Served",
    "choose_answer",
    "serve_host",
    "status_word",
    "take_commands",
]


class Served(Protocol):
    """An array, as far as the host sees it."""

    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal


def status_word(bits: Mapping[StatusBit, Value]) -> Value:
    """Put a status together; bits that are not given are 0."""
    listed = range(max(bits).bit_length())
    return Cat(bits.get(StatusBit(1 << place), Const(0, 1)) for place in listed)


def serve_host(
    m: Module,
    array: Served,
    run: Any,
    host: Any,
    host_pe: Signal,
    host_valid: Signal,
    answers: Sequence[Signal],
    *,
    readable: Mapping[Any, tuple[int, int]],
    version: int,
    lost: Value | None = None,
    held: Value | None = None,
    beside: Value | None = None,
    reads: int = 1,
) -> None:
    """Take commands one by one: a write per cycle, and as many reads as may be on their way.

    A read is answered three cycles later at the earliest. Commands take effect in their order.
    Those to memories wait while a run is under way, from the command that begins it on; those to
    the control space do not.

    Parameters
    ----------
    m : of the array; what serves the host is added.
    array : whose port it is; ``running`` is driven, too.
    run : what a :class:`.Command` goes to, see :class:`.RunSignature`.
    host, host_pe, host_valid : the command in hand, see :func:`.host_layout`, the number that came
        with it, and whether it is new.
    answers : of the PEs, a cycle after the command.
    readable : rows of a memory that can be read, and how many such there are (files, one above the
        other in the address), by space. All else is answered with 0 and ``StatusBit.BAD_READ``.
    version : read from ``Control.VERSION``.
    lost : read from ``Control.STATUS`` as ``StatusBit.LOST``.
    held : the command at the port waits, too.
    beside : the command at the port does not wait for a run.
    reads : reads that have been taken and not answered, at most.
    """
    command: Any = array.cmd.payload.command
    # What was under way in the cycle before may still be on its way to a memory: the counters add
    # up a cycle behind.
    was_running = Signal()
    m.d.sync += was_running.eq(array.running)
    at_rest = (command.space == CONTROL_SPACE) | ~(array.running | was_running)
    if held is not None:
        at_rest &= ~held
    if beside is not None:
        at_rest |= beside
    m.submodules.answers = waiting = Queue(array.rsp.payload.shape(), reads, head=True)
    fetched, late, late_pe = take_commands(
        m, array.cmd, array.rsp, waiting, (host, host_pe, host_valid), at_rest, reads
    )

    written = host_valid & host.write & (host.space == CONTROL_SPACE)
    control = written & (host.addr == Control.COMMAND)
    m.d.comb += [
        run.start.eq(control & (host.data & Command.START).any()),
        run.keep.eq((host.data & Command.KEEP).any()),
        run.clear.eq(control & (host.data & Command.CLEAR).any()),
        run.clear_counters.eq(control & (host.data & Command.CLEAR_COUNTERS).any()),
    ]
    if run.signature.files > 2:
        m.d.comb += run.next.eq((host.data & Command.NEXT).any())
    if run.signature.sequences:
        m.d.comb += run.begin.eq((host.data & Command.BEGIN).any())
    # A run is under way from the next cycle on, but the command behind must not slip in. That one
    # begins is found out as its command is taken: what waits for it has a long way to go.
    begins = Signal()
    commands = Command.START | Command.CLEAR | Command.CLEAR_COUNTERS
    begun_by = command.write & (command.space == CONTROL_SPACE) & (command.addr == Control.COMMAND)
    m.d.sync += begins.eq(
        array.cmd.valid & array.cmd.ready & begun_by & (command.data & commands).any()
    )
    m.d.comb += array.running.eq(begins | run.running)

    cycles = Signal(COUNTER_BITS)
    with m.If(run.start):
        m.d.sync += cycles.eq(0)
    with m.Elif(run.counting):
        m.d.sync += cycles.eq(cycles + 1)

    bad_read = Signal()
    status = status_word({
        StatusBit.RUNNING: array.running,
        StatusBit.SOURCE: run.source[0],
        **({StatusBit.SOURCE_2: run.source[1]} if run.signature.files > 2 else {}),
        StatusBit.LOST: Const(0, 1) if lost is None else lost,
        StatusBit.BAD_READ: bad_read,
    })
    rows = {
        Control.STATUS: status,
        Control.VERSION: Const(version | len(answers) << 16, COUNTER_BITS),
        Control.CYCLES: cycles,
    }
    good, answer = _find_answer(m, late, late_pe, answers, readable, rows)
    m.d.comb += [waiting.i.valid.eq(fetched), waiting.i.payload.eq(answer)]
    with m.If(fetched & ~good):
        m.d.sync += bad_read.eq(1)
    with m.If(written & (host.addr == Control.STATUS) & (host.data & StatusBit.BAD_READ).any()):
        m.d.sync += bad_read.eq(0)


def take_commands(
    m: Module,
    cmd: stream.Interface,
    rsp: stream.Interface,
    answers: Queue,
    hand: tuple[Any, Signal, Signal],
    ready: Value,
    reads: int,
) -> tuple[Signal, Any, Signal]:
    """Take commands into a register, and keep those that read until they are answered.

    Parameters
    ----------
    m : of the array.
    cmd, rsp : the port.
    answers : a queue of as many as ``reads``, for what ``rsp`` is to give.
    hand : the command in hand, the number that came with it, and whether it is new.
    ready : a command may be taken.
    reads : that have been taken and not answered, at most.

    Returns
    -------
    Whether a memory has been read, for the command that follows, and for which number.
    """
    host, host_pe, host_valid = hand
    # Reads: in `host`, then out of the memory, while `late` has what they were, then in `rsp`.
    reading = Signal(range(reads + 1))
    fetched = Signal()
    late, late_pe = Signal.like(host, name="late"), Signal.like(host_pe, name="late_pe")
    taken = cmd.valid & cmd.ready
    connect(m, answers.o, flipped(rsp))
    m.d.comb += cmd.ready.eq((reading != reads) & ready)
    m.d.sync += [
        host_valid.eq(0),
        fetched.eq(host_valid & ~host.write),
        late.eq(host),
        late_pe.eq(host_pe),
        reading.eq(reading + (taken & ~cmd.payload.command.write) - (rsp.valid & rsp.ready)),
    ]
    with m.If(taken):
        m.d.sync += [host.eq(cmd.payload.command), host_pe.eq(cmd.payload.pe), host_valid.eq(1)]
    return fetched, late, late_pe


def _find_answer(
    m: Module,
    host: Any,
    host_pe: Signal,
    answers: Sequence[Signal],
    readable: Mapping[Any, tuple[int, int]],
    rows: Mapping[Control, Value],
) -> tuple[Value, Value]:
    """Return whether what a command reads is there, and the answer, 0 if it is not.

    Parameters
    ----------
    host, host_pe, answers, readable : see :func:`serve_host`.
    rows : of the control space.
    """
    is_row, in_memory = Signal(name="is_row"), Signal(name="in_memory")
    from_control = Signal(COUNTER_BITS)
    from_pe = Signal.like(answers[0])
    with m.Switch(host.addr):
        for row, word in rows.items():
            with m.Case(row):
                m.d.comb += [is_row.eq(1), from_control.eq(word)]
    with m.Switch(host.space):
        for space, (count, files) in readable.items():
            bits = address_bits(count)
            with m.Case(space):
                m.d.comb += in_memory.eq((host.addr[:bits] < count) & (host.addr[bits:] < files))
    m.d.comb += from_pe.eq(choose_answer(host_pe, dict(enumerate(answers))))
    of_control = host.space == CONTROL_SPACE
    good = Mux(of_control, is_row, in_memory & (host_pe < len(answers)))
    return good, Mux(of_control, from_control, Mux(in_memory, from_pe, 0))


def choose_answer(pe: Value, answers: Mapping[int, Value]) -> Value:
    """Return the answer of a PE, 0 if there is none of that number."""
    # No choice by number: with it, the areas of many PEs came out a third larger.
    return reduce(or_, (Mux(pe == number, word, 0) for number, word in answers.items()))
