"""Run a command line so that errors of users become one sentence and an exit code."""

import errno
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any

import typer

from zeroskip.base.cache import VARIABLE
from zeroskip.base.errors import (
    ParameterError,
    SimulationError,
    ToolError,
    ZeroskipError,
    near_name,
)
from zeroskip.cli.output import print_json

__all__ = ["CLOSED", "FAILED", "INTERRUPTED", "REFUSED", "exit_with", "run_guarded"]

FAILED, REFUSED, INTERRUPTED, CLOSED = 1, 2, 130, 141

# Libraries that not every installation has, and the extra that brings them.
_EXTRAS = {
    library: extra
    for extra, libraries in {
        "torch": ("torch", "sklearn"),
        "sweep": ("distributed", "joblib", "matplotlib", "polars"),
        "bus": ("systemrdl", "peakrdl_cheader", "peakrdl_html", "peakrdl_markdown"),
    }.items()
    for library in libraries
}


def run_guarded(app: typer.Typer, name: str, arguments: Sequence[str]) -> int:
    """Run ``app`` and return the exit code.

    Errors that a user can act on are one sentence on stderr; with ``--json`` also a document on
    stdout. Others are bugs and keep their traceback.
    """
    message, code, details = "", 0, {}
    try:
        code = int(app(list(arguments), prog_name=name, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        message, code = "interrupted", INTERRUPTED
    except SimulationError as error:
        message, code = f"the simulation failed: {_first_line(error)}", FAILED
    except ParameterError as error:
        message, code = str(error), REFUSED
        details = {"parameter": error.field, "value": str(error.value), "rule": error.rule}
    except (ZeroskipError, ToolError) as error:
        message, code = _first_line(error), REFUSED
    except BrokenPipeError:
        # Whoever read the output has enough of it; nothing is left to say to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except OSError as error:
        message, code = _system_error(error), REFUSED
    except MemoryError as error:
        message, code = f"there is not enough memory ({error})", REFUSED
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        extra = _EXTRAS[error.name]
        message = f"{error.name} is not installed: install Zeroskip with its extra {extra!r}"
        code = REFUSED
    except Exception as error:
        # Wrong options; the class is private to the library.
        describe: Any = getattr(error, "format_message", None)
        if describe is None:
            raise
        context = getattr(error, "ctx", None)
        whose = name if context is None else context.command_path
        message, code = _usage_error(describe(), f"{whose} --help"), REFUSED
    # Ctrl-C is an exit of its own in newer versions of the library.
    message = message or ("interrupted" if code == INTERRUPTED else "")
    if message:
        print(f"{name}: {message}", file=sys.stderr)
        if "--json" in arguments:
            print_json({"error": message, **details, "exit_code": code})
    return code


def _usage_error(text: str, help_command: str) -> str:
    """Word what the library says of wrong options, with the nearest of the choices."""
    text = " ".join(text.split()).rstrip(".").replace("Value error, ", "")
    if choices := re.search(r"'([^']*)' is not one of ('.*')$", text):
        near = near_name(choices[1], re.findall(r"'([^']*)'", choices[2]))
        text += f": did you mean {near!r}?" if near else ""
    return f"{text} (see {help_command})"


def _system_error(error: OSError) -> str:
    """Say what the system refused, and the way out that there is for it."""
    what = "this" if error.filename is None else str(error.filename)
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{what} cannot be written: {reason}; make room, or name another place; where "
            f"temporary files go is set with TMPDIR, and the cache with {VARIABLE}"
        )
    return f"{what} cannot be used: {reason}"


def exit_with(app: typer.Typer, name: str) -> None:
    """Run ``app`` on the arguments of the process and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no such letter still gets the rest of the line.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(run_guarded(app, name, sys.argv[1:]))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    # Amaranth warns of hardware that was described and then not used.
    warnings.simplefilter("ignore")
    # On the way out, temporary folders are removed.
    raise KeyboardInterrupt


def _first_line(error: Exception) -> str:
    """Leave out what follows the sentence: the end of a log, which the sentence names."""
    return str(error).split("\n", 1)[0].rstrip(":")
