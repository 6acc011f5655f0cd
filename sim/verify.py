"""Compare golden, cycle model and RTL on the same inputs, word for word and cycle for cycle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.base.errors import InputError
from zeroskip.base.progress import Progress, silent
from zeroskip.base.tables import to_html
from zeroskip.compiler.engine import Part
from zeroskip.compiler.image.image import Image, part_folder
from zeroskip.sim.golden.network import run_golden
from zeroskip.sim.machine import Selection, machine
from zeroskip.sim.result import PartResult, Result
from zeroskip.sim.run import count_planes, fit_image, quantize, simulate_planes
from zeroskip.sim.words import CycleDifference

__all__ = ["Comparison", "VerifyResult", "compare_raw", "verify"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """What was compared of one array.

    Parameters
    ----------
    selection : the layers that were run, all of a part or some.
    model, rtl : what the cycle model, whose outputs are golden's, and the RTL gave.
    words : output words compared: of each layer as they are written, and those that leave the
        array as a host reads them.
    differ : how many of them differ.
    differences : the first of those; ``str`` of each is a sentence.
    counters : cycle counters compared, one per input, layer, PE and stall class, and the cycles
        of each run; without counters in the RTL, only the latter.
    cycles_differ : how many of them differ.
    cycle_differences : the first of those that are of a PE.
    """

    selection: Selection[Part]
    model: PartResult
    rtl: PartResult
    words: int
    differ: int
    differences: tuple[Any, ...]
    counters: int
    cycles_differ: int
    cycle_differences: tuple[CycleDifference, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class VerifyResult:
    """What golden, cycle model and RTL agree on.

    Parameters
    ----------
    image : that was run.
    parts : what was compared of each array that was run.
    problems : where the SRAMs say something else than the network, see :mod:`.contents`, and
        what else cannot be.
    golden : what the golden model gave, of all layers.
    model, rtl : what the cycle model, whose outputs are golden's, and the RTL gave.
    """

    image: Image
    parts: tuple[Comparison, ...]
    problems: tuple[str, ...]
    golden: Result
    model: Result
    rtl: Result

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not (self.differ or self.cycles_differ or self.problems)

    @property
    def words(self) -> int:
        """Words compared, of all arrays."""
        return sum(part.words for part in self.parts)

    @property
    def differ(self) -> int:
        """How many words differ."""
        return sum(part.differ for part in self.parts)

    @property
    def differences(self) -> tuple[Any, ...]:
        """The first words that differ, of each array."""
        return tuple(difference for part in self.parts for difference in part.differences)

    @property
    def counters(self) -> int:
        """Cycle counters compared, of all arrays."""
        return sum(part.counters for part in self.parts)

    @property
    def cycles_differ(self) -> int:
        """How many counters differ."""
        return sum(part.cycles_differ for part in self.parts)

    @property
    def cycle_differences(self) -> tuple[CycleDifference, ...]:
        """The first counters of a PE that differ, of each array."""
        return tuple(difference for part in self.parts for difference in part.cycle_differences)

    def _repr_html_(self: Any) -> str:
        # Here, since the report is of results.
        from zeroskip.sim.metrics import measure
        from zeroskip.sim.report import verify_report

        return to_html([repr(self), *verify_report(self, measure(self))])

    def __repr__(self) -> str:
        verdict = "agrees" if self.ok else "differs"
        return (
            f"<VerifyResult of {self.image.name!r}: the RTL {verdict}\n "
            f"{self.words:,} words compared, {self.differ} differ; {self.counters:,} counters, "
            f"{self.cycles_differ} differ; {len(self.problems)} problems>"
        )


def verify(
    image: Image,
    x: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    layers: Sequence[str] = (),
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult:
    """Compare golden, cycle model and RTL: every output word of every layer and every counter.

    The SRAMs are decoded and compared with the network, too, for all inputs that there are.

    Parameters
    ----------
    image, x, lengths, progress : as for :func:`.run`.
    layers : compare these only; what they read comes from golden, unless layers among them make
        it. All, unless given.
    max_differences : list so many of each kind; all are counted.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`.run` does; or if there is no such layer.

    Examples
    --------
    >>> result = zs.verify(image, x[:4])
    >>> result.ok, result.differ
    (True, 0)
    """
    if not isinstance(image, Image):
        raise InputError(f"image must be what compile or load gave, not a {type(image).__name__}")
    image = image if lengths is None else image.with_lengths(lengths)
    planes, clipped = quantize(image, x)
    golden = replace(run_golden(image, planes), clipped=clipped)
    whole = image
    image, spoiled = fit_image(image, planes, golden)
    golden = replace(golden, image=image, spoiled=spoiled)
    if layers:
        found = _some(image, golden, layers, max_differences, progress)
    else:
        model = count_planes(image, planes, golden, progress)
        rtl = simulate_planes(image, planes, model, None, progress)
        found = _compare(image, _whole(image), golden, model, rtl, max_differences)
    contents = [
        problem
        for number, part in enumerate(whole.parts)
        for problem in machine(part.engine).problems(
            part, part_folder(number, part.engine), whole, max_differences
        )
    ]
    return replace(found, problems=(*contents, *found.problems))


def compare_raw(
    image: Image, model: Result, *rtl: PartResult, max_differences: int = 10
) -> VerifyResult:
    """Compare what an image's parts gave elsewhere, as on a netlist, with the cycle model.

    Parameters
    ----------
    image : the compiled network.
    model : what the cycle model gave for the same inputs.
    rtl : what each part gave.
    max_differences : list so many of each kind; all are counted.
    """
    found = Result(image=image, planes=model.planes, parts=rtl)
    return _compare(image, _whole(image), model, model, found, max_differences)


def _whole(image: Image) -> list[Selection[Part]]:
    """Select all layers."""
    return [
        Selection(part, tuple(layer.name for layer in part.graph.layers)) for part in image.parts
    ]


def _some(
    image: Image, golden: Result, names: Sequence[str], most: int, progress: Progress | None
) -> VerifyResult:
    """Run single layers, from golden's tensors."""
    known = [layer.name for layer in image.graph.layers]
    for name in names:
        if name not in known:
            raise InputError(f"there is no layer {name!r}; there are {', '.join(known)}")
    report, tensors = progress or silent, golden.tensors_on_arrays
    selections: list[Selection[Part]] = []
    models: list[PartResult] = []
    results: list[PartResult] = []
    for part, computed in zip(image.parts, golden.parts, strict=True):
        if not set(names).intersection(layer.name for layer in part.graph.layers):
            continue
        array, step = machine(part.engine), f"count {part.engine} cycles"
        selection = array.select(part, names)
        counts = array.count(
            selection.part, tensors, lambda done, total, step=step: report(step, done, total)
        )
        selections.append(selection)
        models.append(
            replace(
                computed,
                run_cycles=counts.run_cycles,
                counters=counts.counters,
                reload_cycles=counts.reload_cycles,
            )
        )
        results.append(array.simulate_selection(selection, tensors, counts, progress))
    model = replace(golden, parts=tuple(models))
    rtl = replace(golden, parts=tuple(results), clipped=None)
    return _compare(image, selections, golden, model, rtl, most)


