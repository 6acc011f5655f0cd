"""Simulate netlists of gates, and remember which of them passed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zeroskip.base.cache import cache_dir, writing_cache
from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.staging import replaced_file
from zeroskip.flow.synth.liberty import OWN_MODELS
from zeroskip.flow.synth.netlist import Netlist
from zeroskip.flow.synth.report import digest, models_digest
from zeroskip.sim.machine import machine
from zeroskip.sim.rtl.build import build_design
from zeroskip.sim.verify import VerifyResult

__all__ = ["build_gates", "check_size", "passed_gates", "record_check"]

# Verilator takes a vector for one signal: where a gate reads bit 0 of it and drives bit 1, it warns
# of a loop that is none.
_QUIET = "/* verilator lint_off UNOPTFLAT */\n"


def check_size(engine: str, num_pes: int) -> None:
    """Raise InputError if an array has more PEs than can be simulated as gates."""
    most = machine(engine).most_gate_pes
    if most is not None and num_pes > most:
        raise InputError(
            f"gates are simulated in arrays of at most {most} PEs of {engine}, and this has "
            f"{num_pes}: check a smaller preset, whose PE differs in its sizes"
        )


def build_gates(
    name: str,
    verilog: Mapping[str, str],
    top: str,
    shared: tuple[str, ...],
    progress: Progress | None = None,
    *,
    models: str | None = None,
    waves: bool = False,
) -> Path:
    """Build a simulation of a design that is, in part or whole, a netlist of cells.

    Parameters
    ----------
    name : begins the name of the build's folder.
    verilog : text by file name.
    top, shared : see :func:`.build_design`.
    progress : see :data:`.Progress`.
    models : Verilog of the cells; that of our own unless given.
    waves : record waves.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    more = {} if models is None else {"cells.v": models}
    texts = {file: _QUIET + text for file, text in {**verilog, **more}.items()}
    own = {} if more else {OWN_MODELS.name: OWN_MODELS.read_text()}
    report = progress or silent
    step = f"build simulator {name}"
    report(step, 0, 1)
    program = build_design(
        name,
        {file: hashlib.sha256(text.encode()).hexdigest() for file, text in texts.items()},
        (),
        lambda: {**texts, **own},
        top,
        shared,
        waves=waves,
        optimize=False,
    )
    report(step, 1, 1)
    return program


def record_check(
    compared: Iterable[tuple[int, VerifyResult]], netlists: Mapping[str, Netlist]
) -> Mapping[str, Any]:
    """Return the report on ``netlists``, and remember that they passed, if they did.

    Parameters
    ----------
    compared : for each network, how many inputs were run, and what a comparison found.
    netlists : that were run.
    """
    report: dict[str, Any] = dict.fromkeys(("networks", "inputs", "words", "counters", "differ"), 0)
    for inputs, result in compared:
        report["networks"] += 1
        report["inputs"] += inputs
        report["words"] += result.words
        report["counters"] += result.counters
        report["differ"] += result.differ + result.cycles_differ
    passed = report["differ"] == 0 and report["words"] > 0
    digests = {netlist.top: digest(netlist) for netlist in netlists.values()}
    report = {**report, "netlists": digests, "models": models_digest(), "passed": passed}
    if passed:
        with replaced_file(_record(digests)) as file:
            json.dump(report, file)
    return report


def passed_gates(netlists: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return what a check said of netlists, by digest; None if they have not passed."""
    try:
        return json.loads(_record(netlists).read_text())
    except (OSError, ValueError):
        return None


def _record(netlists: Mapping[str, str]) -> Path:
    """Name the file that says that netlists passed; another netlist has another name."""
    folder = cache_dir() / "gates"
    with writing_cache():
        folder.mkdir(parents=True, exist_ok=True)
    key = f"{sorted(netlists.items())}{models_digest()}"
    return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
