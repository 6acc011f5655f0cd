"""Verify single layers of a CNN: a long network in pieces, each from golden's tensors."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.compiler.eie.segment import SramData
from zeroskip.compiler.ir.graph import INPUT
from zeroskip.compiler.scnn.layer import only_changes
from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.eie.contents import cnn_problems
from zeroskip.sim.eie.run import Progress, Target, run_columns
from zeroskip.sim.scnn.cycles.image import run_cnn_image
from zeroskip.sim.scnn.result import CnnResult, by_conv_layer
from zeroskip.sim.scnn.rtl import ScnnResult, run_scnn_jobs
from zeroskip.sim.scnn.rtl_build import build_scnn
from zeroskip.sim.scnn.run import cnn_inputs, cnn_job, graph_output, run_cnn, written_tensors
from zeroskip.sim.scnn.verify import CnnVerifyResult, compare_cnn

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["CnnPart", "take_layers", "verify_layers"]

_WORTH = 300_000
"""Words to load, times PEs to simulate, from which on a simulation of its own is faster."""


@dataclass(frozen=True, eq=False)
class CnnPart:
    """Some layers of an image.

    Parameters
    ----------
    image : with the runs of these layers only, and the Linear layers if there are any among them.
    layers : of SCNN that the runs compute in full, in order: those asked for, and others that
        share a run with them.
    """

    image: "CnnImage"
    layers: tuple[str, ...]


def take_layers(image: "CnnImage", names: Sequence[str]) -> CnnPart:
    """Take the runs of some layers, and of runs before them whose sums or activations they use.

    Parameters
    ----------
    image : the compiled network.
    names : of layers; of Linear layers one stands for all, as EIE runs them in one go.

    Raises
    ------
    InputError
        If there is no such layer, or ``names`` is empty.
    """
    layers = [layer.name for layer in image.network.graph.layers]
    linear = [] if image.tail is None else [layer.name for layer in image.tail.network.layers]
    known = [*layers, *linear]
    if not names:
        raise InputError(f"name at least one layer to verify; there are {', '.join(known)}")
    for name in names:
        if name not in known:
            raise InputError(f"there is no layer {name!r}; there are {', '.join(known)}")
    wanted = {number for number, name in enumerate(layers) if name in names}
    chosen = [not wanted.isdisjoint(run.passes) for run in image.runs]
    for at in reversed(range(1, len(chosen))):
        run = image.runs[at]
        chosen[at - 1] |= chosen[at] and not (run.loads and run.program[0].wipe)
    missing = {
        number
        for run, there in zip(image.runs, chosen, strict=True)
        for number in run.passes
        if not there
    }
    runs = [run for run, there in zip(_loaded(image.runs), chosen, strict=True) if there]
    there = {number for run in runs for number in run.passes}
    part = dataclasses.replace(
        image,
        runs=tuple(only_changes(runs)),
        tail=None if set(linear).isdisjoint(names) else image.tail,
    )
    return CnnPart(part, tuple(layers[number] for number in sorted(there - missing)))


def _loaded(runs: Sequence[ScnnRun]) -> Iterator[ScnnRun]:
    """Give every run all that the SRAMs hold at its start, as if the host loaded it then."""
    held: dict[str, SramData] = {}
    for run in runs:
        held = held | run.srams
        yield dataclasses.replace(run, srams=held)


def verify_layers(
    image: "CnnImage",
    x: ArrayLike,
    names: Sequence[str],
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> CnnVerifyResult:
    """Compare single layers on cycle models and RTL, as :func:`verify_cnn` does with all.

    What the layers read comes from golden, unless layers among them have made it. Linear layers
    take golden's activations from the host. Runs that load much begin simulations of their own,
    with memories that hold it.

    Parameters
    ----------
    image, x, max_differences, progress : as in :func:`.verify_cnn`.
    names : see :func:`take_layers`.

    Raises
    ------
    InputError
        As :func:`take_layers` and :func:`.run_cnn` do.
    ToolError, SimulationError
        As :func:`.run_cnn` does.
    """
    part = take_layers(image, names)
    planes, golden = cnn_inputs(image, x), run_cnn(image, x)
    model, raw = _run(part, planes, golden, progress)
    rtl = CnnResult(
        outputs=golden.outputs[:0],
        held=written_tensors(part.image, raw),
        orders=image.channel_orders,
        run_cycles=raw.cycles,
        counters=_by_layer(part, raw.counters) if image.params.counters else None,
        conv_reload_cycles=raw.reload_cycles,
        conv_seconds=raw.seconds.sum(axis=1),
        rtl=raw,
    )
    if part.image.tail is not None:
        left = graph_output(image.network.graph, golden.held)
        columns = left.reshape(len(left), -1)
        on: Target
        for on in ("cycles", "rtl"):
            tail = run_columns(part.image.tail, columns, on, progress=progress)
            if on == "cycles":
                model = dataclasses.replace(model, tail=tail)
            else:
                rtl = dataclasses.replace(rtl, outputs=tail.outputs, tail=tail)
    result = compare_cnn(part.image, model, rtl, max_differences, layers=part.layers)
    problems = (*cnn_problems(image, max_differences), *result.problems)
    return dataclasses.replace(result, problems=problems)


def _run(
    part: CnnPart, planes: NDArray[np.int64], golden: CnnResult, progress: Progress | None
) -> tuple[CnnResult, ScnnResult]:
    """Run the part on the cycle model, whose outputs are golden's, and on RTL."""
    image, samples = part.image, len(planes)
    known = {INPUT: planes, **golden.held}
    if not image.runs:
        none = np.zeros((samples, 0), np.int64)
        counters = np.zeros((samples, 0, image.params.num_pes, len(StallClass)), np.int64)
        model = dataclasses.replace(
            golden, run_cycles=none, counters=_by_layer(part, counters), tail=None
        )
        spent, seconds = np.zeros(samples, np.int64), none.astype(np.float64)
        return model, ScnnResult((), {}, ((),) * samples, none, spent, seconds, counters, ())
    report = progress or (lambda *_: None)
    cycles, counters = run_cnn_image(
        image, known, lambda done, total: report("count SCNN cycles", done, total)
    )
    model = dataclasses.replace(
        golden, run_cycles=cycles, counters=_by_layer(part, counters), tail=None
    )
    parts: list[ScnnResult] = []
    made: dict[str, NDArray[np.int64]] = {}
    report("build SCNN simulator", 0, 1)
    program = build_scnn(image.params)
    report("build SCNN simulator", 1, 1)
    done = 0
    for runs in _simulations(image):
        one = dataclasses.replace(image, runs=runs)
        job = cnn_job(one, planes, cycles[:, done : done + len(runs)].max(axis=0))
        read = {some.tensor for run in runs for load in run.loads for some in load.channels}
        given = {name: known[name] for name in sorted(read.difference(part.layers))}
        job = dataclasses.replace(job, tensors={**given, **made})
        (raw,) = run_scnn_jobs(
            image.params,
            [job],
            program=program,
            progress=_later(report, samples * done, samples * len(image.runs)),
        )
        made |= {name: raw.tensors[name] for name in job.shapes}
        parts.append(raw)
        done += len(runs)
    return model, _joined(parts, made)


