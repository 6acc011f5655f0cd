"""Compare inferences from their command lists on golden, cycle model and RTL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.system.build import BUFFERS
from zeroskip.compiler.system.moves import Load, Weights
from zeroskip.hw.system.memory import MemorySettings
from zeroskip.hw.system.params import SystemParams
from zeroskip.sim.run import quantize
from zeroskip.sim.system.cycles import SystemCycles
from zeroskip.sim.system.inferences import (
    Inferences,
    SystemRun,
    fast_starts,
    memory_size,
)
from zeroskip.sim.system.rtl import Phase, PhaseResult, build_chip, run_phases

__all__ = ["SystemVerified", "verify_inferences", "verify_system"]


@dataclass(frozen=True, eq=False)
class SystemVerified:
    """What golden, cycle model and RTL agree on.

    Parameters
    ----------
    run : of golden and model; cycles count from the RTL's own starts.
    rtl : of each phase, the setup first.
    bytes, rows, times : compared: of the memory (all but what is only loaded), of the activation
        files as they were written, and starts and ends of inferences.
    bytes_differ, rows_differ, times_differ : how many of them differ.
    problems : sentences about those, and about what else is wrong.
    """

    run: SystemRun
    rtl: tuple[PhaseResult, ...]
    bytes: int
    bytes_differ: int
    rows: int
    rows_differ: int
    times: int
    times_differ: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def verify_system(
    image: Image,
    x: ArrayLike,
    port: SystemParams,
    settings: MemorySettings | None = None,
    *,
    queued: int = BUFFERS,
    progress: Progress | None = None,
) -> SystemVerified:
    """Run inferences from their command lists on RTL, and compare everything.

    Parameters
    ----------
    image : that command lists can run.
    x : (n, *sample_shape) or one sample, real numbers.
    port, settings, queued : see :func:`count_inferences`.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError, CompileError
        If no command list can run the image, or ``x`` is no input.
    ToolError, SimulationError
        If the simulator cannot be built, or a list does not come to its end.
    """
    report = progress or silent
    report("run the command lists on golden", 0, 1)
    found = Inferences(image, quantize(image, x)[0], port, queued)
    report("run the command lists on golden", 1, 1)
    return verify_inferences(found, port, settings or MemorySettings(), progress)


def verify_inferences(
    found: Inferences,
    port: SystemParams,
    settings: MemorySettings,
    progress: Progress | None = None,
) -> SystemVerified:
    """Run inferences of golden on RTL, and compare everything.

    Parameters
    ----------
    found : what golden did.
    port, settings, progress : see :func:`verify_system`.

    Raises
    ------
    ToolError, SimulationError
        As :func:`verify_system` does.
    """
    report = progress or silent
    entry = found.system.map
    expected = [found.count(group, settings, fast_starts(group)) for group in found.groups]
    size, beat = memory_size(entry.bytes), port.beat_bytes
    report("build simulator", 0, 1)
    program, clearing = build_chip(found.arrays, port, size)
    report("build simulator", 1, 1)
    loaded = {move.name for move in found.system.moves if isinstance(move, Load | Weights)}
    places = [
        (block.address // beat, -(-block.bytes // beat))
        for block in entry.blocks
        if block.name not in loaded
    ]
    # The setup writes nothing; had it, what follows would not have what golden has.
    phases = [
        Phase(
            inputs=[(address // beat, rows.reshape(-1, beat)) for address, rows in group.inputs],
            lists=group.lists,
            outputs=places if group.inputs else [],
            cycles=counted.done[-1],
        )
        for group, counted in zip(found.groups, expected, strict=True)
    ]
    rtl = run_phases(
        program,
        clearing,
        found.system.memory,
        port,
        size,
        settings,
        (0, entry.bytes),
        list(found.arrays),
        phases,
        progress,
    )
    return _compare(found, rtl, settings, places)


def _compare(
    found: Inferences,
    rtl: Sequence[PhaseResult],
    settings: MemorySettings,
    places: Sequence[tuple[int, int]],
) -> SystemVerified:
    """Compare what the RTL did, phase by phase."""
    totals = {name: [0, 0] for name in ("bytes", "rows", "times")}
    problems: list[str] = []
    counts: list[SystemCycles] = []
    reruns = 0
    for number, (group, got) in enumerate(zip(found.groups, rtl, strict=True)):
        where = "setup" if not number else f"group {number - 1}"
        if got.error or got.broken or len(got.starts) < len(group.lists):
            broken = "a rule of AXI was broken" if got.broken else "it was abandoned"
            problems.append(f"{where}: {broken}, ERROR says {got.error:#x}")
            counts.append(found.count(group, settings, fast_starts(group)))
            continue
        model = found.count(group, settings, got.starts)
        counts.append(model)
        reruns += sum(model.reruns)
        if got.reruns != reruns:
            problems.append(f"{where}: RERUNS must be {reruns}, not {got.reruns}")
        beat = found.system.map.port["data_bits"] // 8
        pairs: list[tuple[str, Sequence[Any], Sequence[Any]]] = [
            (
                "bytes",
                [
                    byte
                    for first, count in places[: len(got.rows)]
                    for byte in group.after[first * beat : (first + count) * beat].tolist()
                ],
                [byte for block in got.rows for byte in block.reshape(-1).tolist()],
            ),
            *(
                ("rows", group.written(engine), found.written(engine, records))
                for engine, records in enumerate(got.written)
            ),
            ("times", (*model.done, *model.cycles), (*got.done, *got.cycles)),
        ]
        for name, golden, read in pairs:
            totals[name][0] += len(golden)
            totals[name][1] += _differ(f"{where}: {name}", golden, read, problems)
    setup, *others = counts
    return SystemVerified(
        run=SystemRun(found.system, setup, tuple(others), found.outputs, found.rooms()),
        rtl=tuple(rtl),
        bytes=totals["bytes"][0],
        bytes_differ=totals["bytes"][1],
        rows=totals["rows"][0],
        rows_differ=totals["rows"][1],
        times=totals["times"][0],
        times_differ=totals["times"][1],
        problems=tuple(problems),
    )


def _differ(what: str, golden: Sequence[Any], read: Sequence[Any], problems: list[str]) -> int:
    """Count what differs, and say of the first where it is."""
    if len(golden) != len(read):
        problems.append(f"{what} must be {len(golden)}, not {len(read)}")
        return abs(len(golden) - len(read))
    places = [place for place, two in enumerate(zip(golden, read, strict=True)) if two[0] != two[1]]
    if places:
        problems.append(
            f"{what}: {len(places)} of {len(golden)} differ, the first is number {places[0]}: "
            f"{read[places[0]]}, not {golden[places[0]]}"
        )
    return len(places)
