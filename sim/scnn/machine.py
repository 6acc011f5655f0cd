"""SCNN, as simulation sees it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.base.progress import Progress
from zeroskip.compiler.image.image import Image
from zeroskip.compiler.scnn.engine import ScnnPart
from zeroskip.compiler.scnn.run import PassOutput, ScnnDescriptor
from zeroskip.hw.scnn.formats import StallClass
from zeroskip.sim.machine import Counts, Description, Machine, Selection, Tensors, Tracks
from zeroskip.sim.result import PartResult, Result, by_layer
from zeroskip.sim.rtl.runs import run_jobs
from zeroskip.sim.rtl.waves import expected_waves
from zeroskip.sim.scnn.contents import scnn_problems
from zeroskip.sim.scnn.cycles.image import cnn_references, run_cnn_image
from zeroskip.sim.scnn.info import describe_part
from zeroskip.sim.scnn.job import fused_layers, passes_of, scnn_job, scnn_result
from zeroskip.sim.scnn.perfetto import trace_tracks
from zeroskip.sim.scnn.reload import conv_reload_cycles
from zeroskip.sim.scnn.room import finds_room
from zeroskip.sim.scnn.rtl import SCNN_DRIVER
from zeroskip.sim.scnn.rtl_files import ScnnResult
from zeroskip.sim.scnn.select import select_layers, simulate_layers
from zeroskip.sim.scnn.stores import ConvDifference, compare_stores
from zeroskip.sim.scnn.system import ScnnLists
from zeroskip.sim.scnn.vectors import bench_files
from zeroskip.sim.scnn.walk import map_pass
from zeroskip.sim.words import Compared

__all__ = ["MACHINE"]


class _Scnn(Machine[ScnnPart]):
    engine = "scnn"
    classes = StallClass
    most_gate_pes = 4

    @property
    def lists(self) -> ScnnLists:
        return ScnnLists()

    def multipliers(self, params: Any) -> int:
        return params.num_pes * params.mults

    def fit(self, part: ScnnPart, tensors: Tensors) -> tuple[ScnnPart, Sequence[int]]:
        if not part.bounded:
            return part, ()
        samples = range(len(next(iter(tensors.values()))))
        spoiled = [
            number
            for number in samples
            if not finds_room(
                part.params, part.runs, {name: one[number] for name, one in tensors.items()}
            )
        ]
        return replace(part, runs=part.bounded, bounded=()) if spoiled else part, spoiled

    def fused(self, part: ScnnPart) -> Collection[str]:
        return {part.layers[number].name for number in fused_layers(part)}

    def count(self, part: ScnnPart, tensors: Tensors, report: Callable[[int, int], None]) -> Counts:
        cycles, counters = run_cnn_image(part, tensors, report)
        return Counts(
            cycles,
            by_layer(passes_of(part), len(part.layers), counters),
            conv_reload_cycles(part, tensors),
        )

    def simulate(
        self,
        part: ScnnPart,
        tensors: Tensors,
        counts: Counts,
        *,
        waves: Path | None = None,
        program: Path | None = None,
        progress: Progress | None = None,
    ) -> PartResult:
        job = scnn_job(part, tensors, counts.run_cycles)
        recorded = None
        if waves is not None:
            # Words hold several activations.
            shapes = [part.graph.shape(name) for name in part.graph.outputs]
            moved = sum(tensor.size for tensor in job.tensors.values())
            moved += len(counts.run_cycles) * sum(int(np.prod(shape)) for shape in shapes)
            recorded = expected_waves(waves, [counts], moved // part.params.mult_i)
        (raw,) = run_jobs(
            SCNN_DRIVER, part.params, [job], waves=recorded, program=program, progress=progress
        )
        return scnn_result(part, raw)

    def compare(
        self,
        selection: Selection[ScnnPart],
        model: PartResult,
        rtl: PartResult,
        image: Image,
        most: int,
    ) -> tuple[Compared, Sequence[str]]:
        part, raw = selection.part, rtl.raw
        found: list[Any] = []
        problems = list(raw.problems)
        words = differ = 0
        for comparison in (
            _compare_passes(selection, model, raw, image, most, problems),
            compare_stores(part, model, raw, most),
        ):
            for compared, wrong, listed in comparison:
                words += compared
                differ += wrong
                found += listed[: most - len(found)]
        whole = len(selection.layers) == len(part.layers)
        for name in part.graph.outputs if whole else ():
            assert rtl.read is not None
            expected, got = model.tensors[name], rtl.read[name]
            words += expected.size
            differ += (wrong := int(np.count_nonzero(expected != got)))
            if wrong:
                problems.append(
                    f"{wrong} of the {expected.size} outputs that the host has are wrong"
                )
        return Compared(words, differ, found), problems

    def problems(self, part: ScnnPart, folder: str, image: Image, most: int) -> Sequence[str]:
        return scnn_problems(part, folder, image.report, most)

    def select(self, part: ScnnPart, names: Sequence[str]) -> Selection[ScnnPart]:
        return select_layers(part, names)

    def simulate_selection(
        self,
        selection: Selection[ScnnPart],
        tensors: Tensors,
        counts: Counts,
        progress: Progress | None = None,
    ) -> PartResult:
        return simulate_layers(selection, tensors, counts, progress)

    def counter_problems(
        self, selection: Selection[ScnnPart], rtl: PartResult, useful: NDArray[np.int64]
    ) -> Sequence[str]:
        assert rtl.counters is not None
        part, raw = selection.part, rtl.raw
        found: list[str] = []
        first = 0
        for number, run in enumerate(part.runs):
            counted = raw.counters[:, first : first + len(run.program)].sum(axis=(1, 3))
            first += len(run.program)
            expected = raw.cycles[:, number, None] * part.params.mults
            for sample, pe in np.argwhere(counted != expected).tolist():
                found.append(
                    f"input {sample}, run {number}, PE {pe}: the counters add up to "
                    f"{counted[sample, pe]} multiplier-cycles, but the run had "
                    f"{expected[sample, 0]}"
                )
        places = [
            number for number, layer in enumerate(part.layers) if layer.name in selection.layers
        ]
        made = rtl.counters[..., StallClass.USEFUL].sum(axis=2)[:, places]
        for sample, number in np.argwhere(made < useful).tolist():
            found.append(
                f"input {sample}, layer {selection.layers[number]}: the array counted "
                f"{made[sample, number]} useful MACs, but golden's activations make "
                f"{useful[sample, number]}"
            )
        return found

    def references(self, part: ScnnPart, tensors: Tensors) -> int:
        return sum(layer.total for layer in cnn_references(part, tensors))

    def describe(self, part: ScnnPart) -> Description:
        return describe_part(part)

    def tracks(
        self, part: ScnnPart, tensors: Tensors, name: str, process: int, begin: int
    ) -> Tracks:
        return trace_tracks(part, tensors, name, process, begin)

    def bench_files(self, part: ScnnPart, result: Result) -> Mapping[str, bytes]:
        run_cycles = result.part(self.engine).run_cycles
        assert run_cycles is not None
        return bench_files(part, result.tensors_on_arrays, run_cycles)


def _compare_passes(
    selection: Selection[ScnnPart],
    model: PartResult,
    raw: ScnnResult,
    image: Image,
    most: int,
    problems: list[str],
) -> Iterator[tuple[int, int, list[ConvDifference]]]:
    """Compare every output of every pass; tell of outputs that no pass made."""
    part, orders = selection.part, image.channel_orders
    made = {layer.name: np.zeros(layer.out_shape, np.bool_) for layer in part.layers}
    for run, outputs in zip(part.runs, raw.outputs, strict=True):
        steps = zip(run.program, run.passes, run.outputs, outputs, strict=True)
        for descriptor, layer, output, got in steps:
            if output is None:
                continue
            where = map_pass(part.params, descriptor, output)
            name = where.tensor
            if name is None:
                continue
            places = (place[where.inside] for place in (where.channel, where.y, where.x))
            made[name][tuple(places)] = True
            _mark_windows(made[part.layers[layer].name], descriptor, output)
            for sample, values in enumerate(got):
                expected = where.expected(model.tensors[name][sample])
                wrong = np.argwhere(where.known & (expected != values))
                listed: list[ConvDifference] = []
                for step, pe in wrong[:most].tolist():
                    channel, y, x = (
                        int(place[step, pe]) for place in (where.channel, where.y, where.x)
                    )
                    pair = int(expected[step, pe]), int(values[step, pe])
                    own = int(orders[name][channel])
                    listed.append(ConvDifference(sample, name, own, y, x, pe, *pair))
                yield int(np.count_nonzero(where.known)), len(wrong), listed
    for name, done in made.items():
        if not done.all() and name in selection.layers:
            problems.append(
                f"layer {name}: no pass makes {np.count_nonzero(~done)} of its {done.size} outputs"
            )


def _mark_windows(made: NDArray[np.bool_], descriptor: ScnnDescriptor, output: PassOutput) -> None:
    """Mark the outputs of a layer that went into what a pass wrote."""
    down, across = descriptor.pool_y, descriptor.pool_x
    rows = slice(output.y0 * down, (output.y0 + output.height) * down)
    columns = slice(output.x0 * across, (output.x0 + output.width) * across)
    for block in output.blocks:
        made[block.start : block.stop, rows, columns] = True


MACHINE = _Scnn()
"""What is found of SCNN, see :mod:`zeroskip.sim.machine`."""
