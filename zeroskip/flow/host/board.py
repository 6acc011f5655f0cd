"""A board at the other end of a serial line: requests, answers, and trying again."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.flow.host.codec import Answer, Frames, answer, request
from zeroskip.flow.host.line import AnswerError, HostError, Line, NoAnswerError
from zeroskip.hw.board.protocol import (
    ARGUMENT_BYTES,
    CRC_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    IDENTITY,
    MAGIC,
    Opcode,
    Status,
)
from zeroskip.hw.common.control import CONTROL_SPACE, Command, Control, StatusBit

__all__ = ["Board", "Identity"]

_ROOM = FRAME_BYTES - CRC_BYTES - HEADER_BYTES - ARGUMENT_BYTES
"""Bytes of words that one WRITE carries."""

_MOST_READ = 255
"""Words that one READ asks for."""

_ATTEMPTS = 4

# What a disturbed line does to a request, or the request before it; another attempt may help.
_RETRY = (
    Status.BAD_CRC, Status.BAD_ESCAPE, Status.TOO_LONG, Status.TOO_SHORT, Status.TIMEOUT,
    Status.OVERRUN, Status.LINE,
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Identity of a board, as it answers IDENTIFY.

    Parameters
    ----------
    engine : number of the kind of array, see :class:`.Hosted`.
    version : of the array's host interface.
    num_pes : processing elements.
    word_bytes : most bytes of a word in a request.
    frame_bytes : most bytes of a request.
    clock_hz : the array's clock.
    digest : of its parameters, see :func:`.params_digest`.
    """

    engine: int
    version: int
    num_pes: int
    word_bytes: int
    frame_bytes: int
    clock_hz: int
    digest: bytes


