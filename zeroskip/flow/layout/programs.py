"""The programs and the cells that layouts are made with, as Debian packages them."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zeroskip.base.environment import clean_environment
from zeroskip.base.errors import ToolError
from zeroskip.flow.process import run_process

__all__ = ["OSU018", "PACKAGES", "Technology", "check_programs", "run_program"]

PACKAGES = {
    "graywolf": "graywolf",
    "qrouter": "qrouter",
    "sta": "opensta",
    "magic": "magic",
    "netgen-lvs": "netgen-lvs",
}
"""Debian's package of each program."""


@dataclass(frozen=True)
class Technology:
    """A library of cells with what programs need to know of its process.

    Parameters
    ----------
    name, package, about : of it, Debian's package, and what it is.
    nm : smallest length of the process.
    folder, cells, magic : where its files are, and what they are called: of cells, and magic's.
    fill, clock_buffer : cell that fills gaps in rows, and that drives clocks, from A to Y.
    """

    name: str
    package: str
    about: str
    nm: int
    folder: Path
    cells: str
    magic: str
    fill: str
    clock_buffer: str

    def file(self, kind: str) -> Path:
        """Return a file: ``lef``, ``lib``, ``sp`` or ``v`` of cells, ``par`` or ``tcl``."""
        if kind in ("lef", "lib", "sp", "v"):
            return self.folder / f"{self.cells}.{kind}"
        return self.folder / {"par": f"{self.name}.par", "tcl": f"{self.name}_setup.tcl"}[kind]


OSU018 = Technology(
    "osu018",
    "qflow-tech-osu018",
    "cells of Oklahoma State University, 180 nm",
    180,
    Path("/usr/share/qflow/tech/osu018"),
    "osu018_stdcells",
    "SCN6M_SUBM.10",
    "FILL",
    "CLKBUF1",
)
"""What there is in Debian: 32 cells, six metals, 1.8 V."""


def check_programs(technology: Technology) -> None:
    """Check that all programs and the cells are installed.

    Raises
    ------
    ToolError
        If one is missing; the message says how to get all that are.
    """
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if not technology.file("lef").is_file():
        missing.append(technology.package)
    if missing:
        are = "are" if len(missing) > 1 else "is"
        raise ToolError(
            f"{', '.join(missing)} {are} not installed: run 'apt-get install "
            f"--no-install-recommends {' '.join(missing)}' as root on Debian or Ubuntu"
        )


def run_program(
    name: str,
    arguments: Sequence[str],
    folder: Path,
    watch: Callable[[str], None] | None = None,
) -> float:
    """Run a program in ``folder``; see :func:`.run_process`."""
    return run_process([name, *arguments], folder, name, clean_environment(), watch=watch)
