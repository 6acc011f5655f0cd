"""A serial port, and what goes wrong there."""

import errno
import time
from collections.abc import Callable
from typing import Any, Self

from zeroskip.base.errors import ZeroskipError

__all__ = ["BAUD", "AnswerError", "HostError", "Line", "NoAnswerError"]

BAUD = 1_000_000
"""What boards are built for unless told otherwise."""

_STEP = 0.02
"""Seconds, of the machine, between looks at a clock."""


class HostError(ZeroskipError):
    """The board, or the way to it, does not do what was asked."""


class NoAnswerError(HostError):
    """Nothing, or nothing readable, came back in time."""


class AnswerError(HostError):
    """The board refused a request, and has executed nothing of it.

    Parameters
    ----------
    message : the sentence for the user.
    status : what the board said, see :class:`.Status`.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Line:
    """An open serial port, 8N1; a pseudo-terminal does as well.

    Parameters
    ----------
    port : for instance /dev/ttyUSB1.
    baud : bits per second.
    clock : gives the time in seconds by which all waiting goes; that of a simulated board is its
        own, as the machine may have other work to do.

    Raises
    ------
    HostError
        If there is no such port, it may not be used, or another program has it.
    """

    def __init__(
        self, port: str, baud: int = BAUD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            import serial
        except ModuleNotFoundError as error:
            raise HostError(
                "pyserial is not installed: run 'pip install pyserial==3.5', or install Zeroskip "
                "with its extra 'fpga'"
            ) from error
        self.port, self.baud, self.clock = port, baud, clock
        try:
            # Without exclusive use, two programs would take bytes from each other.
            self._serial: Any = serial.Serial(port, baud, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise HostError(f"port {port} cannot be opened: {_reason(port, error)}") from error
        self._serial.reset_input_buffer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        try:
            self._serial.write(data)
        except OSError as error:
            raise HostError(f"port {self.port} is gone: {error}") from error

    def read(self, seconds: float) -> bytes:
        """Return what came in; wait for the first byte for at most ``seconds``."""
        give_up = self.clock() + seconds
        try:
            while True:
                left = give_up - self.clock()
                self._serial.timeout = min(max(0.0, left), _STEP)
                # Also after the time is over: the bytes may have been there all the while.
                first = self._serial.read(1)
                if first or left <= 0:
                    return first + self._serial.read(self._serial.in_waiting) if first else first
        except OSError as error:
            raise HostError(f"port {self.port} is gone: {error}") from error

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        give_up = self.clock() + seconds
        while self.clock() < give_up:
            time.sleep(min(seconds, _STEP))

    def drain(self, seconds: float) -> None:
        """Read until nothing has come for ``seconds``, but not without end."""
        give_up = self.clock() + 20 * seconds
        while self.read(seconds) and self.clock() < give_up:
            pass


def _reason(port: str, error: Exception) -> str:
    """Say what is wrong in the user's words."""
    text, number = str(error), getattr(error, "errno", None)
    if number == errno.ENOENT or "No such file" in text:
        return "there is no such port; see which there are with 'ls /dev/tty*'"
    if number == errno.EACCES or "Permission" in text:
        return "you may not use it; join the group that owns it, often 'dialout'"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return "another program uses it; end that first"
    if number in (errno.ENOTTY, errno.EINVAL) or "ioctl" in text or "Could not configure" in text:
        return "it is no serial port, or does not do this baud rate"
    return text