def _simulations(image: "CnnImage") -> Iterator[tuple[ScnnRun, ...]]:
    """Cut the runs where it is faster to begin a simulation with all memories loaded."""
    p = image.params
    runs: list[ScnnRun] = []
    for run in _loaded(image.runs):
        words = 0
        for load in run.loads:
            channels = sum(one.stop - one.start for one in load.channels)
            layout = load.layout
            blocks = max(1, p.num_pes >> layout.block_x + layout.block_y)
            words += channels * layout.height * layout.width * blocks // p.mult_i
            words += channels * layout.sy * layout.sx * p.num_pes
        if runs and run.program[0].wipe and words * p.num_pes > _WORTH:
            yield tuple(only_changes(runs))
            runs = []
        runs.append(run)
    yield tuple(only_changes(runs))


def _later(report: Progress, before: int, total: int) -> Progress:
    """Report one of several simulations as the part of them all that it is."""

    def tell(step: str, done: int, _: int) -> None:
        if not step.startswith("build"):
            report(step, before + done, total)

    return tell


def _joined(parts: Sequence[ScnnResult], tensors: dict[str, NDArray[np.int64]]) -> ScnnResult:
    """Put the results of runs one after the other."""
    return ScnnResult(
        outputs=tuple(one for part in parts for one in part.outputs),
        tensors=tensors,
        stores=tuple(
            tuple(run for runs in sample for run in runs)
            for sample in zip(*(part.stores for part in parts), strict=True)
        ),
        cycles=np.concatenate([part.cycles for part in parts], axis=1),
        reload_cycles=np.sum([part.reload_cycles for part in parts], axis=0),
        seconds=np.concatenate([part.seconds for part in parts], axis=1),
        counters=np.concatenate([part.counters for part in parts], axis=1),
        problems=tuple(one for part in parts for one in part.problems),
    )


def _by_layer(part: CnnPart, counters: NDArray[np.int64]) -> NDArray[np.int64]:
    return by_conv_layer(part.image.runs, len(part.image.network.graph.layers), counters)
