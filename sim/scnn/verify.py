"""Compare golden, cycle model and RTL of a CNN, word for word and cycle for cycle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from zeroskip.compiler.scnn.run import ScnnRun
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.eie.contents import cnn_problems
from zeroskip.sim.eie.run import Progress
from zeroskip.sim.eie.verify import CycleDifference, Difference, VerifyResult, compare
from zeroskip.sim.scnn.differences import CnnDifference, StoreDifference
from zeroskip.sim.scnn.result import CnnResult
from zeroskip.sim.scnn.rtl_files import ScnnResult
from zeroskip.sim.scnn.run import graph_output, run_cnn
from zeroskip.sim.scnn.stores import compare_stores
from zeroskip.sim.scnn.walk import map_pass

if TYPE_CHECKING:
    from zeroskip.compiler.scnn.image import CnnImage

__all__ = ["CnnVerifyResult", "ScnnComparison", "compare_cnn", "verify_cnn"]


@dataclass(frozen=True, eq=False)
class ScnnComparison:
    """What was compared of SCNN.

    Parameters
    ----------
    words : outputs compared, as every PE makes them, those beyond the plane included; rows of
        activation RAMs and directories as the host reads them; and what leaves SCNN.
    differ : how many of them differ.
    differences : the first of those.
    counters : counters compared, one per input, layer, PE and stall class, and the cycles of
        each run; without counters in the RTL, only the latter.
    cycles_differ : how many of them differ.
    cycle_differences : the first of those that are of a PE.
    """

    words: int
    differ: int
    differences: tuple[CnnDifference | StoreDifference, ...]
    counters: int
    cycles_differ: int
    cycle_differences: tuple[CycleDifference, ...]


@dataclass(frozen=True, eq=False)
class CnnVerifyResult:
    """What golden, cycle models and RTL agree on.

    Parameters
    ----------
    model, rtl : the two results; the cycle models' outputs are golden's.
    layers, runs : of SCNN that were run, in full; all, or those that were asked for.
    scnn : what was compared of SCNN.
    problems : sentences about what cannot be.
    tail : what was compared of the Linear layers on EIE; None if none were run.
    """

    model: CnnResult
    rtl: CnnResult
    layers: tuple[str, ...]
    runs: tuple[ScnnRun, ...]
    scnn: ScnnComparison
    problems: tuple[str, ...]
    tail: VerifyResult | None

    @property
    def golden(self) -> CnnResult:
        """Golden's outputs."""
        return self.model

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not (self.differ or self.cycles_differ or self.problems)

    @property
    def words(self) -> int:
        """Words compared, of both engines."""
        return self.scnn.words + (0 if self.tail is None else self.tail.words)

    @property
    def differ(self) -> int:
        """How many words differ."""
        return self.scnn.differ + (0 if self.tail is None else self.tail.differ)

    @property
    def differences(self) -> tuple[CnnDifference | StoreDifference | Difference, ...]:
        """The first words that differ, of each engine."""
        return *self.scnn.differences, *(() if self.tail is None else self.tail.differences)

    @property
    def counters(self) -> int:
        """Cycle counters compared, of both engines."""
        return self.scnn.counters + (0 if self.tail is None else self.tail.counters)

    @property
    def cycles_differ(self) -> int:
        """How many counters differ."""
        return self.scnn.cycles_differ + (0 if self.tail is None else self.tail.cycles_differ)

    @property
    def cycle_differences(self) -> tuple[CycleDifference, ...]:
        """The first counters of a PE that differ, of each engine."""
        tail = () if self.tail is None else self.tail.cycle_differences
        return *self.scnn.cycle_differences, *tail


