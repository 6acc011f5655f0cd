"""Single layers of SCNN's part: a long network in pieces, each from golden's tensors."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.engine import SramData
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.sim.machine import Counts, Selection, Tensors
from zeroskip.sim.result import PartResult
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.scnn.job import fused_layers, scnn_job, scnn_result
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_build import build_scnn
from zeroskip.sim.scnn.rtl_files import ScnnResult

__all__ = ["select_layers", "simulate_layers"]

_WORTH = 300_000
"""Words to load, times PEs to simulate, from which on a simulation of its own is faster."""


def select_layers(part: ScnnPart, names: Sequence[str]) -> Selection[ScnnPart]:
    """Take the runs of some layers, and of runs before them whose sums or activations they use."""
    layers = [layer.name for layer in part.layers]
    fused = fused_layers(part)
    # A pooling may be made by the passes of another layer.
    wanted = {fused.get(number, number) for number, name in enumerate(layers) if name in names}
    chosen = [not wanted.isdisjoint(run.passes) for run in part.runs]
    for number in reversed(range(1, len(chosen))):
        run = part.runs[number]
        chosen[number - 1] |= chosen[number] and not (run.loads and run.program[0].wipe)
    missing = {
        number
        for run, there in zip(part.runs, chosen, strict=True)
        for number in run.passes
        if not there
    }
    runs = [run for run, there in zip(_loaded(part.runs), chosen, strict=True) if there]
    there = {number for run in runs for number in run.passes}
    there |= {pool for pool, conv in fused.items() if conv in there}
    missing |= {pool for pool, conv in fused.items() if conv in missing}
    return Selection(
        dataclasses.replace(part, runs=tuple(only_changes(runs))),
        tuple(layers[number] for number in sorted(there - missing)),
    )


def _loaded(runs: Sequence[ScnnRun]) -> Iterator[ScnnRun]:
    """Give every run all that the SRAMs hold at its start, as if the host loaded it then."""
    loaded: dict[str, SramData] = {}
    for run in runs:
        loaded = loaded | run.srams
        yield dataclasses.replace(run, srams=loaded)


def simulate_layers(
    selection: Selection[ScnnPart],
    tensors: Tensors,
    counts: Counts,
    progress: Progress | None = None,
) -> PartResult:
    """Run some layers on the RTL, with what they read of others from golden.

    Runs that load much begin simulations of their own, with memories that hold it.
    """
    part, report = selection.part, progress or silent
    report("build SCNN simulator", 0, 1)
    program = build_scnn(part.params)
    report("build SCNN simulator", 1, 1)
    results: list[ScnnResult] = []
    made: dict[str, NDArray[np.int64]] = {}
    done, samples = 0, len(counts.run_cycles)
    for runs in _simulations(part):
        cycles = counts.run_cycles[:, done : done + len(runs)]
        job = scnn_job(dataclasses.replace(part, runs=runs), tensors, cycles)
        read = {some.tensor for run in runs for load in run.loads for some in load.channels}
        given = {name: tensors[name] for name in sorted(read.difference(selection.layers))}
        (raw,) = run_jobs(
            SCNN_DRIVER,
            part.params,
            [dataclasses.replace(job, tensors={**given, **made})],
            program=program,
            progress=_later(report, samples * done, samples * len(part.runs)),
        )
        made |= {name: raw.tensors[name] for name in job.shapes}
        results.append(raw)
        done += len(runs)
    return scnn_result(part, _joined(results, made))


def _simulations(part: ScnnPart) -> Iterator[tuple[ScnnRun, ...]]:
    """Cut the runs where it is faster to begin a simulation with all memories loaded."""
    p = part.params
    runs: list[ScnnRun] = []
    for run in _loaded(part.runs):
        words = 0
        for load in run.loads:
            channels = sum(span.stop - span.start for span in load.channels)
            layout = load.layout
            blocks = max(1, p.num_pes >> layout.block_x + layout.block_y)
            copies = 1 if load.dealt else blocks
            words += channels * layout.height * layout.width * copies // p.mult_i
            words += channels * layout.sy * layout.sx * p.num_pes
        if runs and run.program[0].wipe and words * p.num_pes > _WORTH:
            yield tuple(only_changes(runs))
            runs = []
        runs.append(run)
    yield tuple(only_changes(runs))


def _later(report: Progress, before: int, total: int) -> Progress:
    """Report one of several simulations as the share of them all that it is."""

    def tell(step: str, done: int, _: int) -> None:
        if not step.startswith("build"):
            report(step, before + done, total)

    return tell


def _joined(results: Sequence[ScnnResult], tensors: dict[str, NDArray[np.int64]]) -> ScnnResult:
    """Put the results of runs one after the other."""
    return ScnnResult(
        outputs=tuple(output for result in results for output in result.outputs),
        tensors=tensors,
        stores=tuple(
            tuple(run for runs in sample for run in runs)
            for sample in zip(*(result.stores for result in results), strict=True)
        ),
        cycles=np.concatenate([result.cycles for result in results], axis=1),
        reload_cycles=np.sum([result.reload_cycles for result in results], axis=0),
        seconds=np.concatenate([result.seconds for result in results], axis=1),
        counters=np.concatenate([result.counters for result in results], axis=1),
        problems=tuple(problem for result in results for problem in result.problems),
    )
