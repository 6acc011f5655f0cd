"""Run a program in a process of its own, and follow what it prints."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zeroskip.base.errors import ToolError

__all__ = ["run_process"]

_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)


def run_process(
    command: Sequence[str],
    folder: Path,
    name: str,
    env: Mapping[str, str],
    *,
    watch: Callable[[str], None] | None = None,
) -> float:
    """Run a program in ``folder``, in which file names are looked up; return the seconds it took.

    What it prints is left in ``<first word of name>.log``. If this process is interrupted, the
    program ends, and those that it has started.

    Parameters
    ----------
    command : the program and its arguments.
    name : what to call it in messages.
    env : its environment.
    watch : given each line as it is printed.

    Raises
    ------
    ToolError
        If it fails; the message has its own error.
    """
    log, begin = folder / f"{name.split()[0]}.log", time.monotonic()
    over = threading.Event()
    with (
        open(log, "w") as output,
        subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        follower = threading.Thread(target=_follow, args=(log, over, watch), daemon=True)
        follower.start()
        try:
            status = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            over.set()
            follower.join()
    if status:
        text = log.read_text(errors="replace")
        # Not all say which line is the error; the last one is the best guess then.
        lines = _ERROR.findall(text) or text.split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), "no reason given")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise ToolError(f"{name} failed with {how}: {reason}")
    return time.monotonic() - begin


def _follow(log: Path, over: threading.Event, watch: Callable[[str], None] | None) -> None:
    """Call ``watch`` with each line that a program writes to its log, until it is over."""
    if watch is None:
        return
    with log.open(errors="replace") as lines:
        last = False
        while not last:
            last = over.wait(0.3)
            for line in lines:
                watch(line)