def verify_cnn(
    image: "CnnImage",
    x: ArrayLike,
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> CnnVerifyResult:
    """Run inputs on all three and compare every output of every pass, and every counter.

    Parameters
    ----------
    image, x, progress : as in :func:`.run_cnn`.
    max_differences : list so many of each kind; all are counted.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`.run_cnn` does.
    """
    model = run_cnn(image, x, "cycles", progress=progress)
    rtl = run_cnn(image, x, "rtl", progress=progress)
    result = compare_cnn(image, model, rtl, max_differences)
    return replace(result, problems=(*cnn_problems(image, max_differences), *result.problems))


def compare_cnn(
    image: "CnnImage",
    model: CnnResult,
    rtl: CnnResult,
    max_differences: int = 10,
    *,
    layers: Sequence[str] | None = None,
) -> CnnVerifyResult:
    """Compare a result of the cycle models, which has golden's outputs, with the RTL's.

    Parameters
    ----------
    image : that both ran; or that part of one which makes ``layers``.
    model, rtl : the results.
    max_differences : list so many of each kind; all are counted.
    layers : all of whose outputs must have been made; unless given, all layers, and the host must
        hold the network's outputs.
    """
    raw = rtl.rtl
    assert raw is not None
    assert model.run_cycles is not None
    found: list[CnnDifference | StoreDifference] = []
    problems = list(raw.problems)
    words = differ = 0
    for part in (
        _compare_passes(image, model, raw, max_differences, problems, layers),
        compare_stores(image, model, raw, max_differences),
    ):
        for compared, wrong, listed in part:
            words += compared
            differ += wrong
            found += listed[: max_differences - len(found)]
    graph = image.network.graph
    if layers is None:
        expected, got = graph_output(graph, model.held), graph_output(graph, raw.tensors)
        words += expected.size
        differ += (wrong := int(np.count_nonzero(expected != got)))
        if wrong:
            problems.append(f"{wrong} of the {expected.size} outputs that the host has are wrong")

    counters = raw.cycles.size
    cycles_differ = int(np.count_nonzero(model.run_cycles != raw.cycles))
    cycles_found = []
    if rtl.counters is not None:
        assert model.counters is not None
        places = sorted({number for run in image.runs for number in run.passes})
        theirs, ours = model.counters[:, places], rtl.counters[:, places]
        where = np.argwhere(theirs != ours)
        counters += ours.size
        cycles_differ += len(where)
        for sample, place, pe, stall in where[:max_differences].tolist():
            at = sample, place, pe, stall
            pair = int(theirs[at]), int(ours[at])
            name, label = graph.layers[places[place]].name, StallClass(stall).name.lower()
            cycles_found.append(CycleDifference(sample, name, pe, label, *pair))
    tail = None
    if image.tail is not None:
        assert model.tail is not None
        assert rtl.tail is not None
        tail = compare(image.tail, model.tail, rtl.tail, max_differences)
    return CnnVerifyResult(
        model,
        rtl,
        tuple(layer.name for layer in graph.layers) if layers is None else tuple(layers),
        image.runs,
        ScnnComparison(words, differ, tuple(found), counters, cycles_differ, tuple(cycles_found)),
        tuple(problems),
        tail,
    )


def _compare_passes(
    image: "CnnImage",
    model: CnnResult,
    raw: ScnnResult,
    most: int,
    problems: list[str],
    layers: Sequence[str] | None,
) -> Iterator[tuple[int, int, list[CnnDifference]]]:
    """Compare every output of every pass; tell of outputs that no pass made."""
    orders = image.channel_orders
    made = {layer.name: np.zeros(layer.out_shape, np.bool_) for layer in image.network.graph.layers}
    for run, outputs in zip(image.runs, raw.outputs, strict=True):
        for descriptor, output, got in zip(run.program, run.outputs, outputs, strict=True):
            if output is None:
                continue
            where = map_pass(image.params, descriptor, output)
            name = where.tensor
            if name is None:
                continue
            at = (part[where.inside] for part in (where.channel, where.y, where.x))
            made[name][tuple(at)] = True
            known = where.known
            for sample, values in enumerate(got):
                expected = where.expected(model.held[name][sample])
                wrong = np.argwhere(known & (expected != values))
                listed: list[CnnDifference] = []
                for step, pe in wrong[:most].tolist():
                    channel, y, x = (
                        int(part[step, pe]) for part in (where.channel, where.y, where.x)
                    )
                    pair = int(expected[step, pe]), int(values[step, pe])
                    own = int(orders[name][channel])
                    listed.append(CnnDifference(sample, name, own, y, x, pe, *pair))
                yield int(np.count_nonzero(known)), len(wrong), listed
    for name, done in made.items():
        if not done.all() and (layers is None or name in layers):
            problems.append(
                f"layer {name}: no pass makes {np.count_nonzero(~done)} of its {done.size} outputs"
            )
