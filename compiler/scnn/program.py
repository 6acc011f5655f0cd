"""Turn a network into runs of the array."""

from collections import Counter
from collections.abc import Mapping, Sequence

from zeroskip.base.progress import Progress, silent
from zeroskip.compiler.image.runs import only_changes
from zeroskip.compiler.ir.graph import QuantGraph
from zeroskip.compiler.scnn.areas import area_layers, move_runs
from zeroskip.compiler.scnn.check import check_layer
from zeroskip.compiler.scnn.cost import count_runs, input_densities
from zeroskip.compiler.scnn.fuse import fused_run
from zeroskip.compiler.scnn.layer import layer_runs
from zeroskip.compiler.scnn.levels import levels_from
from zeroskip.compiler.scnn.place import Placer
from zeroskip.compiler.scnn.placed_run import placed_run
from zeroskip.compiler.scnn.plan import plan_layer
from zeroskip.compiler.scnn.run import Channels, ScnnRun
from zeroskip.compiler.scnn.segments import Segment, Segments
from zeroskip.hw.scnn.params import ScnnParams

__all__ = ["MANY_RUNS", "build", "many_runs"]

MANY_RUNS = 100
"""A layer in more runs than that is told of: the host moves more than the array computes."""


def build(
    graph: QuantGraph,
    params: ScnnParams,
    densities: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    *,
    bus: bool = False,
    deal: bool = True,
) -> tuple[ScnnRun, ...]:
    """Build the runs of a network.

    As many layers as the memories hold, whatever the activations are, go into one run, without
    the host in between. A layer that has to be alone gets the mapping that is fastest for it.

    With ``bus``, a run may have blocks of PEs of any size, which send each other what they own;
    with ``deal``, what is loaded is dealt to them.

    Parameters
    ----------
    graph : layers in fixed point.
    params : of the array.
    densities : see :func:`.input_densities`.
    progress : step "map" by layers; and of a layer in many runs, a step by runs, whose number is
        estimated.

    Raises
    ------
    CompileError
        If a layer cannot be computed on the array at all; what is too small is named.
    """
    known = input_densities(graph, densities)
    tell = progress or silent
    for layer in graph.layers:
        check_layer(layer, params)
    runs: list[ScnnRun] = []
    if bus:
        placer = Placer(graph, params, known, bus=True, deal=deal)
        segments = Segments(graph, params, known, placer)
        for segment in segments.choose(progress):
            runs += _segment_runs(graph, segments, segment, params, known, tell)
        return tuple(only_changes(runs))
    number = 0
    while number < len(graph.layers):
        best: ScnnRun | None = None
        for levels in levels_from(graph, number):
            here = [layer for level in levels for layer in level.layers]
            if any(graph.layers[layer].areas for layer in here):
                break  # The host puts the areas together.
            if len(here) > 1:
                longer = fused_run(graph, levels, params, known)
                if longer is None:
                    break
                best = longer
        if best is None:
            runs += _alone(graph, number, params, known, tell)
            number += 1
        else:
            runs.append(best)
            number += len(best.passes)
        tell("map", number, len(graph.layers))
    return tuple(only_changes(runs))


def _segment_runs(
    graph: QuantGraph,
    segments: Segments,
    segment: Segment,
    params: ScnnParams,
    densities: Mapping[str, float],
    tell: Progress,
) -> list[ScnnRun]:
    """Build the run of a segment, or the runs of the layer that it is.

    What has more weights than the SRAMs hold is cut again.
    """
    if segment.placed is not None and segment.schedule is not None:
        try:
            return [placed_run(graph, segment.placed, segment.schedule, params)]
        except ValueError:
            pass
    if len(segment.layers) == 1:
        return _alone(graph, segment.layers[0], params, densities, tell)
    return [
        run
        for half in segments.halves(segment.layers)
        for run in _segment_runs(graph, segments, half, params, densities, tell)
    ]


def _alone(
    graph: QuantGraph,
    number: int,
    params: ScnnParams,
    densities: Mapping[str, float],
    tell: Progress,
) -> list[ScnnRun]:
    """Build the runs of a layer that has the array for itself."""
    conv, runs = graph.layers[number], list[ScnnRun]()
    inputs = [Channels(tensor=name, start=0, stop=graph.shape(name)[0]) for name in conv.inputs]
    for region, area in area_layers(conv):
        plan = plan_layer(area, params, densities[conv.name])
        total = count_runs(area, plan, params)

        def made(done: int, total: int = total) -> None:
            if total > MANY_RUNS:
                tell(f"cut layer {conv.name} into runs", done, max(done, total))

        found = layer_runs(area, plan, params, layer=number, inputs=inputs, progress=made)
        runs += move_runs(found, region)
    return runs


def many_runs(graph: QuantGraph, runs: Sequence[ScnnRun]) -> list[str]:
    """Say of each layer that is cut into more than ``MANY_RUNS`` runs, into how many."""
    counts = Counter(number for run in runs for number in set(run.passes))
    return [
        f"layer {graph.layers[number].name!r} is cut into {count} runs of the array, between which "
        "the host loads its memories; an array with more memory needs fewer"
        for number, count in sorted(counts.items())
        if count > MANY_RUNS
    ]
