"""Trained LSTMs that multiply by changes: cycles against accuracy, by threshold."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import Report, Table
from zeroskip.compiler.api import compile_any
from zeroskip.compiler.eie.presets import PRESETS
from zeroskip.compiler.frontend.networks import import_module
from zeroskip.sim.metrics import measure_run
from zeroskip.sim.run import run

__all__ = ["THRESHOLDS", "ChangesBench", "ThresholdBench", "bench_changes"]

THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)

_PES = 8
_COUNTED = 16
"""Sequences of the test data of which cycles are counted."""


@dataclass(frozen=True)
class ThresholdBench:
    """A network at one threshold.

    Parameters
    ----------
    delta : the threshold; None: the network multiplies by all that it reads.
    useful_macs : products of two non-zeros, a step.
    cycles : a step, from its START.
    speedup : over no threshold.
    score : accuracy, or perplexity, on all test data.
    change : of the accuracy in points, of the perplexity relative to that without a threshold.
    """

    delta: float | None
    useful_macs: float
    cycles: float
    speedup: float
    score: float
    change: float


@dataclass(frozen=True)
class ChangesBench:
    """All thresholds.

    Parameters
    ----------
    task, measure : the data, and what scores are.
    num_pes : of the array.
    float_score : of the compressed network in float.
    thresholds : with each, none first.
    """

    task: str
    measure: str
    num_pes: int
    float_score: float
    thresholds: tuple[ThresholdBench, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as a dictionary that JSON can have."""
        return asdict(self)

    def report(self) -> Report:
        """Return the evaluation as a table."""
        digits, unit = (2, " %") if self.measure == "accuracy" else (3, "")
        rows: list[list[object]] = [
            [
                "none" if threshold.delta is None else f"{threshold.delta:g}",
                f"{threshold.useful_macs:.0f}",
                f"{threshold.cycles:.1f}",
                f"{threshold.speedup:.2f} x",
                f"{threshold.score:.{digits}f}{unit}",
                f"{threshold.change:+.2f}" + ("" if self.measure == "accuracy" else " %"),
            ]
            for threshold in self.thresholds
        ]
        title = (
            f"{self.task} on {self.num_pes} PEs, by threshold of changes; "
            f"{self.measure} in float {self.float_score:.{digits}f}{unit}"
        )
        heads = ["threshold", "useful MACs", "cycles", "over none", self.measure, "change"]
        return [Table(title, heads, rows)]


def bench_changes(
    name: str,
    data: Path | None = None,
    folder: Path | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    progress: Progress | None = None,
) -> ChangesBench:
    """Compress the LSTM of a task, and run it at each threshold.

    Cycles are those of the whole network, a mean over the steps of some test sequences.

    Parameters
    ----------
    name, data : of the task, see :func:`.task_of`: ``vowels`` or ``topics``, whose network is an
        LSTM.
    folder : of the run that compresses it; one that is done is taken as it is.
    thresholds : of changes.
    progress : see :data:`.Progress`.

    Raises
    ------
    InputError
        If the data are missing or damaged.
    """
    # Here, since they need torch.
    from zeroskip.compiler.compress.api import compress_task
    from zeroskip.compiler.compress.config_file import preset
    from zeroskip.compiler.compress.task import Score, evaluate
    from zeroskip.compiler.compress.tasks import samples_of, task_of
    from zeroskip.sim.fixed_module import FixedPoint

    tell = progress or silent
    task = task_of(name, data)
    small = compress_task(task, preset(name), folder, progress)
    calibration = task.training().first()[0].numpy()
    tested = samples_of(name, data).test_x[:_COUNTED].numpy()
    graph = import_module(small.module, calibration[:1])
    best = PRESETS["best"]
    array = replace(best.params, num_pes=_PES, num_accs=256, cells=True, delta=True)
    exact = evaluate(small.module, task)
    measure = "perplexity" if exact.accuracy is None else "accuracy"

    def percent_or_perplexity(score: Score) -> float:
        return math.exp(score.loss) if score.accuracy is None else 100 * score.accuracy

    found: list[ThresholdBench] = []
    ways = [None, *thresholds]
    for number, delta in enumerate(ways):
        tell("thresholds", number, len(ways))
        image = compile_any(
            graph, calibration, [array], options=best.options, delta=delta, name=name
        )
        (part,) = measure_run(run(image, tested, "cycles")).parts
        steps = image.graph.steps or 1
        scored = percent_or_perplexity(evaluate(FixedPoint(image), task))
        cycles = (part.total.cycles or 0.0) / steps
        first = found[0] if found else None
        before, base = (scored, cycles) if first is None else (first.score, first.cycles)
        change = scored - before if measure == "accuracy" else 100 * (scored / before - 1)
        useful = part.total.useful_macs / steps
        found.append(ThresholdBench(delta, useful, cycles, base / cycles, scored, change))
    tell("thresholds", len(ways), len(ways))
    return ChangesBench(name, measure, _PES, percent_or_perplexity(exact), tuple(found))