class Board:
    """Requests to a board, one at a time.

    A request that was disturbed on the line is sent again, up to three times; one that was lost
    is, too, unless that could do something twice (START).

    Parameters
    ----------
    line : to the board.
    patience : seconds to wait for an answer, besides the time its bytes take.
    run_seconds : that a run, or a clearing, may take.
    """

    def __init__(self, line: Line, *, patience: float = 1.0, run_seconds: float = 10.0) -> None:
        self.line = line
        self._patience, self._run_seconds = patience, run_seconds
        self._sequence = 0
        self._frames = Frames()
        self.retries = 0
        """Requests that had to be sent again."""

    def identify(self) -> Identity:
        """Ask the board what it is.

        Raises
        ------
        HostError
            If nothing answers, or something else than a board of this protocol.
        """
        payload = self._ask(Opcode.IDENTIFY, b"").payload
        if len(payload) != struct.calcsize(IDENTITY) or not payload.startswith(MAGIC):
            raise HostError(
                f"what is at port {self.line.port} is no Zeroskip board: it calls itself "
                f"{payload[:8]!r}"
            )
        return Identity(*struct.unpack(IDENTITY, payload)[1:])

    def write(
        self,
        space: int,
        row: int,
        words: NDArray[np.uint64],
        *,
        size: int,
        pe: int = 0,
        step: int = 1,
        across: int = 0,
    ) -> None:
        """Write words, in as many requests as it takes.

        Parameters
        ----------
        space, row, pe : of the first word.
        words : (words, limbs) uint64, limbs of 64 bits, lowest first.
        size : bytes of each word that are sent, lowest first.
        step : rows from one word to the next.
        across : the board's PEs, to go from PE to PE, and ``step`` rows on after the last; 0 to
            stay at one.

        Raises
        ------
        HostError
            If the board refuses or does not answer.
        """
        data = np.ascontiguousarray(words, "<u8").view(np.uint8)[:, :size]
        most = _ROOM // size
        for begin in range(0, len(words), most):
            head = _arguments(space, row, pe, step, size, across, begin)
            part = data[begin : begin + most].tobytes()
            # What starts a run must not be sent again by itself.
            self._ask(Opcode.WRITE, head + part, again=space != CONTROL_SPACE)

    def read(
        self,
        space: int,
        row: int,
        count: int,
        *,
        size: int,
        pe: int = 0,
        step: int = 1,
        across: int = 0,
    ) -> NDArray[np.uint64]:
        """Read ``count`` words, in as many requests as it takes; see :meth:`write`.

        Returns
        -------
        (count,) uint64: the lowest ``size`` bytes of each word, at most 8.
        """
        words = np.zeros((count, 8), np.uint8)
        for begin in range(0, count, _MOST_READ):
            part = min(_MOST_READ, count - begin)
            head = _arguments(space, row, pe, step, size, across, begin)
            payload = self._ask(Opcode.READ, head + bytes([part]), expect=part * size).payload
            if len(payload) != part * size:
                raise HostError(
                    f"the board answered READ with {len(payload)} bytes instead of {part * size}"
                )
            words[begin : begin + part, :size] = np.frombuffer(payload, np.uint8).reshape(-1, size)
        return words.view("<u8").astype(np.uint64)[:, 0]

    def control(self, row: Control) -> int:
        """Read a row of the control space."""
        return int(self.read(CONTROL_SPACE, row, 1, size=4)[0])

    def command(self, command: Command) -> None:
        """Give a command, without waiting for what it does."""
        word = np.array([[command]], np.uint64)
        self.write(CONTROL_SPACE, Control.COMMAND, word, size=1)

    def running(self) -> bool:
        """Ask whether a run or a clearing is under way."""
        return bool(self.control(Control.STATUS) & StatusBit.RUNNING)

    def source(self) -> int:
        """Ask for the source file: after a run, the one that holds the result."""
        return StatusBit(self.control(Control.STATUS)).source

    def wait(self) -> None:
        """Wait for the end of what is under way.

        Raises
        ------
        HostError
            If it does not end in time; it is then stopped.
        """
        give_up = self.line.clock() + self._run_seconds
        while self.running():
            if self.line.clock() > give_up:
                self.command(Command.CLEAR)
                raise HostError(
                    f"the run did not end in {self._run_seconds:g} s and was stopped: load the "
                    "image again"
                )

    def clear(self) -> None:
        """Stop what is under way, set accumulators and counters to 0, and wait for it."""
        self.command(Command.CLEAR)
        self.wait()

    def clear_counters(self) -> None:
        """Set the counters to 0, and wait for it."""
        self.command(Command.CLEAR_COUNTERS)
        self.wait()

    def run(self, *, keep: bool = False) -> None:
        """Run the program to its end; with ``keep`` from the source file of the last run."""
        self.command(Command.START | (Command.KEEP if keep else Command(0)))
        self.wait()

    def _ask(
        self, opcode: int, arguments: bytes, *, expect: int = 64, again: bool = True
    ) -> Answer:
        """Send a request and return the answer, which has some ``expect`` bytes."""
        problem = ""
        for attempt in range(_ATTEMPTS):
            self.retries += attempt > 0
            self._sequence = self._sequence % 255 + 1
            data = request(self._sequence, opcode, arguments)
            self.line.write(data)
            # A byte takes ten bits; each may be escaped.
            bits = 10 * (len(data) + 2 * expect)
            got = self._answer(self._patience + bits / self.line.baud)
            if got is None:
                problem = f"nothing answers at port {self.line.port} with {self.line.baud} baud"
                if not again:
                    break
            elif got.status == Status.OK:
                return got
            else:
                problem = _refusal(got.status)
                if got.status == Status.BUSY:
                    # The clearing after a reset; or a run that another program started.
                    self.line.pause(0.01)
                elif got.status not in _RETRY:
                    raise AnswerError(problem, got.status)
        raise NoAnswerError(
            f"{problem}; check the port, the baud rate, and that the bitstream is in the board"
        )

    def _answer(self, seconds: float) -> Answer | None:
        """Wait for the answer to the last request, or to what the board could not read of it."""
        give_up = self.line.clock() + seconds
        fault = None
        while True:
            left = give_up - self.line.clock()
            # An error without a number may be about noise before the request: is there more?
            data = self.line.read(min(left, self._patience / 4) if fault else left)
            for body in self._frames.feed(data):
                got = answer(body)
                if got is not None and got.sequence == self._sequence:
                    return got
                if got is not None and got.sequence == 0:
                    fault = got
            if left <= 0 or (fault and not data):
                return fault


def _arguments(
    space: int, row: int, pe: int, step: int, size: int, across: int, begin: int
) -> bytes:
    """Pack the arguments for the words from number ``begin`` on."""
    if across:
        rows, pe = divmod(pe + begin, across)
        row += step * rows
    else:
        row += step * begin
    head = bytes([space | (0x80 if across else 0), pe]) + row.to_bytes(3, "little")
    return head + bytes([step, size])


def _refusal(status: int) -> str:
    if status not in list(Status):
        return f"the board refused the request with status {status}, which is unknown"
    return f"the board refused the request: {Status(status).name}"