def _compare(
    image: Image,
    selections: Sequence[Selection[Part]],
    golden: Result,
    model: Result,
    rtl: Result,
    most: int,
) -> VerifyResult:
    """Compare a result of the cycle model, which has golden's outputs, with the RTL's."""
    parts: list[Comparison] = []
    problems: list[str] = []
    for selection, expected, got in zip(selections, model.parts, rtl.parts, strict=True):
        array = machine(selection.part.engine)
        words, wrong = array.compare(selection, expected, got, image, most)
        problems += wrong
        counters, differ, listed = _compare_cycles(selection, expected, got, most)
        parts.append(
            Comparison(
                selection=selection,
                model=expected,
                rtl=got,
                words=words.words,
                differ=words.differ,
                differences=tuple(words.differences),
                counters=counters,
                cycles_differ=differ,
                cycle_differences=listed,
            )
        )
    return VerifyResult(
        image=image,
        parts=tuple(parts),
        problems=tuple(problems),
        golden=golden,
        model=model,
        rtl=rtl,
    )


def _compare_cycles(
    selection: Selection[Part], model: PartResult, rtl: PartResult, most: int
) -> tuple[int, int, tuple[CycleDifference, ...]]:
    """Compare the cycles of runs, and the counters of the layers that were run."""
    assert rtl.run_cycles is not None
    assert model.run_cycles is not None
    counters = rtl.run_cycles.size
    differ = int(np.count_nonzero(model.run_cycles != rtl.run_cycles))
    if rtl.counters is None:
        return counters, differ, ()
    assert model.counters is not None
    names = [layer.name for layer in selection.part.graph.layers]
    # A run can have other layers, too, of which not all passes were run.
    places = np.flatnonzero(_ran(model.counters) | _ran(rtl.counters))
    expected, found = model.counters[:, places], rtl.counters[:, places]
    where = np.argwhere(expected != found)
    classes = machine(selection.part.engine).classes
    listed: list[CycleDifference] = []
    for sample, place, pe, stall in where[:most].tolist():
        counter = sample, place, pe, stall
        pair = int(expected[counter]), int(found[counter])
        label = classes(stall).name.lower()
        listed.append(CycleDifference(sample, names[places[place]], pe, label, *pair))
    return counters + found.size, differ + len(where), tuple(listed)


def _ran(counters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say of which layers, (layers,), anything was counted."""
    return np.asarray(counters.any(axis=(0, 2, 3)))
