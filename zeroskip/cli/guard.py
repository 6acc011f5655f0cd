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
from zeroskip.base.errors import ScnnCompileError, SimulationError, ToolError, ZeroskipError
from zeroskip.cli.options import name_options
from zeroskip.cli.output import print_json
from zeroskip.cli.scnn_options import name_scnn_options
from zeroskip.hw.common.params import ParamError

__all__ = ["CLOSED", "FAILED", "INTERRUPTED", "REFUSED", "exit_with", "run_guarded"]

FAILED, REFUSED, INTERRUPTED, CLOSED = 1, 2, 130, 141

# Libraries that not every installation has, and the extra that brings them.
_EXTRAS = dict.fromkeys(("torch", "sklearn"), "torch") | dict.fromkeys(
    ("distributed", "joblib", "matplotlib", "polars"), "sweep"
)


def run_guarded(app: typer.Typer, name: str, arguments: Sequence[str]) -> int:
    """Run ``app`` and return the exit code.

    Errors that a user can act on are one sentence on stderr; with ``--json`` also a document on
    stdout. Others are bugs and keep their traceback.
    """
    message, code = "", 0
    try:
        code = int(app(list(arguments), prog_name=name, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        message, code = "interrupted", INTERRUPTED
    except SimulationError as error:
        message, code = f"the simulation failed: {_first_line(error)}", FAILED
    except (ZeroskipError, ToolError, ParamError) as error:
        # Of parameters that both arrays have, EIE's are meant, unless the error is SCNN's.
        unique = not isinstance(error, ScnnCompileError)
        message = _as_options(_first_line(error), arguments, unique=unique)
        code = REFUSED
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
        message = f"{' '.join(describe().split()).rstrip('.')}; see {name} --help"
        code = REFUSED
    # Ctrl-C is an exit of its own in newer versions of the library.
    message = message or ("interrupted" if code == INTERRUPTED else "")
    if message:
        print(f"{name}: {message}", file=sys.stderr)
        if "--json" in arguments:
            print_json({"error": message, "exit_code": code})
    return code


def _as_options(message: str, arguments: Sequence[str], *, unique: bool) -> str:
    """Name parameters as the options that set them, but leave the user's own words alone.

    These are what was given, where the command runs, and what stands in quotes: names of layers.
    """

    def renamed(text: str) -> str:
        return name_options(name_scnn_options(text, unique=unique))

    words = {*arguments, *(one.partition("=")[2] for one in arguments), os.getcwd()}
    own = sorted((word for word in words if renamed(word) != word), key=len, reverse=True)
    pattern = "|".join([*map(re.escape, own), r"(?<!\w)'[^']*'(?!\w)"])
    parts = re.split(f"({pattern})", message)
    return "".join(part if at % 2 else renamed(part) for at, part in enumerate(parts))


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
