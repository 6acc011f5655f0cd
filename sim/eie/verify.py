"""Compare golden, cycle model and RTL on the same inputs, word for word and cycle for cycle."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from zeroskip.compiler.image.image import Image
from zeroskip.hw.eie.formats import StallClass
from zeroskip.sim.eie.contents import eie_problems
from zeroskip.sim.eie.result import RunResult
from zeroskip.sim.eie.run import Progress, run_eie

__all__ = ["CycleDifference", "Difference", "VerifyResult", "compare", "verify_eie"]


@dataclass(frozen=True)
class Difference:
    """An output word of the RTL that is not golden's."""

    sample: int
    layer: str
    row: int
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, row {self.row}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class CycleDifference:
    """A counter of the RTL that is not the cycle model's."""

    sample: int
    layer: str
    pe: int
    stall_class: str
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"input {self.sample}, layer {self.layer}, PE {self.pe}: the model counts "
            f"{self.expected} cycles {self.stall_class}, the RTL {self.got}"
        )


@dataclass(frozen=True, eq=False)
class VerifyResult:
    """What golden, cycle model and RTL agree on.

    Parameters
    ----------
    model, rtl : the two results; the cycle model's outputs are golden's.
    words : output words compared: each layer's as it is written, and the last as a host reads it.
    differ : how many of them differ.
    differences : the first of those.
    counters : cycle counters compared, one per input, layer, PE and stall class, and the total
        cycles of each input; without counters in the RTL, only the latter.
    cycles_differ : how many of them differ.
    cycle_differences : the first of those that are of a PE.
    problems : where the SRAMs say something else than the network, see :mod:`.contents`.
    """

    model: RunResult
    rtl: RunResult
    words: int
    differ: int
    differences: tuple[Difference, ...]
    counters: int
    cycles_differ: int
    cycle_differences: tuple[CycleDifference, ...]
    problems: tuple[str, ...] = ()

    @property
    def golden(self) -> RunResult:
        """Golden's outputs."""
        return self.model

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.differ == 0 and self.cycles_differ == 0 and not self.problems


def verify_eie(
    image: Image,
    x: ArrayLike,
    *,
    max_differences: int = 10,
    progress: Progress | None = None,
) -> VerifyResult:
    """Run inputs on all three and compare every output word of every layer and every counter.

    Before, the SRAMs are decoded and compared with the network, for all inputs that there are.

    Parameters
    ----------
    image, x, progress : as in :func:`.run_eie`.
    max_differences : list so many of each kind; all are counted.

    Raises
    ------
    InputError, ToolError, SimulationError
        As :func:`.run_eie` does.
    """
    model = run_eie(image, x, "cycles", progress=progress)
    rtl = run_eie(image, x, "rtl", progress=progress)
    found = compare(image, model, rtl, max_differences)
    return replace(found, problems=eie_problems(image, max_differences))


def compare(image: Image, model: RunResult, rtl: RunResult, max_differences: int) -> VerifyResult:
    """Compare a result of the cycle model, which has golden's outputs, with the RTL's."""
    assert rtl.result is not None
    assert rtl.cycles is not None
    assert model.counters is not None
    names = [layer.name for layer in image.network.layers]
    pairs = [*zip(names, model.layer_outputs, rtl.layer_outputs, strict=True)]
    pairs.append((f"{names[-1]} (as read by the host)", model.layer_outputs[-1], rtl.result))
    words, differ, found = 0, 0, []
    for name, expected, got in pairs:
        where = np.argwhere(expected != got)
        words += expected.size
        differ += len(where)
        for sample, row in where[: max_differences - len(found)].tolist():
            pair = int(expected[sample, row]), int(got[sample, row])
            found.append(Difference(sample, name, row, *pair))

    counters = rtl.cycles.size
    cycles_differ = int(np.count_nonzero(model.cycles != rtl.cycles))
    cycles_found = []
    if rtl.counters is not None:
        where = np.argwhere(model.counters != rtl.counters)
        counters += rtl.counters.size
        cycles_differ += len(where)
        for sample, layer, pe, stall in where[:max_differences].tolist():
            at = sample, layer, pe, stall
            pair = int(model.counters[at]), int(rtl.counters[at])
            label = StallClass(stall).name.lower()
            cycles_found.append(CycleDifference(sample, names[layer], pe, label, *pair))
    return VerifyResult(
        model,
        rtl,
        words,
        differ,
        tuple(found),
        counters,
        cycles_differ,
        tuple(cycles_found),
    )
