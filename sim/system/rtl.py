"""Build a chip with its memory, and run command lists on it."""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress
from zeroskip.compiler.image.readmem import to_hex
from zeroskip.flow.system.flow import FLOW, SystemDesign
from zeroskip.hw.common.emit import emit_verilog
from zeroskip.hw.system.memory import MemoryModel, MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.machine import machine
from zeroskip.sim.rtl.build import build_design
from zeroskip.sim.rtl.jobs import job_folder, simulate
from zeroskip.sim.system.bench import BENCH_MODULE, SystemBench

__all__ = ["Phase", "PhaseResult", "build_chip", "run_phases"]

_STEP_CYCLES = 4096
"""Of a step of progress."""


@dataclass(frozen=True, eq=False)
class Phase:
    """Lists that are queued at once, and what is done before and after.

    Parameters
    ----------
    inputs : first row of a beat, and rows (n, bytes of a beat), that are put in the memory.
    lists : address and bytes, in the order of their starts.
    outputs : first row and number of rows that are read from the memory.
    cycles : that it takes, more or less; the phase hangs if it takes far more.
    """

    inputs: Sequence[tuple[int, NDArray[np.uint8]]]
    lists: Sequence[tuple[int, int]]
    outputs: Sequence[tuple[int, int]]
    cycles: int


@dataclass(frozen=True, eq=False)
class PhaseResult:
    """What the hardware did in a phase.

    Parameters
    ----------
    starts, done, cycles : of each inference that was done: cycles of its start and of its end,
        counted from the phase's beginning, and what the register CYCLES said then.
    error, reruns : registers ERROR and RERUNS.
    broken : whether a rule of AXI was broken so far.
    written : by the array's number: number of the pass, row, and word, of each row that it wrote.
    rows : (n, bytes of a beat), as asked for.
    seconds : that the simulation took from the first start to the last end, wall-clock.
    """

    starts: tuple[int, ...]
    done: tuple[int, ...]
    cycles: tuple[int, ...]
    error: int
    reruns: int
    broken: bool
    written: tuple[tuple[tuple[int, int, int], ...], ...]
    rows: tuple[NDArray[np.uint8], ...]
    seconds: float


def build_chip(arrays: Mapping[str, Any], port: SystemParams, size: int) -> tuple[Path, int]:
    """Build a chip with a memory of ``size`` bytes, unless it has been built.

    Parameters
    ----------
    arrays : parameters by engine, in the order of their numbers.
    port, size : of the chip to its memory, and bytes of that.

    Returns
    -------
    The program, and the cycles after a reset in which the arrays clear themselves.

    Raises
    ------
    ToolError
        If a tool is missing or the compilation fails.
    """
    modules = FLOW.modules(SystemDesign(arrays, port))
    *inner, (name, made) = modules.items()
    whole: Any = made

    def convert() -> dict[str, str]:
        # Verilator finds that a port has the name of a function of some compilers' libraries, and
        # that what is constant in one chip needs no comparison.
        bench = emit_verilog(SystemBench(whole(), port, size), BENCH_MODULE)
        return {
            f"{BENCH_MODULE}.v": "".join(
                f"/* verilator lint_off {name} */\n" for name in ("SYMRSVDWORD", "UNSIGNED")
            )
            + bench,
            **{f"{name}.v": emit_verilog(make(), name) for name, make in inner},
        }

    own = [Path(inspect.getfile(kind)).read_bytes() for kind in (SystemBench, MemoryModel)]
    program = build_design(
        name,
        {
            **{engine: asdict(params) for engine, params in arrays.items()},
            **asdict(port),
            "memory": size,
            "bench": hashlib.sha256(b"".join(own)).hexdigest(),
        },
        tuple(sorted({Path(inspect.getfile(make.func)).parent for make in modules.values()})),
        convert,
        BENCH_MODULE,
        tuple(name for name, _ in inner),
        apart=True,
    )
    clearing = [machine(engine).lists.clearing(params) for engine, params in arrays.items()]
    return program, max(clearing)


def run_phases(
    program: Path,
    clearing: int,
    contents: bytes,
    port: SystemParams,
    size: int,
    settings: MemorySettings,
    window: tuple[int, int],
    engines: Sequence[str],
    phases: Sequence[Phase],
    progress: Progress | None = None,
) -> list[PhaseResult]:
    """Run phases one after the other on a chip that was reset.

    Parameters
    ----------
    program, clearing : see :func:`build_chip`.
    contents : of the memory, from address 0 up; the rest is 0.
    port : of the chip.
    size : bytes of the memory.
    settings : how the memory behaves.
    window : first byte, and bytes, that the chip may use.
    engines : of the chip, by their numbers.
    phases : to run.
    progress : see :data:`.Progress`.

    Raises
    ------
    SimulationError
        If a phase hangs, or the simulation fails.
    """
    with job_folder() as folder:
        padded = contents + bytes(size - len(contents))
        rows = np.frombuffer(padded, np.uint8).reshape(-1, port.beat_bytes).astype(np.uint64)
        (folder / "srams").mkdir()
        for number, column in enumerate(rows.T):
            file = folder / "srams" / f"{BENCH_MODULE}.memory.byte_{number}.hex"
            file.write_bytes(to_hex(column[:, None], 8))
        described: list[dict[str, Any]] = []
        steps = [1 + phase.cycles // _STEP_CYCLES for phase in phases]
        for number, phase in enumerate(phases):
            names: list[tuple[int, str]] = []
            for place, (first, block) in enumerate(phase.inputs):
                names.append((first, f"input_{number}_{place}.npy"))
                np.save(folder / names[-1][1], block)
            described.append({
                "inputs": names,
                "lists": phase.lists,
                "outputs": phase.outputs,
                "cycles": phase.cycles,
                "steps": steps[number],
            })
        job = {
            "settings": dict(settings.ports()),
            "clearing": clearing,
            "window": window,
            "engines": list(engines),
            "step_cycles": _STEP_CYCLES,
            "phases": described,
        }
        (folder / "job.json").write_text(json.dumps(job))
        simulate(
            program,
            folder,
            "zeroskip.sim.system.tb_system",
            sum(steps),
            progress=progress,
            blame="the command list must be wrong",
        )
        return [
            _collect(folder / f"results_{number}.npz", phase, len(engines))
            for number, phase in enumerate(phases)
        ]


def _collect(path: Path, phase: Phase, engines: int) -> PhaseResult:
    with np.load(path, allow_pickle=False) as found:
        times = found["times"].reshape(-1, 3).T
        return PhaseResult(
            starts=tuple(times[0].tolist()),
            done=tuple(times[1].tolist()),
            cycles=tuple(times[2].tolist()),
            error=int(found["error"]),
            reruns=int(found["reruns"]),
            broken=bool(found["broken"]),
            written=tuple(
                tuple(
                    (int(number), int(row), int(word, 16))
                    for number, row, word in found[f"written_{place}"].tolist()
                )
                for place in range(engines)
            ),
            rows=tuple(found[f"rows_{place}"] for place in range(len(phase.outputs))),
            seconds=float(found["nanoseconds"]) / 1e9,
        )
