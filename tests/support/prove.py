"""Proofs about hardware, for all inputs and any number of cycles."""

import importlib.util
import subprocess
from pathlib import Path

from amaranth.lib import wiring

from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.common.emit import emit_verilog

__all__ = ["prove"]


def prove(design: wiring.Component, folder: Path) -> str:
    """Ask whether a state can be reached in which the only output of ``design`` is 1.

    Returns
    -------
    What the prover says (PDR, in the ABC that comes with Yosys): ``Property proved.``, or
    ``was asserted in frame``. Registers and memories begin with 0.
    """
    (folder / "top.v").write_text(emit_verilog(design, "top"))
    commands = [
        "read_verilog top.v",
        "hierarchy -top top",
        *("proc", "flatten", "memory_map", "opt -full", "async2sync", "techmap", "opt -full"),
        "dfflegalize -cell $_DFF_P_ 01",
        *("setundef -undriven -zero", "setundef -init -zero"),
        *("abc -g AND", "opt_clean", "aigmap", "write_aiger -zinit top.aig"),
    ]
    run_yosys(commands, folder)
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    done = subprocess.run(
        [str(Path(found.origin).parent / "yosys-abc"), "-c", "read_aiger top.aig; pdr -T 400"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.stdout
