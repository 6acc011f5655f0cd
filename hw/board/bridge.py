"""Bridge: turns requests in frames into commands of the array's host port, and answers back."""

import struct
from collections.abc import Collection

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.hw.board.frame import BODY
from zeroskip.hw.board.protocol import (
    ARGUMENT_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    IDENTITY,
    VERSION,
    Opcode,
    Status,
)

__all__ = ["Bridge"]

_ARGUMENTS = HEADER_BYTES + ARGUMENT_BYTES
"""Where the words of WRITE begin, and the count of READ is."""


class _State(enum.Enum, shape=4):
    IDLE = 0
    PARSE = 1
    CHECK = 2
    DIVIDE = 3  # is there a whole number of words?
    FETCH = 4
    TAKE = 5
    WRITE = 6
    HEAD = 7
    IDENTITY = 8
    READ = 9
    ANSWER = 10
    WORD = 11
    TAIL = 12


class Bridge(wiring.Component):
    """Execute one request at a time, and answer every request and every bad frame.

    A request is checked to its last byte before its first word is written. Space 0 is the
    control space, which is always open; the others are while no run is under way.

    Parameters
    ----------
    command : layout of the host port's commands, with fields as
        :func:`.command_layout` has them.
    word_bits : width of the commands' data, and of the array's answers.
    identity : what IDENTIFY answers.
    num_pes : PEs are below this.
    spaces, readable : numbers of the spaces that can be written, and that can be read.

    Members
    -------
    frame, length, read_at, read_byte, release, error, acknowledge : see ``Deframe``.
    o : ``Out(stream(BODY))``, answers.
    cmd, rsp : commands and answers of the array.
    running : In, the array takes commands to the control space only.
    """

    frame: Signal
    length: Signal
    read_at: Signal
    read_byte: Signal
    release: Signal
    error: Signal
    acknowledge: Signal
    o: stream.Interface
    cmd: stream.Interface
    rsp: stream.Interface
    running: Signal

    def __init__(
        self,
        command: data.StructLayout,
        word_bits: int,
        identity: bytes,
        num_pes: int,
        spaces: Collection[int],
        readable: Collection[int],
    ) -> None:
        if len(identity) != struct.calcsize(IDENTITY):
            raise ValueError(
                f"identity must have {struct.calcsize(IDENTITY)} bytes, not {len(identity)}"
            )
        self._identity = identity
        self._num_pes = num_pes
        self._spaces, self._readable = sorted(spaces), sorted(readable)
        self._word = word_bits
        super().__init__({
            "frame": In(1),
            "length": In(FRAME_BYTES.bit_length()),
            "read_at": Out(range(FRAME_BYTES)),
            "read_byte": In(8),
            "release": Out(1),
            "error": In(4),
            "acknowledge": Out(1),
            "o": Out(stream.Signature(BODY)),
            "cmd": Out(stream.Signature(command)),
            "rsp": In(stream.Signature(self._word)),
            "running": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_bytes = -(-self._word // 8)
        state = Signal(_State)
        at = Signal(FRAME_BYTES.bit_length())
        version, sequence, opcode = (Signal(8, name=n) for n in ("version", "sequence", "opcode"))
        space = Signal(8)
        row = Signal(24)
        step = Signal(8)
        # In the order of PEs rather than of rows; the highest bit of the space's byte.
        across = Signal()
        pe = Signal(8)
        size = Signal(8)
        count = Signal(8)
        status = Signal(Status)
        # Of the word that is put together or taken apart.
        word = Signal(8 * word_bytes)
        byte = Signal(range(max(2, word_bytes)))
        left = Signal(FRAME_BYTES.bit_length())
        command = self.cmd.payload.command
        m.d.comb += [
            self.read_at.eq(at),
            command.data.eq(word),
            command.addr.eq(row),
            command.space.eq(space),
            self.cmd.payload.pe.eq(pe),
        ]

        def answer(what: Status) -> None:
            # The buffer can take the next frame while this one is answered.
            m.d.comb += self.release.eq(1)
            m.d.sync += [status.eq(what), state.eq(_State.HEAD), at.eq(0)]

        def next_word() -> None:
            with m.If(across & (pe != self._num_pes - 1)):
                m.d.sync += pe.eq(pe + 1)
            with m.Else():
                m.d.sync += row.eq(row + step)
                with m.If(across):
                    m.d.sync += pe.eq(0)

        with m.Switch(state):
            with m.Case(_State.IDLE):
                m.d.sync += at.eq(0)
                with m.If(self.error != Status.OK):
                    m.d.comb += self.acknowledge.eq(1)
                    m.d.sync += [status.eq(self.error), sequence.eq(0), opcode.eq(0)]
                    m.d.sync += state.eq(_State.HEAD)
                with m.Elif(self.frame):
                    m.d.sync += state.eq(_State.PARSE)
            with m.Case(_State.PARSE):
                # Byte k is there while byte k + 1 is being read. Bytes that the frame does not
                # have are what an earlier frame left; CHECK goes by the length.
                m.d.sync += at.eq(at + 1)
                into = [version, sequence, opcode, None, pe, row[:8], row[8:16], row[16:]]
                with m.Switch(at):
                    for number, field in enumerate([*into, step, size, count], 1):
                        with m.Case(number):
                            if field is None:
                                m.d.sync += [
                                    space.eq(self.read_byte[:7]),
                                    across.eq(self.read_byte[7]),
                                ]
                            else:
                                m.d.sync += field.eq(self.read_byte)
                with m.If(at == _ARGUMENTS + 1):
                    m.d.sync += [state.eq(_State.CHECK), left.eq(self.length - _ARGUMENTS)]
            with m.Case(_State.CHECK):
                is_read = opcode == Opcode.READ
                can_read = _is_one_of(space, self._readable)
                m.d.sync += at.eq(_ARGUMENTS)
                with m.If(version != VERSION):
                    answer(Status.BAD_VERSION)
                with m.Elif(opcode == Opcode.IDENTIFY):
                    with m.If(self.length == HEADER_BYTES):
                        answer(Status.OK)
                    with m.Else():
                        answer(Status.BAD_LENGTH)
                with m.Elif(~is_read & (opcode != Opcode.WRITE)):
                    answer(Status.BAD_OPCODE)
                with m.Elif(
                    (self.length <= _ARGUMENTS)
                    | (is_read & ((self.length != _ARGUMENTS + 1) | (count == 0)))
                ):
                    answer(Status.BAD_LENGTH)
                with m.Elif(
                    ~Mux(is_read, can_read, _is_one_of(space, self._spaces))
                    | (pe > self._num_pes - 1)
                    | (size == 0)
                    | (size > word_bytes)
                ):
                    answer(Status.BAD_ARGUMENT)
                with m.Elif(self.running & (space != 0)):
                    answer(Status.BUSY)
                with m.Elif(is_read):
                    answer(Status.OK)
                with m.Else():
                    m.d.sync += state.eq(_State.DIVIDE)
            with m.Case(_State.DIVIDE):
                m.d.sync += [left.eq(left - size), byte.eq(0)]
                with m.If(left == 0):
                    m.d.sync += state.eq(_State.FETCH)
                with m.Elif(left < size):
                    answer(Status.BAD_LENGTH)
            with m.Case(_State.FETCH):
                m.d.sync += [at.eq(at + 1), state.eq(_State.TAKE)]
            with m.Case(_State.TAKE):
                with m.If(byte == 0):
                    m.d.sync += word.eq(self.read_byte)
                with m.Else():
                    m.d.sync += word.word_select(byte, 8).eq(self.read_byte)
                m.d.sync += [byte.eq(byte + 1), state.eq(_State.FETCH)]
                with m.If(byte == size - 1):
                    m.d.sync += [byte.eq(0), state.eq(_State.WRITE)]
            with m.Case(_State.WRITE):
                m.d.comb += [self.cmd.valid.eq(1), command.write.eq(1)]
                with m.If(self.cmd.ready):
                    next_word()
                    m.d.sync += state.eq(_State.FETCH)
                    with m.If(at == self.length):
                        answer(Status.OK)
            with m.Case(_State.HEAD):
                m.d.comb += self.o.valid.eq(1)
                with m.Switch(at[:2]):
                    with m.Case(0):
                        m.d.comb += self.o.payload.byte.eq(VERSION)
                    with m.Case(1):
                        m.d.comb += self.o.payload.byte.eq(sequence)
                    with m.Case(2):
                        m.d.comb += self.o.payload.byte.eq(opcode | 0x80)
                    with m.Case(3):
                        m.d.comb += self.o.payload.byte.eq(status)
                with m.If(self.o.ready):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at[:2] == 3):
                        m.d.sync += [at.eq(0), state.eq(_State.TAIL)]
                        with m.If((status == Status.OK) & (opcode == Opcode.IDENTIFY)):
                            m.d.sync += state.eq(_State.IDENTITY)
                        with m.Elif((status == Status.OK) & (opcode == Opcode.READ)):
                            m.d.sync += state.eq(_State.READ)
            with m.Case(_State.IDENTITY):
                m.d.comb += self.o.valid.eq(1)
                with m.Switch(at):
                    for number, value in enumerate(self._identity):
                        with m.Case(number):
                            m.d.comb += self.o.payload.byte.eq(value)
                with m.If(self.o.ready):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == len(self._identity) - 1):
                        m.d.sync += state.eq(_State.TAIL)
            with m.Case(_State.READ):
                m.d.comb += self.cmd.valid.eq(1)
                with m.If(self.cmd.ready):
                    next_word()
                    m.d.sync += [byte.eq(0), count.eq(count - 1), state.eq(_State.ANSWER)]
            with m.Case(_State.ANSWER):
                m.d.comb += self.rsp.ready.eq(1)
                with m.If(self.rsp.valid):
                    m.d.sync += [word.eq(self.rsp.payload), state.eq(_State.WORD)]
            with m.Case(_State.WORD):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.byte.eq(word[:8])]
                with m.If(self.o.ready):
                    m.d.sync += [word.eq(word >> 8), byte.eq(byte + 1)]
                    with m.If(byte == size - 1):
                        m.d.sync += state.eq(Mux(count == 0, _State.TAIL, _State.READ))
            with m.Case(_State.TAIL):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.end.eq(1)]
                with m.If(self.o.ready):
                    m.d.sync += state.eq(_State.IDLE)
        return m


def _is_one_of(value: Signal, numbers: Collection[int]) -> Value:
    return Cat(value == number for number in numbers).any()
