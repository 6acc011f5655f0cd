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
        self._word_bytes = -(-word_bits // 8)
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
            "rsp": In(stream.Signature(word_bits)),
            "running": In(1),
        })
        self._state = Signal(_State, name="state")
        self._at = Signal(FRAME_BYTES.bit_length(), name="at")
        self._version = Signal(8, name="version")
        self._sequence = Signal(8, name="sequence")
        self._opcode = Signal(8, name="opcode")
        self._space = Signal(8, name="space")
        self._row = Signal(24, name="row")
        self._step = Signal(8, name="step")
        # In the order of PEs rather than of rows; the highest bit of the space's byte.
        self._across = Signal(name="across")
        self._pe = Signal(8, name="pe")
        self._size = Signal(8, name="size")
        self._count = Signal(8, name="count")
        self._status = Signal(Status, name="status")
        # Of the word that is put together or taken apart.
        self._word = Signal(8 * self._word_bytes, name="word")
        self._byte = Signal(range(max(2, self._word_bytes)), name="byte")
        self._left = Signal(FRAME_BYTES.bit_length(), name="left")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = self.cmd.payload.command
        m.d.comb += [
            self.read_at.eq(self._at),
            command.data.eq(self._word),
            command.addr.eq(self._row),
            command.space.eq(self._space),
            self.cmd.payload.pe.eq(self._pe),
        ]
        with m.Switch(self._state):
            self._take_request(m)
            self._check_request(m)
            self._write_words(m)
            self._give_answer(m)
        return m

    def _answer(self, m: Module, status: Status) -> None:
        # The buffer can take the next frame while this one is answered.
        m.d.comb += self.release.eq(1)
        m.d.sync += [self._status.eq(status), self._state.eq(_State.HEAD), self._at.eq(0)]

    def _next_word(self, m: Module) -> None:
        with m.If(self._across & (self._pe != self._num_pes - 1)):
            m.d.sync += self._pe.eq(self._pe + 1)
        with m.Else():
            m.d.sync += self._row.eq(self._row + self._step)
            with m.If(self._across):
                m.d.sync += self._pe.eq(0)

    def _take_request(self, m: Module) -> None:
        """Take a request apart."""
        with m.Case(_State.IDLE):
            m.d.sync += self._at.eq(0)
            with m.If(self.error != Status.OK):
                m.d.comb += self.acknowledge.eq(1)
                m.d.sync += [self._status.eq(self.error), self._sequence.eq(0), self._opcode.eq(0)]
                m.d.sync += self._state.eq(_State.HEAD)
            with m.Elif(self.frame):
                m.d.sync += self._state.eq(_State.PARSE)
        with m.Case(_State.PARSE):
            # Byte k is there while byte k + 1 is being read. Bytes that the frame does not
            # have are what an earlier frame left; CHECK goes by the length.
            m.d.sync += self._at.eq(self._at + 1)
            into = [
                self._version,
                self._sequence,
                self._opcode,
                None,
                self._pe,
                self._row[:8],
                self._row[8:16],
                self._row[16:],
            ]
            with m.Switch(self._at):
                for number, field in enumerate([*into, self._step, self._size, self._count], 1):
                    with m.Case(number):
                        if field is None:
                            m.d.sync += [
                                self._space.eq(self.read_byte[:7]),
                                self._across.eq(self.read_byte[7]),
                            ]
                        else:
                            m.d.sync += field.eq(self.read_byte)
            with m.If(self._at == _ARGUMENTS + 1):
                m.d.sync += [self._state.eq(_State.CHECK), self._left.eq(self.length - _ARGUMENTS)]

    def _check_request(self, m: Module) -> None:
        """Answer a request that is wrong, or needs no words written."""
        with m.Case(_State.CHECK):
            is_read = self._opcode == Opcode.READ
            can_read = _is_one_of(self._space, self._readable)
            m.d.sync += self._at.eq(_ARGUMENTS)
            with m.If(self._version != VERSION):
                self._answer(m, Status.BAD_VERSION)
            with m.Elif(self._opcode == Opcode.IDENTIFY):
                with m.If(self.length == HEADER_BYTES):
                    self._answer(m, Status.OK)
                with m.Else():
                    self._answer(m, Status.BAD_LENGTH)
            with m.Elif(~is_read & (self._opcode != Opcode.WRITE)):
                self._answer(m, Status.BAD_OPCODE)
            with m.Elif(
                (self.length <= _ARGUMENTS)
                | (is_read & ((self.length != _ARGUMENTS + 1) | (self._count == 0)))
            ):
                self._answer(m, Status.BAD_LENGTH)
            with m.Elif(
                ~Mux(is_read, can_read, _is_one_of(self._space, self._spaces))
                | (self._pe > self._num_pes - 1)
                | (self._size == 0)
                | (self._size > self._word_bytes)
            ):
                self._answer(m, Status.BAD_ARGUMENT)
            with m.Elif(self.running & (self._space != 0)):
                self._answer(m, Status.BUSY)
            with m.Elif(is_read):
                self._answer(m, Status.OK)
            with m.Else():
                m.d.sync += self._state.eq(_State.DIVIDE)

    def _write_words(self, m: Module) -> None:
        """Write the words of a request, if they come out even."""
        command = self.cmd.payload.command
        with m.Case(_State.DIVIDE):
            m.d.sync += [self._left.eq(self._left - self._size), self._byte.eq(0)]
            with m.If(self._left == 0):
                m.d.sync += self._state.eq(_State.FETCH)
            with m.Elif(self._left < self._size):
                self._answer(m, Status.BAD_LENGTH)
        with m.Case(_State.FETCH):
            m.d.sync += [self._at.eq(self._at + 1), self._state.eq(_State.TAKE)]
        with m.Case(_State.TAKE):
            with m.If(self._byte == 0):
                m.d.sync += self._word.eq(self.read_byte)
            with m.Else():
                m.d.sync += self._word.word_select(self._byte, 8).eq(self.read_byte)
            m.d.sync += [self._byte.eq(self._byte + 1), self._state.eq(_State.FETCH)]
            with m.If(self._byte == self._size - 1):
                m.d.sync += [self._byte.eq(0), self._state.eq(_State.WRITE)]
        with m.Case(_State.WRITE):
            m.d.comb += [self.cmd.valid.eq(1), command.write.eq(1)]
            with m.If(self.cmd.ready):
                self._next_word(m)
                m.d.sync += self._state.eq(_State.FETCH)
                with m.If(self._at == self.length):
                    self._answer(m, Status.OK)

    def _give_answer(self, m: Module) -> None:
        """Send the answer to a request: status, then identity or the words that were read."""
        with m.Case(_State.HEAD):
            m.d.comb += self.o.valid.eq(1)
            with m.Switch(self._at[:2]):
                with m.Case(0):
                    m.d.comb += self.o.payload.byte.eq(VERSION)
                with m.Case(1):
                    m.d.comb += self.o.payload.byte.eq(self._sequence)
                with m.Case(2):
                    m.d.comb += self.o.payload.byte.eq(self._opcode | 0x80)
                with m.Case(3):
                    m.d.comb += self.o.payload.byte.eq(self._status)
            with m.If(self.o.ready):
                m.d.sync += self._at.eq(self._at + 1)
                with m.If(self._at[:2] == 3):
                    m.d.sync += [self._at.eq(0), self._state.eq(_State.TAIL)]
                    with m.If((self._status == Status.OK) & (self._opcode == Opcode.IDENTIFY)):
                        m.d.sync += self._state.eq(_State.IDENTITY)
                    with m.Elif((self._status == Status.OK) & (self._opcode == Opcode.READ)):
                        m.d.sync += self._state.eq(_State.READ)
        with m.Case(_State.IDENTITY):
            m.d.comb += self.o.valid.eq(1)
            with m.Switch(self._at):
                for number, value in enumerate(self._identity):
                    with m.Case(number):
                        m.d.comb += self.o.payload.byte.eq(value)
            with m.If(self.o.ready):
                m.d.sync += self._at.eq(self._at + 1)
                with m.If(self._at == len(self._identity) - 1):
                    m.d.sync += self._state.eq(_State.TAIL)
        with m.Case(_State.READ):
            m.d.comb += self.cmd.valid.eq(1)
            with m.If(self.cmd.ready):
                self._next_word(m)
                m.d.sync += [
                    self._byte.eq(0),
                    self._count.eq(self._count - 1),
                    self._state.eq(_State.ANSWER),
                ]
        with m.Case(_State.ANSWER):
            m.d.comb += self.rsp.ready.eq(1)
            with m.If(self.rsp.valid):
                m.d.sync += [self._word.eq(self.rsp.payload), self._state.eq(_State.WORD)]
        with m.Case(_State.WORD):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.byte.eq(self._word[:8])]
            with m.If(self.o.ready):
                m.d.sync += [self._word.eq(self._word >> 8), self._byte.eq(self._byte + 1)]
                with m.If(self._byte == self._size - 1):
                    m.d.sync += self._state.eq(Mux(self._count == 0, _State.TAIL, _State.READ))
        with m.Case(_State.TAIL):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.end.eq(1)]
            with m.If(self.o.ready):
                m.d.sync += self._state.eq(_State.IDLE)


def _is_one_of(value: Signal, numbers: Collection[int]) -> Value:
    return Cat(value == number for number in numbers).any()
