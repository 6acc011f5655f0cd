"""The environment of programs that we start: what they need of the user's, and nothing else.

A shell may hold settings of other projects (``COCOTB_TEST_MODULES``, ``MAKEFLAGS``,
``VERILATOR_ROOT``, ``PYTHONHOME`` ...), which would end or falsify a simulation.
"""

import os
import sys
import sysconfig
import tempfile
from pathlib import Path

__all__ = ["clean_environment", "own_path", "python_environment", "source_root"]

# Where programs, their libraries and the user's folders are.
_KEPT = (
    "HOME", "LD_LIBRARY_PATH", "LOGNAME", "OMP_NUM_THREADS", "PATH", "TZ", "USER",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "YOWASP_CACHE_DIR",
)  # fmt: skip


def clean_environment() -> dict[str, str]:
    """Return an environment for a program that is not Python."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env.setdefault("PATH", os.defpath)
    # Of $TMPDIR and the usual ones, the first that is there and can be written.
    env["TMPDIR"] = tempfile.gettempdir()
    env["LC_ALL"] = "C.UTF-8"
    return env


def python_environment() -> dict[str, str]:
    """Return an environment for a Python that imports what this one does, ours before all else."""
    return {
        **clean_environment(),
        "PYTHONPATH": os.pathsep.join(own_path()),
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "" if sys.flags.no_user_site == 0 else "1",
    }


def own_path() -> list[str]:
    """Return where to look for modules: in our folder first, then in Python's, in the user's last.

    Folders that the user put on ``PYTHONPATH``, works in, or has a script in, may have a ``sim`` or
    a ``cocotb.py`` of their own.
    """
    own = [os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    users = {os.path.realpath(path) for path in own}
    first = [str(source_root())]
    last: list[str] = []
    for path in map(os.path.abspath, sys.path):
        known = _is_library(path) and os.path.realpath(path) not in users
        (first if known else last).append(path)
    return list(dict.fromkeys([*first, *last]))


def _is_library(path: str) -> bool:
    """Say whether a folder is of Python itself, or of packages that are installed."""
    python = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    installed = Path(path).name in ("dist-packages", "lib-dynload", "site-packages")
    return installed or path in python or path.endswith(".zip")


def source_root() -> Path:
    """Return the folder that the package ``zeroskip`` is in."""
    return Path(__file__).parents[2]
