"""Run code that a user wrote so that whatever it does wrong is told in one sentence."""

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from zeroskip.base.errors import InputError, ZeroskipError

__all__ = ["first_words", "running"]


class _ExitError(SystemExit):
    """What ``os._exit`` raises here: it would end the program without a word."""


@contextmanager
def running(what: str, file: Path | None = None) -> Iterator[None]:
    """Run a user's code in the body: exceptions and exits of every kind become one error.

    Meanwhile ``sys.argv`` is the file alone: this program's arguments are not for it.

    Parameters
    ----------
    what : the subject of the sentence, like ``hook file hooks.py``.
    file : the user's; the error names the last line in its folder that ran.

    Raises
    ------
    InputError
        In place of whatever the body raises, unless that is an error of ours, a lack of memory, or
        Ctrl-C.
    """
    arguments, leave = sys.argv, os._exit
    owner = os.getpid()

    def refuse(status: int) -> NoReturn:
        # Processes of data loaders inherit this, and end by it.
        if os.getpid() != owner:
            leave(status)
        raise _ExitError(status)

    if file is not None:
        sys.argv = [str(file)]
    os._exit = refuse
    try:
        yield
    except (ZeroskipError, MemoryError, GeneratorExit):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and _by_signal(error.__traceback__):
            raise
        raise InputError(
            f"{what} cannot be run: {_words(error)}{_place(error.__traceback__, file)}"
        ) from error
    finally:
        sys.argv, os._exit = arguments, leave


def first_words(error: BaseException) -> str:
    """Return what ``error`` says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return ""
    # Data loaders' processes send the whole traceback, whose last line is the reason.
    text = lines[-1] if lines[0].startswith("Caught ") else lines[0]
    return text.rstrip(".: ")


def _words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        call = "os._exit" if isinstance(error, _ExitError) else "sys.exit"
        code = "" if error.code is None else first_words(Exception(error.code))
        return f"it ends the program with {call}({code})"
    text = first_words(error)
    name = type(error).__name__
    return text if text.startswith(f"{name}: ") else f"{name}: {text}".rstrip(": ")


def _place(trace: TracebackType | None, file: Path | None) -> str:
    """Return the last line of the user's files that ran, in brackets."""
    if file is None:
        return ""
    home, found = file.absolute().parent, ""
    for frame in traceback.extract_tb(trace):
        path = Path(frame.filename).absolute()
        if path.is_relative_to(home):
            inside = path.relative_to(home)
            if "site-packages" not in inside.parts:
                found = f" ({inside}, line {frame.lineno})"
    return found


def _by_signal(trace: TracebackType | None) -> bool:
    """Say whether an interrupt came from outside, as Ctrl-C does."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    if signal.default_int_handler in handlers:
        # Written in C, it leaves no trace to tell it by.
        return True
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    codes = [getattr(handler, "__code__", None) for handler in handlers]
    return trace is not None and trace.tb_frame.f_code in codes
