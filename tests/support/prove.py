"""Proofs about hardware, for all inputs and any number of cycles."""

import importlib.util
import resource
import subprocess
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from amaranth.hdl import Module, ShapeLike, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.flow.synth.yosys import run_yosys
from zeroskip.hw.common.emit import SRAM_VERILOG, emit_verilog

__all__ = ["FAILS", "HOLDS", "PROVED", "SLIPS", "Watched", "any_of", "prove", "take", "unstable"]

PROVED = "Property proved.|Networks are equivalent."
"""What the prover says of what holds."""

HOLDS = "No output asserted in"
"""What the prover says of what holds in the cycles that it was told to look at."""

FAILS = r"was asserted in frame"
"""What the prover says where inputs lead to ``bad``."""

SLIPS = ("loses", "doubles")
"""What a stream may do wrong; see :func:`take`."""

_SECONDS = 400
"""Of CPU, after which a proof is given up."""


class Watched(wiring.Component):
    """A design, ``dut``, and what watches it.

    Parameters
    ----------
    inputs : shapes of what is left open, by name.
    inside : shapes of signals in the design that an invariant speaks of, by their path in Verilog;
        that of a memory's row ends with its number in brackets.

    Members
    -------
    bad : Out, something is wrong.
    """

    bad: Signal

    def __init__(
        self, inputs: Mapping[str, ShapeLike], inside: Mapping[str, ShapeLike] | None = None
    ) -> None:
        shapes = inside or {}
        self.inside = {path: f"inside_{number}" for number, path in enumerate(shapes)}
        ports = {self.inside[path]: shape for path, shape in shapes.items()}
        super().__init__({
            **{name: In(shape) for name, shape in {**inputs, **ports}.items()},
            "bad": Out(1),
        })

    def see(self, path: str) -> Any:
        """Return a signal in the design."""
        return getattr(self, self.inside[path])


def any_of(conditions: Iterable[Any]) -> Value:
    """Return whether any of the conditions, which may have many bits, is not 0."""
    return reduce(or_, (Value.cast(condition).any() for condition in conditions))


def unstable(m: Module, port: Any, payload: Value) -> Value:
    """Return whether a stream has not kept what it offered in the cycle before."""
    stalled, before = Signal(), Signal(len(payload))
    m.d.sync += [stalled.eq(port.valid & ~port.ready), before.eq(payload)]
    return stalled & (~port.valid | (payload != before))


def take(m: Module, port: Any, ready: Value, slip: Value, *, wrong: str = "") -> Value:
    """Take what a stream offers while ``ready``; return whether a word leaves, as it is watched.

    Parameters
    ----------
    slip : cycles in which the stream may do wrong.
    wrong : one of :data:`SLIPS`, to see that a proof can fail: a word goes without having been
        watched, or comes again. Nothing unless given.
    """
    taken = {"": ready, "loses": ready | slip, "doubles": ready & ~slip}[wrong]
    m.d.comb += port.ready.eq(taken)
    return port.valid & ready


def prove(design: wiring.Component, folder: Path, *, cycles: int | None = None) -> str:
    """Ask whether a state can be reached in which the only output of ``design`` is 1.

    Registers and memories begin with 0, or as after a reset. The prover is the ABC that comes with
    Yosys: PDR, which finds an invariant if there is one. Where the design is :class:`Watched` and
    sees its inside, that the output is 0 must be an invariant, and is proved by induction: it is 0
    in the first cycles, and in every cycle after one in which it is 0.

    Parameters
    ----------
    design : see above.
    folder : for files.
    cycles : look at so many from the beginning only, where no invariant is found: :data:`HOLDS`.

    Returns
    -------
    What the prover says, which :data:`PROVED`, :data:`HOLDS` or :data:`FAILS` finds.
    """
    (folder / "top.v").write_text(emit_verilog(design, "top"))
    inside = design.inside if isinstance(design, Watched) else {}
    commands = [
        f"read_verilog -D SYNTHESIS {SRAM_VERILOG}",
        "read_verilog top.v",
        "hierarchy -top top",
        *("proc", "flatten", "memory_map"),
        *(f"delete -port top/{port}" for port in inside.values()),
        # Yosys would else first take away what drives the port: all that it goes straight on to.
        *(f"connect -nomap -nounset -set {port} {path}" for path, port in inside.items()),
        # Else, of a register with a constant bit, Yosys takes 0 and unknown for a conflict.
        *("opt_clean", "setundef -init -zero"),
        *("opt -full", "async2sync", "techmap", "opt -full"),
        "dfflegalize -cell $_DFF_P_ 01",
        *("setundef -undriven -zero", "setundef -init -zero"),
        *("abc -g AND", "opt_clean", "aigmap", "write_aiger -zinit top.aig"),
    ]
    run_yosys(commands, folder)
    method = "bmc3 -F 6; ind -F 2" if inside else "pdr" if cycles is None else f"bmc3 -F {cycles}"
    found = importlib.util.find_spec("pyosys")
    assert found is not None
    assert found.origin is not None
    done = subprocess.run(
        [str(Path(found.origin).parent / "yosys-abc"), "-c", f"read_aiger top.aig; {method}"],
        cwd=folder,
        capture_output=True,
        text=True,
        # The prover's own limit counts the time in which others have the cores, too.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS)),
    )
    return done.stdout
