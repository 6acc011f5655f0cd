"""Build the simulator of a board's top."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.flow.board.array import BoardArray
from zeroskip.flow.board.sources import board_verilog
from zeroskip.sim.rtl.tools import verilate

__all__ = ["CLOCK_HZ", "SIM_DIVISOR", "TIMEOUT", "BoardModel", "build_board", "compile_model"]

SIM_DIVISOR = 4
"""Clock cycles per bit in simulation: the fewest that the receiver takes."""

CLOCK_HZ = 25_000_000
TIMEOUT = 20_000
_MAIN = Path(__file__).with_name("main.cpp")
# Yosys writes unsized constants, partial cases and [-1:0] for zero-width signals; what is constant
# in one array needs no comparison.
_LINT = ["-Wno-WIDTH", "-Wno-CASEINCOMPLETE", "-Wno-ASCRANGE", "-Wno-UNSIGNED"]


@dataclass(frozen=True)
class BoardModel:
    """A simulator, and what it was built with.

    Parameters
    ----------
    program : to run.
    divisor : clock cycles per bit of the line.
    timeout : cycles after which a frame that stopped is given up.
    """

    program: Path
    divisor: int = SIM_DIVISOR
    timeout: int = TIMEOUT


def build_board(array: BoardArray[Any], *, single_bits: int = 0) -> BoardModel:
    """Build the board's top with an ``array``, unless it was built before.

    It is what a bitstream is made of, from the same Verilog; only the serial line is faster.

    Parameters
    ----------
    single_bits : SRAMs of so many bits and more have one port for reads and writes, as on boards
        where they are in such memories; 0 for none.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    files = board_verilog(array, divisor=SIM_DIVISOR, clock_hz=CLOCK_HZ, timeout=TIMEOUT)
    # By what is compiled rather than by parameters: any change is seen.
    digest = hashlib.sha256(repr((sorted(asdict(array.params).items()), single_bits)).encode())
    for name, text in sorted(files.items()):
        digest.update(name.encode() + text.encode())
    digest.update(_MAIN.read_bytes() + Path(__file__).read_bytes())
    folder = cache_dir() / f"board_{array.engine}_{digest.hexdigest()[:12]}"
    program = folder / "board"
    if not program.exists():
        options = [f"-DSRAM_SINGLE_BITS={single_bits}"]
        compile_model(files, folder, program.name, options, shared=list(array.inside))
    return BoardModel(program)


def compile_model(
    files: dict[str, str],
    folder: Path,
    name: str,
    options: Sequence[str],
    *,
    shared: Sequence[str] = (),
) -> None:
    """Compile Verilog, given by file name, to ``folder/name``, which appears when it is complete.

    Modules that are ``shared`` are compiled once for all their instances.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails; its output is beside the folder.
    """
    work = folder.with_name(f"{folder.name}.{os.getpid()}")
    log = folder.with_suffix(".log")
    with writing_cache():
        work.mkdir(parents=True)
        try:
            for file, text in files.items():
                (work / file).write_text(text)
            apart = "".join(f'no_inline -module "{module}"\n' for module in shared)
            (work / "settings.vlt").write_text(f"`verilator_config\n{apart}")
            shutil.copy(_MAIN, work)
            arguments = [
                "--top-module", "zeroskip_board", "-o", name, "--timescale", "1ns/1ps",
                "--x-assign", "unique", *_LINT, *options, "settings.vlt", *files, _MAIN.name,
            ]  # fmt: skip
            log.write_text("")
            verilate(work, arguments, ["OPT_FAST=-O1", "OPT_GLOBAL=-O2"], log)
            with contextlib.suppress(OSError):  # another build was first
                work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
