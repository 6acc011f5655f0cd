"""EIE, as simulation sees it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress
from zeroskip.compiler.eie.part import EiePart
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.ir.fixed import concatenate
from zeroskip.hw.eie.host import StallClass
from zeroskip.sim.eie.contents import eie_problems
from zeroskip.sim.eie.cycles.image import run_image
from zeroskip.sim.eie.info import describe_part
from zeroskip.sim.eie.perfetto import trace_tracks
from zeroskip.sim.eie.rtl import EIE_DRIVER
from zeroskip.sim.eie.rtl_image import image_job, image_result
from zeroskip.sim.eie.storage import layer_storage, reload_cycles
from zeroskip.sim.eie.system import EieLists
from zeroskip.sim.eie.vectors import bench_files
from zeroskip.sim.machine import (
    Counts,
    Description,
    Machine,
    Selection,
    Tensors,
    Tracks,
)
from zeroskip.sim.result import PartResult, Result, by_layer
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.rtl.waves import expected_waves
from zeroskip.sim.words import Compared, WordDifference, compare_words

__all__ = ["MACHINE", "vectors"]


class _Eie(Machine[EiePart]):
    engine = "eie"
    classes = StallClass

    @property
    def lists(self) -> EieLists:
        return EieLists()

    def multipliers(self, params: Any) -> int:
        return params.num_pes

    def count(self, part: EiePart, tensors: Tensors, report: Callable[[int, int], None]) -> Counts:
        cycles, counters = run_image(part, vectors(part, tensors), report)
        return Counts(
            cycles[:, None],
            by_layer(part.passes, len(part.layers), counters),
            reload_cycles(part, len(cycles)),
        )

    def simulate(
        self,
        part: EiePart,
        tensors: Tensors,
        counts: Counts,
        *,
        waves: Path | None = None,
        program: Path | None = None,
        progress: Progress | None = None,
    ) -> PartResult:
        columns = vectors(part, tensors)[0]
        recorded = None
        if waves is not None:
            moved = columns.size + len(columns) * part.layers[-1].shape[0]
            recorded = expected_waves(waves, [counts], moved)
        job = image_job(part, columns)
        (raw,) = run_jobs(
            EIE_DRIVER, part.params, [job], waves=recorded, program=program, progress=progress
        )
        return image_result(part, raw)

    def compare(
        self,
        selection: Selection[EiePart],
        model: PartResult,
        rtl: PartResult,
        image: Image,
        most: int,
    ) -> tuple[Compared, Sequence[str]]:
        del image
        assert rtl.read is not None
        pairs = [(name, model.tensors[name], rtl.tensors[name]) for name in selection.layers]
        last = selection.layers[-1]
        pairs.append((f"{last} (as read by the host)", model.tensors[last], rtl.read[last]))
        return compare_words(pairs, WordDifference, most), ()

    def problems(self, part: EiePart, folder: str, image: Image, most: int) -> Sequence[str]:
        del image
        return eie_problems(part, folder, most)

    def storage(self, part: EiePart) -> Mapping[str, Mapping[str, Any]]:
        return {
            layer.name: {
                "entries": int(layer.entries.sum()),
                "padding": int(layer.padding.sum()),
            }
            for layer in layer_storage(part)
        }

    def describe(self, part: EiePart) -> Description:
        return describe_part(part)

    def tracks(
        self, part: EiePart, tensors: Tensors, name: str, process: int, begin: int
    ) -> Tracks:
        return trace_tracks(part, vectors(part, tensors), name, process, begin)

    def bench_files(self, part: EiePart, result: Result) -> Mapping[str, bytes]:
        columns = vectors(part, result.tensors_on_arrays)[0]
        return bench_files(part, columns, result.part(self.engine))


def vectors(part: EiePart, tensors: Tensors) -> list[NDArray[np.int64]]:
    """Return the input and each layer's output, (n, elements), as far as ``tensors`` have them."""
    found: list[NDArray[np.int64]] = []
    final = part.layers[-1]
    read = [(layer.inputs, layer.in_shape) for layer in part.layers]
    for inputs, shape in (*read, ((final.name,), final.out_shape)):
        if any(name not in tensors for name in inputs):
            break
        joined = concatenate(tensors, inputs, shape)
        found.append(joined.reshape(len(joined), -1))
    return found


MACHINE = _Eie()
"""What is found of EIE, see :mod:`zeroskip.sim.machine`."""
