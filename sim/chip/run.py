"""Run two parts of a network on one chip, whose arrays hand over without the host."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress
from zeroskip.compiler.eie.engine import EiePart
from zeroskip.compiler.image.image import Image, Link
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.sim.chip.rtl import ChipJob, run_chip
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.result import PartResult
from zeroskip.sim.rtl.waves import Waves, expected_waves
from zeroskip.sim.scnn.job import scnn_job, scnn_result

__all__ = ["Linked", "run_linked"]

_HAND_OVER = 6
"""Cycles that the handoff spends on a position at most."""


@dataclass(frozen=True, eq=False)
class Linked:
    """What both parts gave, and (n,) cycles from the first command to the end of the last."""

    parts: tuple[PartResult, PartResult]
    latency: NDArray[np.int64]


def run_linked(
    image: Image,
    link: Link,
    tensors: Mapping[str, NDArray[np.int64]],
    counted: Sequence[PartResult],
    *,
    waves: Path | None = None,
    progress: Progress | None = None,
) -> Linked:
    """Run the parts of a link; parameters and errors are those of :meth:`.Machine.simulate`."""
    first, second = image.parts[link.first : link.first + 2]
    assert isinstance(first, ScnnPart)
    assert isinstance(second, EiePart)
    assert counted[0].run_cycles is not None
    job = scnn_job(first, tensors, counted[0].run_cycles)
    columns = np.zeros((1, second.layers[0].shape[1]), np.int64)
    behind = _HAND_OVER * len(link.handed.order) + image_job(second, columns).max_cycles
    *most, last = job.max_cycles
    chip_job = ChipJob(
        dataclasses.replace(job, max_cycles=[*most, last + behind]),
        second.segments[0],
        link.handed.fields,
    )
    recorded = None if waves is None else _waves(first, tensors, counted, waves)
    raw = run_chip(first.params, second.params, chip_job, waves=recorded, progress=progress)
    parts = scnn_result(first, raw.scnn), image_result(second, raw.eie)
    return Linked(parts, raw.latency.sum(axis=1))


def _waves(
    part: ScnnPart,
    tensors: Mapping[str, NDArray[np.int64]],
    counted: Sequence[PartResult],
    path: Path,
) -> Waves:
    moved = sum(tensors[name].size for name in part.graph.given if name in tensors)
    assert counted[-1].read is not None
    moved += sum(tensor.size for tensor in counted[-1].read.values())
    return expected_waves(path, counted, moved // part.params.mult_i)
